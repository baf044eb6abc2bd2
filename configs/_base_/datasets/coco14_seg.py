# COCO 2014 with pseudo masks to train on, scored on val; voc12_seg.py's pipelines.
_base_ = ['./voc12_seg.py']
dataset_type = 'COCOImageLabelDataset'
data_root = 'data/coco14'
num_classes = 81  # with the background

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='train2014'),
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
