"""Puzzle: an image's CAM should be that of its pieces put together.

Reference:
    Jo and Yu, "Puzzle-CAM: Improved localization via matching partial and full
    features", ICIP 2021, arXiv:2101.11253, and its released code,
    https://github.com/shjo-april/PuzzleCAM.
"""

import math

import torch
from torch import Tensor

EPS = 1e-5
MASKINGS = ('tags', 'none', 'selection')
DISTANCES = ('l1', 'l2')


def pieces_per_side(pieces: int) -> int:
    """Return the square root of a square number of pieces.

    Raises:
        ValueError: If the number is not a square, or less than 1.

    Example:
        >>> pieces_per_side(9)
        3
    """
    side = math.isqrt(max(pieces, 0))
    if side < 1 or side * side != pieces:
        raise ValueError(f'pieces must be a square number such as 4 or 9, got {pieces}')
    return side


def tile_image(maps: Tensor, pieces: int = 4) -> Tensor:
    """Cut a batch into square pieces, row by row.

    Args:
        maps: Images or CAMs, shape (B, C, H, W).
        pieces: How many pieces an image is cut into, a square number S^2.

    Returns:
        The pieces, shape (S^2 B, C, H / S, W / S): the first piece of all images,
        then the second of all of them, and so on.

    Raises:
        ValueError: If the sides cannot be cut into equal parts.

    Example:
        >>> tile_image(torch.arange(4.0).view(1, 1, 2, 2)).flatten()
        tensor([0., 1., 2., 3.])
    """
    side = pieces_per_side(pieces)
    if maps.ndim != 4 or maps.shape[-2] % side or maps.shape[-1] % side:
        raise ValueError(
            f'{pieces} pieces need a batch of shape (B, C, H, W) with sides that '
            f'{side} divides, got {tuple(maps.shape)}; choose such a crop size'
        )
    rows = maps.chunk(side, dim=2)
    return torch.cat([tile for row in rows for tile in row.chunk(side, dim=3)])


def merge_tiles(tiles: Tensor, pieces: int = 4) -> Tensor:
    """Put the pieces of a batch together again, as `tile_image` cut it.

    Args:
        tiles: Images or CAMs of the pieces, shape (S^2 B, C, h, w).
        pieces: How many pieces an image was cut into, S^2.

    Returns:
        Whole maps, shape (B, C, S h, S w).

    Raises:
        ValueError: If the batch is not a multiple of the pieces.

    Example:
        >>> merge_tiles(torch.arange(4.0).view(4, 1, 1, 1))[0, 0]
        tensor([[0., 1.],
                [2., 3.]])
    """
    side = pieces_per_side(pieces)
    if tiles.ndim != 4 or len(tiles) == 0 or len(tiles) % pieces:
        raise ValueError(
            f'tiles must have the shape ({pieces} B, C, h, w), got {tuple(tiles.shape)}'
        )
    parts = tiles.chunk(pieces)
    rows = [torch.cat(parts[i : i + side], dim=3) for i in range(0, pieces, side)]
    return torch.cat(rows, dim=2)


def reconstruction_loss(
    cam: Tensor,
    merged: Tensor,
    labels: Tensor,
    *,
    masking: str = 'tags',
    distance: str = 'l1',
) -> Tensor:
    """Compare the CAM of an image with that of its pieces.

    Args:
        cam: Raw CAM of the full images, shape (B, C, h, w).
        merged: Raw CAM of their pieces, put together, shape (B, C, h, w).
        labels: Multi-hot image tags, shape (B, C).
        masking: What a class that is not in an image does: 'tags' compares nothing,
            but counts it in the mean; 'selection' leaves it out of the image's mean;
            'none' compares it too.
        distance: 'l1' or 'l2', the mean absolute or squared difference.

    Returns:
        The mean over cells, classes and images; both sides receive gradients.

    Raises:
        ValueError: If shapes do not fit, or there is no such masking or distance.

    Note:
        Where the released code divides by the classes of an image without tags, and
        gets NaN, 'selection' counts it as zero.

    Example:
        >>> cam, tags = torch.zeros(1, 2, 1, 1), torch.tensor([[1.0, 0.0]])
        >>> reconstruction_loss(cam, cam + 1, tags)
        tensor(0.5000)
    """
    if cam.ndim != 4 or cam.shape != merged.shape or labels.shape != cam.shape[:2]:
        raise ValueError(
            'cam and merged must share one shape (B, C, h, w), labels be (B, C), got '
            f'{tuple(cam.shape)}, {tuple(merged.shape)} and {tuple(labels.shape)}'
        )
    if masking not in MASKINGS or distance not in DISTANCES:
        raise ValueError(
            f'masking is one of {", ".join(MASKINGS)} and distance one of '
            f'{", ".join(DISTANCES)}, got {masking!r} and {distance!r}'
        )
    gap = (cam - merged).abs()
    cost = (gap if distance == 'l1' else gap.square()).mean(dim=(2, 3))
    if masking == 'none':
        return cost.mean()
    tags = labels.to(cost)
    if masking == 'tags':
        return (cost * tags).mean()
    return ((cost * tags).sum(dim=1) / tags.sum(dim=1).clamp(min=1)).mean()


def tag_entropy(logits: Tensor, eps: float = EPS) -> Tensor:
    """Measure how undecided tag scores are, Puzzle-CAM's optional `conf` loss.

    Args:
        logits: Tag scores of the pieces, shape (B, C).
        eps: Added inside the logarithm.

    Returns:
        Mean over B of the sum over C of -s ln(s + eps), s the sigmoid of the logits.

    Raises:
        ValueError: If the logits have another shape.

    Example:
        >>> tag_entropy(torch.zeros(1, 2))
        tensor(0.6931)
    """
    if logits.ndim != 2:
        raise ValueError(
            f'logits must have the shape (B, C), got {tuple(logits.shape)}'
        )
    scores = logits.sigmoid()
    return -(scores * (scores + eps).log()).sum(dim=1).mean()


def reconstruction_weight(
    step: int, total: int, *, maximum: float = 4.0, ramp: float = 0.5
) -> float:
    """Return the weight of the reconstruction loss, which grows in training.

    Args:
        step: Steps that are done.
        total: Steps of the whole training.
        maximum: The weight it grows to.
        ramp: Part of the training during which it grows, in [0, 1]; 0 for a constant.

    Raises:
        ValueError: If the ramp is not such a part, or there are no steps.

    Example:
        >>> reconstruction_weight(1, 8), reconstruction_weight(6, 8)
        (1.0, 4.0)
    """
    if not 0 <= ramp <= 1 or total < 1 or step < 0:
        raise ValueError(
            'ramp must be in [0, 1], total positive and step not negative, got '
            f'{ramp}, {total} and {step}'
        )
    if ramp == 0:
        return maximum
    return min(maximum * step / (total * ramp), maximum)
