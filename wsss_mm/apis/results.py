"""What the inferencers say of one image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.image_file import save_picture
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.visualization import draw_cam, draw_mask, draw_tags, side_by_side

Maps = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """What a segmenter says of one image.

    Attributes:
        name: Of the image: its path below the folder that was given, without extension,
            the name of its file, or a number for an array.
        image: RGB values, uint8 (H, W, 3).
        mask: Class indices, 0 for the background, uint8 (H, W).
        class_names: Names of the K classes, background first.
        palette: RGB colour of each class, values in 0..255.
        path: Of the image's file; None for an array.
    """

    name: str
    image: Picture
    mask: Picture
    class_names: tuple[str, ...]
    palette: Sequence[Sequence[int]]
    path: Path | None = None

    def picture(self) -> Picture:
        """Draw image and mask side by side, RGB, uint8 (H, W', 3)."""
        mask = draw_mask(self.image, self.mask, self.palette)
        return side_by_side([self.image, mask])

    def save(self, folder: str | Path) -> None:
        """Write ``masks/<name>.png`` and ``pictures/<name>.png`` into a folder.

        Args:
            folder: Where to write; made if it is not there.

        Raises:
            InputError: If they cannot be written.
        """
        output = OutputFolder(folder)
        path = output.path_of(self.name, '.png', folder='masks')
        save_mask(path, self.mask, self.palette)
        picture = output.path_of(self.name, '.png', folder='pictures')
        save_picture(picture, self.picture())


@dataclass(frozen=True, kw_only=True)
class CAMResult:
    """What a CAM network says of one image.

    Attributes:
        name: As in :class:`SegmentationResult`.
        image: RGB values, uint8 (H, W, 3).
        classes: Names of the classes that have a CAM, in the dataset's order.
        cams: Their normalised CAMs, float32 (n, H, W), below 1.
        mask: Class indices, 0 for the background, uint8 (H, W).
        tag_scores: Probability of each foreground class, in [0, 1].
        class_names: Names of the K classes, background first.
        palette: RGB colour of each class, values in 0..255.
        path: Of the image's file; None for an array.
    """

    name: str
    image: Picture
    classes: tuple[str, ...]
    cams: Maps
    mask: Picture
    tag_scores: Mapping[str, float]
    class_names: tuple[str, ...]
    palette: Sequence[Sequence[int]]
    path: Path | None = None

    def picture(self) -> Picture:
        """Draw the tagged image, its CAMs and its mask side by side, (H, W', 3)."""
        mask = draw_mask(self.image, self.mask, self.palette)
        cams = [
            draw_tags(draw_cam(self.image, cam), [name])
            for name, cam in zip(self.classes, self.cams)
        ]
        return side_by_side([draw_tags(self.image, self.classes), *cams, mask])

    def save(self, folder: str | Path) -> None:
        """Write ``cams``, ``masks`` and ``pictures`` of the image into a folder.

        The files have the forms of `generate_cams`.

        Args:
            folder: Where to write; made if it is not there.

        Raises:
            InputError: If they cannot be written.
        """
        output = OutputFolder(folder)
        indices = [self.class_names.index(name) - 1 for name in self.classes]
        cams = output.path_of(self.name, '.npz', folder='cams')
        save_cam(cams, np.array(indices, np.int64), self.cams)
        path = output.path_of(self.name, '.png', folder='masks')
        save_mask(path, self.mask, self.palette)
        picture = output.path_of(self.name, '.png', folder='pictures')
        save_picture(picture, self.picture())
