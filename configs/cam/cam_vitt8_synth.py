# Attention as affinity, small: a vision transformer learns the tags of SynthVOC from
# nothing, and its own attention refines its CAMs.
_base_ = [
    '../_base_/models/cam_vitt8.py',
    '../_base_/datasets/synth_voc.py',
    '../_base_/schedules/vit_synth.py',
    '../_base_/refinement.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes={{_base_.num_classes}}))
