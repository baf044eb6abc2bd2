# AffinityNet on the CAMs of CLIP-ES, for chains `rw` and `rw_crf`; not of the paper.
_base_ = ['../affinitynet/affinitynet_r38_voc_affinity.py']
