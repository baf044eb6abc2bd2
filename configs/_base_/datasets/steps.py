# Steps that the pipelines of all datasets share: {{_base_.steps.load}} stands for one.
# MMEngine puts the same object in every place of the file that names it and copies it
# into a file that inherits: name steps in fragments, in a leaf config for one pipeline.
steps = dict(
    # As MMSegmentation's own tools expect, images arrive as BGR; Pillow decodes them as
    # the references do. Everything behind sees RGB.
    load=dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    to_rgb=dict(type='BGRToRGB'),
    load_scores=dict(type='LoadSeedScores'),
    load_mask=dict(type='LoadTrainingMask'),
    load_truth=dict(type='LoadEvaluationMask'),
    flip=dict(type='RandomFlip', prob=0.5),
    # An image and its mirror follow each other.
    mirrors=[dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
    jitter=dict(
        type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1
    ),
    # The paints of SynthVOC's classes lie as close as the usual hue jitter.
    jitter_but_hue=dict(
        type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.0
    ),
    normalize=dict(type='NormalizeFloat'),
    pack=dict(type='PackWSSSInputs'),
    pack_mask=dict(type='PackSegInputs'),
)
