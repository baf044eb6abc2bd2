# The tag classifier that all demo networks start from, in the place of ImageNet
# weights: plain CAM for as long as such a network needs to learn the classes.
_base_ = ['./cam_r18_synth.py']
