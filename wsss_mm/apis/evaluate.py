"""Score a folder of masks or CAM files against true masks, without a network."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsss_mm.apis.background_threshold import AUTO, choose_from_files
from wsss_mm.datasets.image_files import (
    IMAGE_SUFFIXES,
    ImageFolder,
    file_of_image,
    read_id_list,
)
from wsss_mm.datasets.mask_values import classes_drawn_as_ignored, count_values
from wsss_mm.engine.hooks.pseudo_label_hook import MASK_FOLDER
from wsss_mm.evaluation import THRESHOLDS, class_scores, score_curve, summarize
from wsss_mm.functional import (
    confusion_counts,
    threshold_curve,
    threshold_histogram,
)
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.refinement import SeedFiles
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.utils.parallel import map_ordered
from wsss_mm.utils.progress import progress
from wsss_mm.workflow.kept_files import noted_threshold

IMAGES_PER_TASK = 16
# Fewer images than this are scored before a line of progress could be read.
SHOW_FROM = 200
Counts = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Tally:
    """Pixels of some images.

    Attributes:
        counts: By true class and prediction.
        values: By value of the true mask, shape (256,).
    """

    counts: Counts
    values: Counts

    def __add__(self, other: 'Tally') -> 'Tally':
        return Tally(self.counts + other.counts, self.values + other.values)


def evaluate_masks(
    predictions: str | Path,
    ground_truth: str | Path,
    *,
    names: str | Path | Sequence[str],
    classes: Sequence[str],
    threshold: float | str | None = None,
    curve: bool = False,
    images: str | Path | None = None,
    workers: int = 0,
) -> dict[str, Any]:
    """Score masks (``.png``) or CAM files (``.npz``) against true masks.

    The first name decides which of the two are read.

    Args:
        predictions: Folder of the files, named by image.
        ground_truth: Folder of palette or grey PNG masks; 255 is ignored.
        names: The images, or the list file that names them.
        classes: Names of the classes, background first; at most 255.
        threshold: Background threshold of CAM files, in [0, 1), or ``'auto'``: the one
            that was chosen for the masks beside them, or one chosen from `images`.
        curve: Whether to score CAM files at every threshold from 0.00 to 0.59 too.
        images: Folder of the images, for ``'auto'``.
        workers: Processes that read files, 0 for none.

    Returns:
        ``images`` (how many), ``mIoU`` and the other figures in percent, ``classes``
        (per class) and, with `curve`, ``mIoU_best``, ``best_threshold`` and ``curve``.
        Without a threshold ``best_classes`` takes the place of ``classes``.

    Raises:
        InputError: If a file is missing, damaged or of another size, or the arguments
            do not fit what the folder holds.

    Reference:
        The mean over all classes and pixels of the list, as SEAM's released evaluation
        counts it; see docs/protocol.md.
    """
    predictions, ground_truth = Path(predictions), Path(ground_truth)
    check_classes(classes)
    source = None
    if isinstance(names, (str, Path)):
        source, names = names, read_id_list(names)
    listed = list(names)
    kind = find_kind(predictions, listed[0]) if listed else ''
    check_arguments(predictions, kind, threshold=threshold, curve=curve)
    automatic = threshold == AUTO
    if automatic:
        threshold = automatic_threshold(
            predictions, listed, images=images, source=source, workers=workers
        )
    fixed = None if threshold is None else float(threshold)
    chosen = () if fixed is None else (fixed,)
    thresholds = sorted({*(THRESHOLDS if curve else ()), *chosen})
    count = partial(
        count_images,
        predictions=predictions,
        ground_truth=ground_truth,
        kind=kind,
        num_classes=len(classes),
        thresholds=thresholds,
    )
    tally = count_all(listed, count, workers)
    counts = tally.counts
    warn(predictions, ground_truth, listed, kind=kind, tally=tally, classes=classes)
    if kind == '.png':
        summary = summarize(counts, classes)
    else:
        summary = summarize_cams(
            counts, classes, thresholds, threshold=fixed, curve=curve
        )
    if automatic:
        summary['threshold_chosen'] = 'without ground truth'
    return {'images': len(listed), **summary}


def warn(
    predictions: Path,
    ground_truth: Path,
    listed: Sequence[str],
    *,
    kind: str,
    tally: Tally,
    classes: Sequence[str],
) -> None:
    """Warn of figures that mean nothing."""
    suspicious, _ = classes_drawn_as_ignored(tally.values, classes)
    if suspicious:
        LOGGER.warning(f'{ground_truth}: {suspicious}')
    same = [
        name
        for name in listed
        if os.path.samefile(
            locate(predictions, name, kind), locate(ground_truth, name, '.png')
        )
    ]
    if same:
        LOGGER.warning(
            f'{len(same)} of {len(listed)} predictions are the true masks themselves, '
            f'by a link or one folder; the first is that of {same[0]}'
        )


def summarize_cams(
    histogram: Counts,
    classes: Sequence[str],
    thresholds: Sequence[float],
    *,
    threshold: float | None,
    curve: bool,
) -> dict[str, Any]:
    """Score CAMs at the fixed threshold, over the curve, or both."""
    confusions = dict(zip(thresholds, threshold_curve(histogram)))
    points = None
    if curve:
        every = score_curve(histogram, thresholds)
        points = [point for point in every if point['threshold'] in THRESHOLDS]
    confusion = None if threshold is None else confusions[threshold]
    summary = summarize(confusion, classes, threshold=threshold, curve=points)
    if threshold is None:
        best = confusions[summary['best_threshold']]
        summary['best_classes'] = class_scores(best, classes)
    return dict(summary)


def check_classes(classes: Sequence[str]) -> None:
    """Refuse a class list that no mask file can hold."""
    if not 2 <= len(classes) <= 255:
        raise InputError(
            f'{len(classes)} classes: give 2 to 255, counting the background'
        )


def check_arguments(
    predictions: Path, kind: str, *, threshold: float | str | None, curve: bool
) -> None:
    """Refuse arguments that do not fit what the folder holds."""
    if not kind:
        raise InputError('the list of images is empty; name at least one')
    if kind == '.npz' and threshold is None and not curve:
        raise InputError(
            f'{predictions} holds CAM files: add --curve, or --threshold 0.26 or '
            'whichever background threshold the masks shall have'
        )
    if kind == '.png' and (curve or threshold is not None):
        raise InputError(
            f'{predictions} holds masks, which have no threshold any more: leave '
            '--curve and --threshold out, or give the folder of the CAM files'
        )
    if isinstance(threshold, str):
        if threshold != AUTO:
            raise InputError(f'threshold {threshold!r}; give a number or {AUTO!r}')
    elif threshold is not None and not 0 <= threshold < 1:
        raise InputError(f'threshold {threshold}: give a number in [0, 1)')


def automatic_threshold(
    predictions: Path,
    names: Sequence[str],
    *,
    images: str | Path | None,
    source: str | Path | None,
    workers: int,
) -> float:
    """Find the threshold that was chosen for these CAM files, or choose one.

    A threshold is chosen once, over the list that masks are made for: where the masks
    beside the CAM files have one, that one is scored.
    """
    if images is None:
        noted = noted_threshold(predictions.with_name(MASK_FOLDER))
        if noted is not None:
            return noted
    if images is None:
        raise InputError(
            f'threshold {AUTO!r} looks at the images: add --images, their folder'
        )
    folder = ImageFolder(images)
    files = [
        SeedFiles(
            Path(images) / folder.find(name, source=source or 'the list'),
            locate(predictions, name, '.npz'),
        )
        for name in names
    ]
    return choose_from_files(files, workers=workers)


def locate(folder: Path, name: str, kind: str) -> Path:
    """Give the file of an image; the id may carry the extension of the image."""
    path = folder / f'{name}{kind}'
    if path.is_file():
        return path
    is_file = name.lower().endswith(IMAGE_SUFFIXES)
    found = Path(file_of_image(folder, name if is_file else f'{name}{kind}', kind))
    return found if is_file or found.is_file() else path


def find_kind(folder: Path, name: str) -> str:
    """Say by the first name whether a folder holds CAM files or masks."""
    for kind in ('.npz', '.png'):
        if locate(folder, name, kind).is_file():
            return kind
    raise InputError(
        f'no prediction {folder / name}.npz or .png; give the folder that `wsss cams` '
        'or `wsss test` wrote for this list'
    )


def count_images(
    names: Sequence[str],
    *,
    predictions: Path,
    ground_truth: Path,
    kind: str,
    num_classes: int,
    thresholds: Sequence[float],
) -> Tally:
    """Count the pixels of some images.

    Returns:
        As counts for masks the confusion, shape (K, K); for CAMs the threshold
        histogram, shape (T + 1, K, K).
    """
    total: Any = 0
    values: Any = 0
    for name in names:
        path = locate(predictions, name, kind)
        gt_path = locate(ground_truth, name, '.png')
        gt = load_mask(gt_path, num_classes=num_classes)
        values = values + count_values(gt)
        if kind == '.npz':
            classes, maps = load_cam(path, num_classes=num_classes - 1)
            size = maps.shape[1:]
        else:
            mask = load_mask(path, num_classes=num_classes)
            size = mask.shape
        if size != gt.shape:
            raise InputError(
                f'{path} is {size[0]}x{size[1]} (height x width), its ground truth '
                f'{gt_path} {gt.shape[0]}x{gt.shape[1]}: predict at the size of the '
                'original image'
            )
        try:
            if kind == '.npz':
                total += threshold_histogram(
                    maps, classes, gt, num_classes=num_classes, thresholds=thresholds
                )
            else:
                total += confusion_counts(mask, gt, num_classes)
        except ValueError as error:
            raise InputError(f'{path}: {error}') from error
    return Tally(np.asarray(total), np.asarray(values))


def count_all(names: Sequence[str], count: Any, workers: int) -> Tally:
    """Sum the counts of all images over worker processes."""
    tasks = [
        names[i : i + IMAGES_PER_TASK] for i in range(0, len(names), IMAGES_PER_TASK)
    ]
    if len(names) < SHOW_FROM:
        tally: Tally = reduce(add, map_ordered(count, tasks, workers))
        return tally
    done = progress(len(names))

    def counted() -> Iterator[Tally]:
        for task, found in zip(tasks, map_ordered(count, tasks, workers)):
            for _ in task:
                done()
            yield found

    summed: Tally = reduce(add, counted())
    return summed
