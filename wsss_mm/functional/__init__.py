"""The methods as maths: functions of tensors and arrays, without any MM package."""

from .affinity import (
    complete_pairs,
    pair_affinity,
    pair_offsets,
    psa_pairs,
    seam_pairs,
)
from .affinity_label import (
    PairLabels,
    affinity_label,
    affinity_loss,
    confident_labels,
    confident_seed,
)
from .attention_affinity import (
    attention_affinity,
    attention_transition,
    box_mask,
    kept_layers,
    patch_attention,
    refine_cam,
    select_attention,
    sinkhorn,
)
from .background import power_background, seed_scores, threshold_background
from .background_threshold import choose_threshold, threshold_separation
from .balanced_loss import balanced_cross_entropy
from .block_gradient import (
    SelfAttention,
    attention_weights_gradient,
    feed_forward_gradient,
    self_attention,
)
from .branch_losses import dice_loss, mutual_loss, trusted_label
from .cam import (
    competing_cam,
    competing_foreground,
    mask_absent,
    sum_views,
    tag_loss,
    upsampled_mean,
    with_background,
)
from .class_attention import attended_cam, class_attention
from .confusion import (
    IoUReport,
    confusion_counts,
    iou_report,
    threshold_curve,
    threshold_histogram,
)
from .dense_affinity import (
    dense_affinity_label,
    dense_affinity_loss,
    feature_affinity,
)
from .dense_crf import (
    CRFParameters,
    crf_parameters,
    dense_crf,
    dense_crf_joint,
    dense_crf_shared,
    label_unary,
    soft_unary,
)
from .edge import edge_affinity, path_groups, path_pixels
from .equivariance import (
    EquivariantTransform,
    cells_of_view,
    equivariance_loss,
    equivariant_cross_loss,
    max_onehot,
    min_pool_loss,
)
from .erasing import (
    attention_mask,
    background_zone,
    c_relu,
    fuse_attention,
    max_views,
    ternary_mask,
)
from .grad_cam import (
    channel_weights,
    grad_cam,
    stretch,
    word_probabilities,
)
from .normalisation import (
    inference_max_norm,
    inference_min_max_norm,
    max_norm,
    normalize_max,
    normalize_min_max,
    peak_norm,
    training_max_norm,
    training_min_max_norm,
)
from .outline import encode_rle, keyholed_outlines, layered_regions, trace_outlines
from .pamr import local_affinity, pamr
from .par import par, par_weights
from .pixel_correlation import pixel_correlation
from .present_mask import present_masks
from .pseudo_mask import cam_to_mask
from .puzzle import (
    merge_tiles,
    reconstruction_loss,
    reconstruction_weight,
    tag_entropy,
    tile_image,
)
from .random_walk import random_walk, transition_matrix
from .rasterize import decode_rle, fill_polygon
from .saliency import saliency_mask

__all__ = [
    'CRFParameters',
    'EquivariantTransform',
    'IoUReport',
    'PairLabels',
    'SelfAttention',
    'affinity_label',
    'affinity_loss',
    'attended_cam',
    'attention_affinity',
    'attention_mask',
    'attention_transition',
    'attention_weights_gradient',
    'background_zone',
    'balanced_cross_entropy',
    'box_mask',
    'c_relu',
    'cam_to_mask',
    'cells_of_view',
    'channel_weights',
    'choose_threshold',
    'class_attention',
    'competing_cam',
    'competing_foreground',
    'complete_pairs',
    'confident_labels',
    'confident_seed',
    'confusion_counts',
    'crf_parameters',
    'decode_rle',
    'dense_affinity_label',
    'dense_affinity_loss',
    'dense_crf',
    'dense_crf_joint',
    'dense_crf_shared',
    'dice_loss',
    'edge_affinity',
    'encode_rle',
    'equivariance_loss',
    'equivariant_cross_loss',
    'feature_affinity',
    'feed_forward_gradient',
    'fill_polygon',
    'fuse_attention',
    'grad_cam',
    'inference_max_norm',
    'inference_min_max_norm',
    'iou_report',
    'kept_layers',
    'keyholed_outlines',
    'label_unary',
    'layered_regions',
    'local_affinity',
    'mask_absent',
    'max_norm',
    'max_onehot',
    'max_views',
    'merge_tiles',
    'min_pool_loss',
    'mutual_loss',
    'normalize_max',
    'normalize_min_max',
    'pair_affinity',
    'pair_offsets',
    'pamr',
    'par',
    'par_weights',
    'patch_attention',
    'path_groups',
    'path_pixels',
    'peak_norm',
    'pixel_correlation',
    'power_background',
    'present_masks',
    'psa_pairs',
    'random_walk',
    'reconstruction_loss',
    'reconstruction_weight',
    'refine_cam',
    'saliency_mask',
    'seam_pairs',
    'seed_scores',
    'select_attention',
    'self_attention',
    'sinkhorn',
    'soft_unary',
    'stretch',
    'sum_views',
    'tag_entropy',
    'tag_loss',
    'ternary_mask',
    'threshold_background',
    'threshold_curve',
    'threshold_histogram',
    'threshold_separation',
    'tile_image',
    'trace_outlines',
    'training_max_norm',
    'training_min_max_norm',
    'transition_matrix',
    'trusted_label',
    'upsampled_mean',
    'with_background',
    'word_probabilities',
]
