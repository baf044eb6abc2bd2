# SEAM, the affinity stage: AffinityNet on SEAM's seeds (rate 0.01). On small maps
# SEAM's variant takes a smaller neighbourhood.
_base_ = [
    '../_base_/models/affinity_r38.py',
    '../_base_/datasets/voc12_affinity.py',
    '../_base_/schedules/affinity_poly.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(pairs='seam'))
