"""The background threshold of a folder of CAM files, chosen without masks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsss_mm.evaluation import THRESHOLDS
from wsss_mm.functional import cam_to_mask, choose_threshold, threshold_separation
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.refinement import SeedFiles
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.parallel import map_ordered

AUTO = 'auto'


def separation_of(files: SeedFiles) -> npt.NDArray[np.float64] | None:
    """Measure the thresholds on one image; None if it shows no class."""
    seed = files()
    if len(seed.classes) == 0:
        return None
    score = seed.scores[1:].max(axis=0)
    return threshold_separation(score, seed.image, thresholds=THRESHOLDS)


def choose_from_files(files: Sequence[SeedFiles], *, workers: int) -> float:
    """Choose the background threshold that suits a whole set of CAM files.

    Args:
        files: Image and CAM file of each image.
        workers: Processes that read them.

    Raises:
        ValueError: If a file is missing or damaged, or no image shows a class.
    """
    found = map_ordered(separation_of, files, workers)
    separations = [one for one in found if one is not None]
    if not separations:
        raise InputError(
            'no image has a tag, so there is no background threshold to choose; give '
            '--threshold a number'
        )
    return choose_threshold(np.stack(separations), thresholds=THRESHOLDS)


def write_masks(
    jobs: Iterable[tuple[str, SeedFiles]],
    folder: Path,
    *,
    threshold: float,
    palette: list[list[int]],
) -> None:
    """Turn CAM files into masks at a threshold.

    Args:
        jobs: Name of each image and its files.
        folder: Receives the masks; those that are there are replaced.
        threshold: Of the background.
        palette: RGB colours of the classes.
    """
    output = OutputFolder(folder.parent)
    for name, files in jobs:
        classes, maps = load_cam(files.cam, num_classes=files.num_classes)
        mask = cam_to_mask(maps, classes, threshold=threshold)
        path = output.path_of(name, '.png', folder=folder.name)
        save_mask(path, mask, palette)
