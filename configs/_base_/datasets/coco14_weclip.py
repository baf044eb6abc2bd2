# COCO 2014 trained from the tags of tools/dataset_converters/coco14.py, and tested
# without tags on val; voc12_weclip.py's pipelines.
_base_ = ['./voc12_weclip.py']
dataset_type = 'COCOImageLabelDataset'
data_root = 'data/coco14'
num_classes = 81  # with the background

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='train2014', seg_map_path=None),
        tags='image_labels.csv',
        tag_source='file',
    )
)
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='val2014'),
    )
)
test_dataloader = val_dataloader
