"""What is known about one image between its CAMs and its pseudo mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.utils.errors import InputError

from .affinity import Affinity


@dataclass(frozen=True)
class Seed:
    """The scores of the classes present in one image.

    Attributes:
        image: RGB colours, uint8, shape (H, W, 3).
        classes: Foreground indices, ascending, shape (n,); n may be 0.
        scores: Of background (zero until a refiner scores it) and classes, float32,
            shape (n + 1, H, W).
        affinity: For the random walk; None if there is none.
        unsure: Pixels that a mask leaves out as 255, bool, shape (H, W); None if there
            are none.

    Raises:
        ValueError: If the arrays do not belong together or a score is not finite.
    """

    image: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    affinity: Affinity | None = None
    unsure: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        image, classes, scores = self.image, self.classes, self.scores
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(
                f'image must be uint8 of shape (H, W, 3), got {image.dtype} '
                f'{image.shape}'
            )
        if classes.ndim != 1 or (classes.size and classes.dtype.kind not in 'iu'):
            raise InputError(f'classes must be integers (n,), got {classes!r}')
        if (np.diff(classes) <= 0).any() or (classes < 0).any():
            raise InputError(f'classes must ascend from 0, got {classes.tolist()}')
        if scores.shape != (len(classes) + 1, *image.shape[:2]):
            raise InputError(
                f'scores {scores.shape} do not fit {len(classes)} classes, the '
                f'background and an image of {image.shape[:2]}'
            )
        if scores.dtype != np.float32 or not np.isfinite(scores).all():
            raise InputError(f'scores must be finite float32, got {scores.dtype}')
        if self.unsure is not None and self.unsure.shape != scores.shape[1:]:
            raise InputError(
                f'unsure {self.unsure.shape} is not of the image {scores.shape[1:]}'
            )


@dataclass(frozen=True)
class SeedFiles:
    """The files of one image; called, it reads them.

    Worker processes call it, so a bad file is one image's error.

    Attributes:
        image: Image file.
        cam: CAM file of the same image.
        num_classes: Foreground classes C; None accepts any.
    """

    image: Path
    cam: Path
    num_classes: int | None = None

    def __call__(self) -> Seed:
        """Read the image and its CAMs; the background scores zero.

        Raises:
            ValueError: If a file is missing, damaged or of another size.
        """
        image = read_rgb(self.image)
        classes, maps = load_cam(self.cam, num_classes=self.num_classes)
        if maps.shape[1:] != image.shape[:2]:
            raise InputError(
                f'{self.cam} holds maps of {maps.shape[1]}x{maps.shape[2]} pixels, but '
                f'the image {self.image} has {image.shape[0]}x{image.shape[1]}; delete '
                'it and run tools/gen_pseudo.py again'
            )
        background = np.zeros((1, *image.shape[:2]), np.float32)
        return Seed(image, classes, np.concatenate([background, maps]))


def seed_mask(seed: Seed) -> npt.NDArray[np.uint8]:
    """Give every pixel its strongest label; the background wins a tie.

    Args:
        seed: With a scored background.

    Returns:
        Indices, 0 for background, i + 1 for foreground class i and 255 for what is
        unsure, shape (H, W).

    Raises:
        ValueError: If a class does not fit a mask.
    """
    if seed.classes.size and seed.classes[-1] > 253:
        raise InputError(f'classes must be in 0..253, got {seed.classes.tolist()}')
    labels = np.concatenate([[0], seed.classes + 1]).astype(np.uint8)
    mask = labels[seed.scores.argmax(axis=0)]
    return mask if seed.unsure is None else np.where(seed.unsure, np.uint8(255), mask)
