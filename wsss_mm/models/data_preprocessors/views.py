"""Views: what of a batch the network gets to see, made on the training device."""

from functools import partial

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from wsss_mm.functional import EquivariantTransform, tile_image
from wsss_mm.functional.equivariance import cells_of_view
from wsss_mm.functional.puzzle import pieces_per_side
from wsss_mm.models.structures import View, identity
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

Size = tuple[int, int]


def on_cam(cam: Tensor, *, transform: EquivariantTransform, full: Size) -> Tensor:
    """Move a CAM of the full view as its image was moved.

    Args:
        cam: Pixels (B, *, H, W), or feature cells (B, *, h, w).
        transform: What was done to the image.
        full: (H, W) of the image before.

    Returns:
        Pixels (B, *, H', W'), or the cells that a network gives for such an image.
    """
    view = transform.size(full)
    height = cells_of_view(cam.shape[-2], full[0], view[0])
    width = cells_of_view(cam.shape[-1], full[1], view[1])
    return transform(cam, size=(height, width))


@MODELS.register_module()
class EquivariantViews(BaseDataPreprocessor):
    """Give the network every batch twice: as it is, and transformed.

    In training ``inputs`` becomes ``{'full': View, 'transformed': View}``; in
    testing the wrapped preprocessor's output passes through untouched. One
    transform is drawn for a batch, from torch's generator.

    Args:
        preprocessor: Config of the wrapped preprocessor (``SegDataPreProcessor``).
        scale: Factor of the second view's height and width. SEAM uses 0.3.
        flip: Mirror the second view with probability one half.
        max_angle: Largest rotation either way, in degrees.
        max_translate: Largest shift either way, as a fraction of height and width.

    Note:
        SEAM's released code only rescales; the other transforms are those of the
        paper's table 2 (CVPR 2020).
    """

    def __init__(
        self,
        preprocessor: dict,
        *,
        scale: float = 0.3,
        flip: bool = False,
        max_angle: float = 0.0,
        max_translate: float = 0.0,
    ) -> None:
        super().__init__()
        if max_angle < 0 or not 0 <= max_translate < 1:
            raise InputError(
                f'max_angle {max_angle} must not be negative and max_translate '
                f'{max_translate} must be in [0, 1)'
            )
        self.preprocessor = MODELS.build(preprocessor)
        self.scale = scale
        self.flip = flip
        self.max_angle = max_angle
        self.max_translate = max_translate

    def draw(self) -> EquivariantTransform:
        """Draw the transform of one batch."""
        if not (self.flip or self.max_angle or self.max_translate):
            return EquivariantTransform(scale=self.scale)
        flip, angle, down, right = torch.rand(4).tolist()
        return EquivariantTransform(
            scale=self.scale,
            flip=self.flip and flip < 0.5,
            angle=self.max_angle * (2 * angle - 1),
            translate=(
                self.max_translate * (2 * down - 1),
                self.max_translate * (2 * right - 1),
            ),
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collate a batch and, in training, add its views."""
        batch = self.preprocessor(data, training)
        if training:
            image, transform = batch['inputs'], self.draw()
            move = partial(on_cam, transform=transform, full=tuple(image.shape[-2:]))
            batch['inputs'] = {
                'full': View(image, identity),
                'transformed': View(transform(image), move),
            }
        return batch


@MODELS.register_module()
class PuzzleViews(BaseDataPreprocessor):
    """Give the network every batch twice: as it is, and in pieces.

    In training ``inputs`` becomes ``{'full': View, 'tiles': View}``, with the views
    of the wrapped preprocessor where that makes views too; in testing its output
    passes through untouched.

    Args:
        preprocessor: Config of the wrapped preprocessor: ``SegDataPreProcessor``, or
            ``EquivariantViews`` for both kinds of views.
        pieces: How many pieces an image is cut into, a square number.

    Raises:
        ValueError: If the number of pieces is not a square.
    """

    def __init__(self, preprocessor: dict, *, pieces: int = 4) -> None:
        super().__init__()
        pieces_per_side(pieces)
        self.preprocessor = MODELS.build(preprocessor)
        self.pieces = pieces

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collate a batch and, in training, add its views."""
        batch = self.preprocessor(data, training)
        if training:
            views = batch['inputs']
            if isinstance(views, Tensor):
                views = {'full': View(views, identity)}
            tile = partial(tile_image, pieces=self.pieces)
            tiles = View(tile(views['full'].image), tile)
            batch['inputs'] = {**views, 'tiles': tiles}
        return batch
