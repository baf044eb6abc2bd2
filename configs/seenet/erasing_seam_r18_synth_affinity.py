_base_ = [
    '../_base_/models/affinity_r18.py',
    '../_base_/datasets/synth_voc_affinity.py',
    '../_base_/schedules/affinity_synth.py',
    '../_base_/default_runtime.py',
]
# Train configs/cam/cam_r18_synth_pretrain.py first; the demo does.
load_from = 'work_dirs/cam_r18_synth_pretrain/iter_600.pth'
