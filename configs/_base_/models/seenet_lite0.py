# SeeNet on the network of cam_lite0.py.
_base_ = ['./cam_lite0.py']
model = dict(
    decode_head=dict(
        type='ErasingHead',
        # 1x1 branches: two 3x3 convolutions would not learn in so few steps.
        channels=(),
        # As the released network: reversed background wakes branch B up in training,
        # and would do so in prediction, where it is a false alarm.
        test_thresholds=(0.8, 0.0),
    ),
)
