"""Equivariance: a CAM should move with its image; SEAM's losses on two views.

Reference:
    Wang et al., "Self-supervised Equivariant Attention Mechanism for Weakly
    Supervised Semantic Segmentation" (SEAM), CVPR 2020, arXiv:2004.04581, and
    its released code, https://github.com/YudeWang/SEAM.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class EquivariantTransform:
    """Move images and their CAMs in the same way: the A(.) of SEAM.

    The rescaling comes first (bilinear, corners aligned, size rounded down), then
    flip, rotation and translation as one affine map with zeros outside. SEAM's
    released code only rescales, by 0.3; its paper also tries the others.

    Attributes:
        scale: Factor on height and width, positive.
        flip: Whether to mirror left and right.
        angle: Rotation about the centre in degrees, counter-clockwise.
        translate: Shift down and to the right, as fractions of H and W.

    Raises:
        ValueError: If the scale is not positive or a number is not finite.

    Example:
        >>> move = EquivariantTransform(scale=1.0, flip=True)
        >>> move(torch.tensor([[[[1.0, 2.0, 3.0]]]]))
        tensor([[[[3., 2., 1.]]]])
    """

    scale: float = 0.3
    flip: bool = False
    angle: float = 0.0
    translate: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse numbers that describe no transform."""
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f'scale must be a positive number, got {self.scale}')
        if not math.isfinite(self.angle):
            raise ValueError(f'angle must be a finite number, got {self.angle}')
        if len(self.translate) != 2 or not all(map(math.isfinite, self.translate)):
            raise ValueError(
                'translate must be two finite fractions (of H, of W), got '
                f'{self.translate}'
            )

    def size(self, full: tuple[int, int]) -> tuple[int, int]:
        """Return the (H', W') to which an image of (H, W) is rescaled.

        Raises:
            ValueError: If nothing would be left.

        Example:
            >>> EquivariantTransform(scale=0.3).size((448, 100))
            (134, 30)
        """
        height, width = (math.floor(side * self.scale) for side in full)
        if 0 in (height, width):
            raise ValueError(
                f'a {full[0]} x {full[1]} batch is too small for scale {self.scale}: '
                'nothing would be left'
            )
        return height, width

    def __call__(self, maps: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Transform a batch.

        Args:
            maps: Normalised images or CAMs, floating point, shape (B, C, H, W).
            size: (H', W') to rescale to. None rounds scale H and scale W down, which
                is right for pixels; a network rounds its cells in its own way.

        Returns:
            The transformed batch, shape (B, C, H', W'); the batch itself where the
            transform changes nothing.

        Raises:
            ValueError: If `maps` has another shape or type, or is too small to be
                rescaled.
        """
        if maps.ndim != 4 or not maps.is_floating_point():
            raise ValueError(
                'the transform needs a floating point batch of shape '
                f'(B, C, H, W), got {tuple(maps.shape)} of {maps.dtype}'
            )
        size = self.size((maps.shape[-2], maps.shape[-1])) if size is None else size
        if size != tuple(maps.shape[-2:]):
            maps = F.interpolate(maps, size, mode='bilinear', align_corners=True)
        if self.angle or any(self.translate):
            return self._move(maps)
        return maps.flip(-1) if self.flip else maps

    def _move(self, maps: Tensor) -> Tensor:
        height, width = maps.shape[-2:]
        cos = math.cos(math.radians(self.angle))
        sin = math.sin(math.radians(self.angle))
        down, right = self.translate
        # Output to input, in coordinates where a side is 2 long: undo the shift,
        # the rotation (a pixel is square, so the sides' ratio enters), the flip.
        rows = torch.tensor(
            [
                [cos, -sin * height / width],
                [sin * width / height, cos],
            ],
            dtype=torch.float64,
        )
        if self.flip:
            rows[0] *= -1
        shift = rows @ torch.tensor([[-2.0 * right], [-2.0 * down]], dtype=rows.dtype)
        theta = torch.cat([rows, shift], dim=1).to(maps).expand(len(maps), 2, 3)
        grid = F.affine_grid(theta, list(maps.shape), align_corners=False)
        return F.grid_sample(
            maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False
        )


def cells_of_view(cells: int, full: int, view: int) -> int:
    """Return how many cells a network gives along a side of another length.

    The stride is read off a side of known length. Networks halve a side some times,
    rounding up (a 3x3 convolution with padding 1, SAME padding, Caffe's pooling), or
    cut patches, rounding down. A power of two is tried first, then any stride.

    Args:
        cells: Cells, or pixels, of the full image along a side.
        full: Pixels of the full image along it.
        view: Pixels of the other image along it.

    Raises:
        ValueError: If a side has no cell, or more cells than pixels.

    Example:
        >>> cells_of_view(56, 448, 134), cells_of_view(448, 448, 134)
        (17, 134)
    """
    if not 1 <= cells <= full or view < 1:
        raise ValueError(
            f'a side of {full} pixels cannot have {cells} cells, nor a view of '
            f'{view} pixels'
        )
    powers = [2**k for k in range(full.bit_length() + 1)]
    for strides in (powers, range(1, full + 1)):
        for stride in strides:
            if -(-full // stride) == cells:
                return -(-view // stride)
        for stride in strides:
            if full // stride == cells:
                return max(1, view // stride)
    raise ValueError(f'no stride gives {cells} cells along {full} pixels')


def equivariance_loss(
    cam: Tensor, cam_transformed: Tensor, *, absent: int = 0
) -> Tensor:
    """Measure how far two CAMs of one image differ (SEAM's ER loss).

    Args:
        cam: Foreground CAM of the full image, already transformed, shape
            (B, C, H, W); absent classes are zero and count.
        cam_transformed: Foreground CAM of the transformed image, shape
            (B, C, H, W).
        absent: Channels left out because both sides are zero there; they count in
            the mean.

    Returns:
        Mean absolute difference over everything; both sides receive gradients.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> equivariance_loss(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
        tensor(1.)
    """
    _check_pair(cam, cam_transformed)
    share = cam.shape[1] / (cam.shape[1] + absent)
    return (cam - cam_transformed).abs().mean() * share


def equivariant_cross_loss(
    refined: Tensor, target: Tensor, *, ratio: float = 0.2, absent: int = 0
) -> Tensor:
    """Compare a refined CAM with the plain CAM of the other view (SEAM's ECR loss).

    Only the winning foreground class of the target counts, and only the entries
    with the largest differences are averaged. SEAM's released code takes a fifth
    of them and adds the two directions; `ratio=1.0` is the paper's plain L1.

    Args:
        refined: PCM output of one view, shape (B, K, H, W); gets the gradient.
        target: Plain CAM of the other view with its background in channel 0,
            shape (B, K, H, W); never gets a gradient.
        ratio: Part of the K H W entries of every sample that is kept, in (0, 1].
        absent: Channels left out because both sides are zero there; they count
            among the entries, but cost nothing.

    Returns:
        Mean of the kept absolute differences.

    Raises:
        ValueError: If the shapes differ, or the ratio keeps no entry.

    Example:
        >>> refined, target = torch.zeros(2, 1, 2, 1, 5)
        >>> refined[0, 1, 0, 3:] = 1.0
        >>> equivariant_cross_loss(refined, target)
        tensor(1.)
    """
    _check_pair(refined, target)
    if not 0 < ratio <= 1:
        raise ValueError(f'ratio must be in (0, 1], got {ratio}')
    difference = (max_onehot(target.detach()) - refined).abs().flatten(1)
    entries = difference.shape[1] // refined.shape[1] * (refined.shape[1] + absent)
    kept = int(entries * ratio)
    if kept == 0:
        raise ValueError(f'ratio {ratio} keeps none of the {entries} entries')
    if kept < difference.shape[1]:
        difference = difference.topk(kept, dim=1, sorted=False).values
    return difference.sum() / (kept * len(difference))


def max_onehot(cam: Tensor) -> Tensor:
    """Keep the strongest foreground class of every pixel, zero the others.

    Values are kept, not set to one; ties all survive.

    Args:
        cam: Maps, shape (B, K, H, W); channel 0, the background, passes through.

    Returns:
        Maps, shape (B, K, H, W).

    Raises:
        ValueError: If there is no foreground channel.

    Example:
        >>> max_onehot(torch.tensor([0.1, 0.2, 0.7]).view(1, 3, 1, 1)).flatten()
        tensor([0.1000, 0.0000, 0.7000])
    """
    if cam.ndim != 4 or cam.shape[1] < 2:
        raise ValueError(
            'cam must have the shape (B, K, H, W) with a background and at least '
            f'one foreground channel, got {tuple(cam.shape)}'
        )
    foreground = cam[:, 1:]
    winner = foreground.amax(dim=1, keepdim=True)
    survivors = foreground.masked_fill(foreground != winner, 0)
    return torch.cat([cam[:, :1], survivors], dim=1)


def min_pool_loss(cam: Tensor) -> Tensor:
    """Push the least activated quarter of the pixels towards zero.

    A pixel is as active as its strongest class.

    Source: SEAM's released code; the paper does not have it. It moves the best
    background threshold rather than the score at that threshold.

    Args:
        cam: Raw refined foreground maps without absent classes, shape
            (B, C, H, W).

    Returns:
        Mean positive activation of the H W // 4 least active pixels of a sample.

    Raises:
        ValueError: If `cam` is not four-dimensional or has fewer than four pixels.

    Example:
        >>> min_pool_loss(torch.tensor([4.0, 3.0, 2.0, 1.0]).view(1, 1, 2, 2))
        tensor(1.)
    """
    if cam.ndim != 4 or cam.shape[1] == 0 or cam.shape[2] * cam.shape[3] < 4:
        raise ValueError(
            'cam must have the shape (B, C, H, W) with a class and at least four '
            f'pixels, got {tuple(cam.shape)}'
        )
    strongest = cam.max(dim=1).values.flatten(1)
    quarter = strongest.shape[1] // 4
    least = strongest.topk(quarter, dim=1, largest=False, sorted=False).values
    return F.relu(least).mean()


def _check_pair(first: Tensor, second: Tensor) -> None:
    if first.ndim != 4 or first.shape != second.shape or first.numel() == 0:
        raise ValueError(
            'both CAMs must share one non-empty shape (B, C, H, W), got '
            f'{tuple(first.shape)} and {tuple(second.shape)}'
        )
