# COCO 2014 with the seed scores of its tags' classes, for the affinity stage.
_base_ = ['./voc12_affinity.py']
dataset_type = 'COCOImageLabelDataset'
data_root = 'data/coco14'
num_classes = 81  # with the background

images = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='ImageSets/Segmentation/train.txt',
    data_prefix=dict(img_path='train2014'),
    tags='image_labels.csv',
    tag_source='file',
)
train_dataloader = dict(dataset=images)
test_dataloader = dict(dataset=images)
