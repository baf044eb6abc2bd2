# CLIP-ES on PASCAL VOC: CAMs of frozen CLIP, without training.
_base_ = [
    '../_base_/models/clip_es_vitb16.py',
    '../_base_/datasets/voc12_clip.py',
    '../_base_/words/voc12.py',
    '../_base_/schedules/no_training.py',
    '../_base_/refinement_clip_es.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(
        num_classes={{_base_.num_classes}},
        words={{_base_.class_words}},
        background_words={{_base_.background_words}},
    )
)
