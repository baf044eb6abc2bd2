# COCO 2014 with the tags, lists and masks of tools/dataset_converters/coco14.py, and
# voc12.py's pipelines: the images that have objects, 82,081 of train and 40,137 of val.
_base_ = ['./voc12.py']
dataset_type = 'COCOImageLabelDataset'
data_root = 'data/coco14'
num_classes = 81  # with the background

images = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Segmentation/train.txt',
    tags='image_labels.csv',
    tag_source='file',
)
train_dataloader = dict(
    dataset=dict(data_prefix=dict(img_path='train2014', seg_map_path=None), **images)
)
# Like VOC's, CAMs are scored on train; while they are trained, on its first images.
scored = dict(
    data_prefix=dict(img_path='train2014', seg_map_path='SegmentationClass'), **images
)
val_dataloader = dict(dataset=dict(indices=1000, **scored))
test_dataloader = dict(dataset=scored)
