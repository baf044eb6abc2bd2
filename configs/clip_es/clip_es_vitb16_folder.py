# CLIP-ES on images of your own: a folder and a table of tags (README.md, "Your own
# images"). Copy it, and write your classes, their words and what else may be in the
# images; a class without words goes by its name.
_base_ = ['./clip_es_vitb16_voc.py']
classes = ('background', 'shirt', 'shoe', 'bag')
num_classes = 4  # with the background
dataset_type = 'ImageLabelDataset'
class_words = dict(shirt=['t-shirt', 'blouse'], bag=['handbag', 'backpack'])
background_words = ['wall', 'floor', 'table', 'person', 'sky', 'grass', 'street']

images = dict(
    type=dataset_type,
    data_root='data/folder',
    data_prefix=dict(img_path='images', seg_map_path=None),
    tags='tags.csv',
    metainfo=dict(classes=classes),
    _delete_=True,
)
model = dict(
    decode_head=dict(
        num_classes=num_classes,
        words=dict(class_words, _delete_=True),
        background_words=background_words,
    )
)
train_dataloader = dict(dataset=dict(**images, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(**images, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='TagMAPMetric')]  # tags are all there is to check against
test_evaluator = val_evaluator
