# SeeNet on VOC 2012. No training code was released: batch, rate, decay and steps are
# the paper's; sizes and augmentation are our reading (see README.md).
_base_ = [
    '../_base_/models/seenet_vgg16.py',
    '../_base_/datasets/voc12_square256.py',
    '../_base_/schedules/seenet_25k.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
train_dataloader = dict(batch_size=16)
# Acts like the threshold of the masks on a single class.
background = dict(alpha=3.4)
training_scores = dict(low_alpha=2, high_alpha=8)
