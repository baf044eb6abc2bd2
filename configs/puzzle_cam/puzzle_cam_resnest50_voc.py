_base_ = [
    '../_base_/models/puzzle_cam_resnest50.py',
    '../_base_/datasets/voc12_crop512.py',
    '../_base_/schedules/puzzle_cam.py',
    '../_base_/refinement_edge.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes={{_base_.num_classes}}),
)
train_dataloader = dict(batch_size=32)
