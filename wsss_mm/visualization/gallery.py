"""What a report shows of an image: its files, how good they look, and its pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsss_mm.functional import confusion_counts
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask

from .layers import cam_layer, mask_layer, photograph
from .panels import IGNORE

# Shares of an image at which a mask is called empty or full.
EMPTY, FULL = 0.001, 0.95
# A class with less of an image than this does not count as predicted.
SPECK = 0.01
PREDICTION = 'prediction'


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """The files that a run has of one image.

    Attributes:
        name: Of the image: its path below the image folder without extension.
        image: The image file.
        tags: Indices of its tags among the foreground classes; None if unknown.
        cams: CAM files by caption, such as ``CAM``.
        masks: Mask files by caption, in the order of the stages; that of the segmenter
            is called `PREDICTION`.
        truth: The true mask, if there is one.
        group: Which images it belongs to, such as ``training``.
    """

    name: str
    image: Path
    tags: tuple[int, ...] | None = None
    cams: Mapping[str, Path] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    truth: Path | None = None
    group: str = ''


@dataclass(frozen=True, kw_only=True)
class Impression:
    """What can be said of an image without looking at it.

    Attributes:
        miou: IoU of its last mask in percent, mean over the classes that occur; None
            without a true mask.
        margin: How far the strongest score is ahead of the second, in [0, 1], mean over
            the pixels; None without CAMs.
        classes: Indices of the foreground classes in its last mask.
        remarks: Kind and text of what a person should look at.
    """

    miou: float | None = None
    margin: float | None = None
    classes: tuple[int, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One picture of an image.

    Attributes:
        caption: What it shows.
        text: The same in words, for those who do not see it.
        png: Laid over the photograph; None for the photograph itself.
    """

    caption: str
    text: str
    png: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class GalleryImage:
    """An image as the report shows it.

    Attributes:
        files: What it was made of.
        impression: What can be said of it.
        photo: The photograph, a JPEG.
        layers: Its pictures, the photograph first.
    """

    files: ImageFiles
    impression: Impression
    photo: bytes
    layers: tuple[Layer, ...]


def look_at(
    files: ImageFiles, classes: Sequence[str], *, threshold: float = 0.0
) -> Impression:
    """Judge an image by its files, with its true mask if there is one.

    Args:
        files: Of the image.
        classes: Names of all K classes, background first.
        threshold: Score of the background in the CAMs.

    Raises:
        InputError: If a file is missing or damaged.
    """
    count = len(classes)
    masks = {
        caption: load_mask(path, num_classes=count)
        for caption, path in files.masks.items()
    }
    miou, remarks = None, []
    shown: tuple[int, ...] = ()
    if masks:
        last = list(masks.values())[-1]
        shares = class_shares(last, count)
        shown = tuple(int(i) for i in np.flatnonzero(shares[1:] > 0))
        if files.truth is not None:
            miou = image_iou(last, load_mask(files.truth, num_classes=count), count)
    for caption, mask in list(masks.items())[-2:]:
        found = mask_remarks(
            class_shares(mask, count), files.tags, classes, caption=caption
        )
        remarks += [one for one in found if one not in remarks]
    margins = [
        score_margin(load_cam(path, num_classes=count - 1)[1], threshold)
        for path in files.cams.values()
    ]
    return Impression(
        miou=miou,
        margin=margins[-1] if margins else None,
        classes=shown,
        remarks=tuple(remarks),
    )


def class_shares(mask: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.float64]:
    """Give the share of each class among the pixels that are not ignored, (K,)."""
    pixels = np.bincount(mask[mask != IGNORE].ravel(), minlength=count)[:count]
    shares: npt.NDArray[np.float64] = pixels / max(1, pixels.sum())
    return shares


def image_iou(
    mask: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], count: int
) -> float | None:
    """Give the mean IoU of the classes that occur in mask or truth, in percent.

    It orders images. Averaged, it is not an mIoU: that counts the pixels of all images.
    """
    if mask.shape != truth.shape:
        return None
    # Undecided pixels of a mask count neither for nor against it.
    decided = np.where(mask == IGNORE, np.uint8(IGNORE), truth)
    confusion = confusion_counts(mask, decided, count)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    occur = union > 0
    if not occur.any():
        return None
    return float(100 * (np.diag(confusion)[occur] / union[occur]).mean())


def score_margin(cams: npt.NDArray[Any], threshold: float) -> float:
    """Give how far the best score is ahead of the second, mean over the pixels.

    Args:
        cams: Normalised CAMs, shape (n, H, W).
        threshold: Score of the background.
    """
    background = np.full((1, *cams.shape[1:]), threshold, dtype=np.float32)
    scores = np.concatenate([background, cams.astype(np.float32)])
    if len(scores) == 1:
        return 1.0
    second, best = np.partition(scores, -2, axis=0)[-2:]
    return float((best - second).mean())


def mask_remarks(
    shares: npt.NDArray[np.float64],
    tags: Sequence[int] | None,
    classes: Sequence[str],
    *,
    caption: str,
) -> list[tuple[str, str]]:
    """Say what looks wrong in a mask: empty, full, or other classes than the tags.

    Args:
        shares: Share of each class, shape (K,), background first.
        tags: Indices of the tagged foreground classes; None if unknown.
        classes: Names of all K classes, background first.
        caption: What the mask is called.
    """
    foreground = float(shares[1:].sum())
    if foreground <= EMPTY:
        return [('empty', f'{caption}: empty')] if tags is None or len(tags) else []
    found = []
    if foreground >= FULL:
        found.append(('full', f'{caption}: {100 * foreground:.0f} % is foreground'))
    if tags is None:
        return found
    missing = [classes[i + 1] for i in tags if not shares[i + 1]]
    if missing:
        found.append(('missing', f'{caption}: no {", ".join(missing)}, though tagged'))
    more = [
        classes[i]
        for i in range(1, len(classes))
        if shares[i] > SPECK and i - 1 not in tags
    ]
    if more:
        found.append(('untagged', f'{caption}: {", ".join(more)}, though not tagged'))
    return found


def draw_image(
    files: ImageFiles,
    impression: Impression,
    *,
    classes: Sequence[str],
    colours: Sequence[Sequence[int]],
    threshold: float | None = None,
) -> GalleryImage:
    """Draw the photograph and the layers of an image.

    Args:
        files: Of the image.
        impression: From `look_at`.
        classes: Names of all K classes, background first.
        colours: RGB colour of each class.
        threshold: Score of the background, which is outlined in the CAMs.

    Raises:
        InputError: If a file is missing or damaged.
    """
    tags = [classes[i + 1] for i in files.tags or ()]
    tagged = f', tagged {", ".join(tags)}' if tags else ''
    layers = [Layer(caption='image', text=f'Photograph {files.name}{tagged}')]
    for caption, path in files.cams.items():
        indices, maps = load_cam(path, num_classes=len(classes) - 1)
        for index, cam in zip(indices, maps):
            name = classes[int(index) + 1]
            layers.append(
                Layer(
                    caption=f'{caption} of {name}',
                    text=f'{files.name}, {caption} of {name}: '
                    f'{describe_cam(cam, threshold)}',
                    png=cam_layer(cam, threshold=threshold),
                )
            )
    masks = dict(files.masks)
    if files.truth is not None:
        masks['truth'] = files.truth
    for caption, path in masks.items():
        mask = load_mask(path, num_classes=len(classes))
        layers.append(
            Layer(
                caption=caption,
                text=f'{files.name}, {caption}: {describe_mask(mask, classes)}',
                png=mask_layer(mask, colours),
            )
        )
    return GalleryImage(
        files=files,
        impression=impression,
        photo=photograph(read_rgb(files.image)),
        layers=tuple(layers),
    )


def describe_mask(mask: npt.NDArray[np.uint8], classes: Sequence[str]) -> str:
    """Say in words what a mask shows."""
    shares = class_shares(mask, len(classes))
    order = sorted(map(int, np.flatnonzero(shares)), key=lambda i: -shares[i])
    return ', '.join(f'{classes[i]} {max(1, round(100 * shares[i]))} %' for i in order)


def describe_cam(cam: npt.NDArray[Any], threshold: float | None) -> str:
    """Say in words where a CAM is strong."""
    row, column = np.unravel_index(int(np.argmax(cam)), cam.shape)
    vertical = ('upper', 'middle', 'lower')[min(2, 3 * int(row) // cam.shape[0])]
    horizontal = ('left', 'centre', 'right')[min(2, 3 * int(column) // cam.shape[1])]
    text = f'strongest, {float(cam.max()):.2f}, at the {vertical} {horizontal}'
    if threshold is None:
        return text
    share = 100 * float((cam > threshold).mean())
    return f'{text}; {share:.0f} % of the image above {threshold:.2f}'
