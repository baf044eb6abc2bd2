"""From what a head predicts of the present classes to CAMs and masks of image files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from wsss_mm.functional import (
    inference_max_norm,
    inference_min_max_norm,
    present_masks,
)
from wsss_mm.models.decode_heads.base_cam_head import BaseCAMHead, resize
from wsss_mm.models.structures import PresentMaps
from wsss_mm.utils.errors import InputError, NotFiniteError

NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    'min_max': inference_min_max_norm,
    'max': inference_max_norm,
    # For maps that a head has normalised in cells.
    'none': lambda maps: maps,
}
AXES = {'horizontal': -1, 'vertical': -2}

Region = tuple[slice, slice]
Fuse = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ViewCAM:
    """What a head predicts of one image in one pass.

    Attributes:
        cam: Its maps of the present classes, shape (n, h, w) or (n, M, h, w).
        classes: Their foreground indices, ascending, shape (n,).
        logits: Logits of the image labels of all classes, shape (C,).
        input_size: (H, W) of the network's input, which the cells cover.
        region: Rows and columns of it where the image is; the rest is padding.
        metainfo: The sample's ``ori_shape`` and, if mirrored, ``flip``.
    """

    cam: Tensor
    classes: Tensor
    logits: Tensor
    input_size: tuple[int, int]
    region: Region
    metainfo: dict

    @property
    def padded(self) -> bool:
        """Say whether the input holds more than the image."""
        return self.region != tuple(slice(0, side) for side in self.input_size)

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (H, W) of the image file."""
        height, width = self.metainfo['ori_shape'][:2]
        return height, width

    def unflip(self, maps: Tensor) -> Tensor:
        """Bring maps (..., h, w) back if the input was mirrored."""
        if not self.metainfo.get('flip', False):
            return maps
        return maps.flip(AXES[self.metainfo['flip_direction']])


def present_classes(sample: BaseDataElement, num_foreground: int) -> Tensor:
    """Give the foreground indices of an image's labels; all where it has none."""
    if 'image_labels' in sample:
        return sample.image_labels.nonzero().flatten()
    return torch.arange(num_foreground)


def image_region(images: Tensor, metainfo: dict) -> Region:
    """Give rows and columns of a batch's images that are not padding.

    Args:
        images: What the data preprocessor gave, shape (B, 3, H, W).
        metainfo: Of the sample; the preprocessor has noted its padding.
    """
    padding = metainfo.get('img_padding_size') or metainfo.get('padding_size')
    left, right, top, bottom = padding or (0, 0, 0, 0)
    height, width = images.shape[-2:]
    return slice(top, height - bottom), slice(left, width - right)


def to_file(head: BaseCAMHead, view: ViewCAM, cam: Tensor) -> Tensor:
    """Bring maps of the present classes to the size of the image file, (n, H, W)."""
    large = cam.new_empty((len(cam), *view.image_size))
    # One class after the other: what a head makes at the input's size is larger still.
    for index in range(len(cam)):
        one = cam[index : index + 1]
        if not view.padded:
            large[index] = head.to_image(one, view.input_size, view.image_size)[0]
            continue
        # Cells lie on the padded input: what is padding is cut off in its pixels.
        pixels = head.to_image(one, view.input_size, view.input_size)
        rows, columns = view.region
        cut = pixels[:, rows, columns]
        large[index] = resize(cut[None], view.image_size)[0, 0]
    return large


def fuse_views(
    head: BaseCAMHead, views: Sequence[ViewCAM], fuse: Fuse, *, linear: bool
) -> Tensor:
    """Fuse the maps of one image over its views, at the size of its file.

    Args:
        head: The head that predicted them.
        views: At least one.
        fuse: How two maps (n, H, W) become one.
        linear: Whether this is a sum: views of one size meet before they are enlarged
            then, if the head's enlarging is linear too.

    Returns:
        The maps of the present classes, shape (n, H, W).
    """
    groups: dict[object, list[ViewCAM]] = {}
    meet = linear and head.linear
    for number, view in enumerate(views):
        # A mirrored image has its padding on the other side.
        together = meet and not view.padded
        key = (view.cam.shape, view.input_size) if together else number
        groups.setdefault(key, []).append(view)
    fused: Tensor | None = None
    for first, *others in groups.values():
        cam = first.unflip(first.cam) if others else first.cam
        for view in others:
            cam = cam + view.unflip(view.cam)
        large = to_file(head, first, cam)
        if not others:
            large = first.unflip(large)
        fused = large if fused is None else fuse(fused, large)
    if fused is None:
        raise ValueError('fusing needs at least one view, got none')
    return fused


def normalise(name: str, raw: Tensor) -> Tensor:
    """Normalise maps (n, H, W), as ``test_cfg.normalization`` says.

    Raises:
        InputError: If there is no such normalisation.
    """
    if name not in NORMALIZATIONS:
        raise InputError(
            f"test_cfg.normalization is '{name}', expected one of "
            f'{sorted(NORMALIZATIONS)}'
        )
    return NORMALIZATIONS[name](raw) if len(raw) else raw


def decide_masks(
    cams: Sequence[Tensor], classes: Sequence[Tensor], *, threshold: float
) -> list[Tensor]:
    """Make the masks (H, W) of some images, those of one size at once.

    Args:
        cams: Per image the normalised maps of its classes, shape (n, H, W).
        classes: Per image their foreground indices, shape (n,).
        threshold: Constant score of the background.
    """
    masks: list[Tensor] = list(cams)
    by_size: dict[object, list[int]] = {}
    for number, cam in enumerate(cams):
        by_size.setdefault(cam.shape[-2:], []).append(number)
    for numbers in by_size.values():
        # An image with fewer classes than another lacks the rest.
        lacking = float('-inf')
        maps = pad_sequence([cams[i] for i in numbers], True, padding_value=lacking)
        indices = pad_sequence([classes[i] for i in numbers], True)
        for i, mask in zip(numbers, present_masks(maps, indices, threshold=threshold)):
            masks[i] = mask
    return masks


def write_predictions(
    samples: Sequence[BaseDataElement],
    raws: Sequence[Tensor],
    views: Sequence[ViewCAM],
    *,
    tag_scores: Sequence[Tensor],
    normalization: str,
    threshold: float,
) -> None:
    """Normalise, decide, and put CAMs, masks and scores into the samples.

    Args:
        samples: The ``SegDataSample`` of every image.
        raws: Per image the raw maps of its classes, shape (n, H, W).
        views: Per image one of its views.
        tag_scores: Per image the probability of each class, shape (C,).
        normalization: ``'min_max'``, ``'max'`` or ``'none'``.
        threshold: Constant score of the background, not negative.

    Raises:
        InputError: If there is no such normalisation, the threshold is negative, or a
            CAM is not finite.
    """
    cams = [normalise(normalization, raw) for raw in raws]
    if not threshold >= 0:
        raise InputError(
            f'the background threshold must be a number >= 0, got {threshold}'
        )
    finite = torch.stack([cam.isfinite().all() for cam in cams]).tolist()
    if not all(finite):
        name = samples[finite.index(False)].metainfo.get('img_path', 'an image')
        raise NotFiniteError(
            f'{name}: the CAM is not finite; the network has diverged, train it with '
            'a lower learning rate'
        )
    masks = decide_masks(cams, [view.classes for view in views], threshold=threshold)
    for sample, raw, cam, mask, view, scores in zip(
        samples, raws, cams, masks, views, tag_scores
    ):
        sample.set_data(
            dict(
                seg_logits=PresentMaps.of(raw, view.classes, len(view.logits)),
                cam=PresentMaps.of(cam, view.classes, len(view.logits)),
                pred_sem_seg=PixelData(data=mask[None]),
                tag_scores=scores,
            )
        )
