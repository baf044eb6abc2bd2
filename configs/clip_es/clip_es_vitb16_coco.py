# CLIP-ES on COCO 2014: CAMs of frozen CLIP, without training.
_base_ = [
    '../_base_/models/clip_es_vitb16.py',
    '../_base_/datasets/coco14_clip.py',
    '../_base_/words/coco14.py',
    '../_base_/schedules/no_training.py',
    '../_base_/refinement_clip_es.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(
        num_classes={{_base_.num_classes}},
        words={{_base_.class_words}},
        background_words={{_base_.background_words}},
        box_threshold=0.7,
    )
)
