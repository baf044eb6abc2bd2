# The segmenter of your own images, trained on the masks of CLIP-ES.
_base_ = ['./clip_es_vitb16_voc_deeplabv2_r101.py']
classes = ('background', 'shirt', 'shoe', 'bag')
num_classes = 4  # with the background
pseudo_masks = 'pseudo_masks'
dataset_type = 'ImageLabelDataset'
images = dict(
    type=dataset_type,
    data_root='data/folder',
    data_prefix=dict(img_path='images', seg_map_path=pseudo_masks),
    tags='tags.csv',
    metainfo=dict(classes=classes),
    _delete_=True,
)
model = dict(decode_head=dict(num_classes=num_classes))
train_dataloader = dict(dataset=dict(**images, pipeline=_base_.train_pipeline))
# No true masks: nothing is scored, and the predictions are written all the same.
test_images = dict(images, data_prefix=dict(img_path='images', seg_map_path=None))
val_dataloader = dict(dataset=dict(**test_images, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
