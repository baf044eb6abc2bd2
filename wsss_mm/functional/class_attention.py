"""What the class tokens of a vision transformer attend to.

Reference:
    Xu et al., "Multi-class Token Transformer for Weakly Supervised Semantic
    Segmentation" (MCTformer), CVPR 2022.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .attention_affinity import check_layers
from .grad_cam import stretch


def class_attention(
    attention: Sequence[Tensor], *, layers: int, class_tokens: int = 1
) -> Tensor:
    """Gather how much the class tokens attend to the patches in the last layers.

    Args:
        attention: See `patch_attention`; of each layer (B, heads, M, M).
        layers: How many of the last layers.
        class_tokens: Tokens that precede the N patches.

    Returns:
        Means over heads and layers, shape (B, class_tokens, N).

    Raises:
        ValueError: If there are fewer layers, no class token, or a map is not square
            or too small.

    Reference:
        Xu et al., "Multi-class Token Transformer for Weakly Supervised Semantic
        Segmentation" (MCTformer), CVPR 2022, section 3.3.
    """
    check_layers(attention, layers, class_tokens)
    if class_tokens < 1:
        raise ValueError(f'class_tokens must be positive, got {class_tokens}')
    last = attention[len(attention) - layers :]
    rows = [one[..., :class_tokens, class_tokens:].mean(dim=1) for one in last]
    return torch.stack(rows).mean(dim=0)


def attended_cam(cam: Tensor, attention: Tensor) -> Tensor:
    """Keep of maps what the class tokens attend to: the root of both's product.

    Args:
        cam: Of n classes, not negative, shape (n, h, w).
        attention: Of their class tokens to the cells, or of one for all, shape (n, h w)
            or (1, h w); see `class_attention`.

    Returns:
        Maps in [0, 1), shape (n, h, w): both are stretched before they are multiplied.

    Raises:
        ValueError: If the shapes do not fit, or a map is negative.

    Reference:
        MCTformer (CVPR 2022), section 3.3.
    """
    fits = cam.ndim == 3 and attention.ndim == 2
    if (
        not fits
        or attention.shape[1] != cam[0].numel()
        or (len(attention) not in (1, len(cam)))
    ):
        raise ValueError(
            'cam (n, h, w) and attention (n, h w) or (1, h w) do not fit: '
            f'{tuple(cam.shape)}, {tuple(attention.shape)}'
        )
    if bool((cam < 0).any()):
        raise ValueError('cam must not be negative; rectify it first')
    seen = stretch(attention.view(-1, *cam.shape[1:]))
    return (stretch(cam) * seen).sqrt()
