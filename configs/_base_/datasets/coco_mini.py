# 159 images of COCO 2017, prepared by tools/dataset_converters/coco14.py --year 2017
# --partial: enough to run every stage on real annotations, not to learn 80 classes.
_base_ = ['./voc_320.py']
dataset_type = 'COCOImageLabelDataset'
data_root = 'data/coco_mini'
num_classes = 81  # with the background

images = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Segmentation/train.txt',
    tags='image_labels.csv',
    tag_source='file',
)
train_dataloader = dict(
    dataset=dict(data_prefix=dict(img_path='train2017', seg_map_path=None), **images)
)
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='train2017', seg_map_path='SegmentationClass'),
        **images,
    )
)
test_dataloader = val_dataloader
