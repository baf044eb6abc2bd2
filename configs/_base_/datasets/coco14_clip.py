# COCO 2014 as CLIP-ES shows it to CLIP: coco14.py's images, voc12_clip.py's pipelines.
_base_ = ['./voc12_clip.py']
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
scored = dict(
    data_prefix=dict(img_path='train2014', seg_map_path='SegmentationClass'), **images
)
val_dataloader = dict(dataset=scored)
test_dataloader = dict(dataset=scored)
