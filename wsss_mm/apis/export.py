"""Masks of images as files that other programs read, and corrected ones back."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

from wsss_mm.apis.results import CAMResult, SegmentationResult
from wsss_mm.io.annotations import (
    AnnotatedMask,
    COCOWriter,
    CVATWriter,
    read_coco_masks,
    read_cvat_masks,
    read_labelme_masks,
    write_labelme,
)
from wsss_mm.io.image_file import save_picture
from wsss_mm.io.mask_file import save_mask, save_png
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import draw_mask

Result = CAMResult | SegmentationResult
# The file or folder of each format, below the folder of the results.
PLACES = {
    'coco': 'coco.json',
    'coco-polygons': 'coco_polygons.json',
    'cvat': 'cvat.xml',
    'labelme': 'labelme',
    'grey': 'grey',
    'overlays': 'overlays',
}
# What a person corrects is not written over.
CORRECTED = ('coco', 'coco-polygons', 'cvat', 'labelme')


class MaskExport:
    """Write the masks of images in formats of other programs.

    ``coco`` has run lengths, which are exact for any shape, ``coco-polygons`` outlines;
    ``labelme`` and ``cvat`` have polygons painted in their order; ``grey`` is PNG with
    class indices as grey values, ``overlays`` are pictures of image and mask.

    Args:
        folder: Receives the files.
        formats: Which of `PLACES`.
        overwrite: Whether to write over annotations that are there.

    Raises:
        InputError: If there is no such format, or annotations are there already.

    Reference:
        Lin et al., ECCV 2014 (COCO); the file formats of labelme 5 and of CVAT for
        images 1.1.
    """

    def __init__(
        self, folder: str | Path, formats: Sequence[str], *, overwrite: bool = False
    ) -> None:
        self.folder = Path(folder)
        self.output = OutputFolder(folder)
        self.formats = tuple(dict.fromkeys(formats))
        for name in self.formats:
            if name not in PLACES:
                raise InputError(
                    f'no format {name!r}; there are {", ".join(PLACES)}, and masks '
                    'are written anyway'
                )
            place = self.folder / PLACES[name]
            if name in CORRECTED and place.exists() and not overwrite:
                raise InputError(
                    f'{place} is there already, and somebody may have corrected it; '
                    'choose another --out, or add --overwrite'
                )
        self.writers: dict[str, COCOWriter | CVATWriter] = {}

    def add(self, result: Result) -> None:
        """Take the mask of an image.

        Args:
            result: Of an inferencer.

        Raises:
            InputError: If a file cannot be written.
        """
        suffix = '.png' if result.path is None else result.path.suffix
        image = f'{result.name}{suffix}'
        for name in self.formats:
            if name in ('coco', 'coco-polygons', 'cvat'):
                self._writer(name, result.class_names).add(image, result.mask)
            elif name == 'labelme':
                stem = self.output.path_of(result.name, '', folder=PLACES[name])
                write_labelme(
                    f'{stem}.json',
                    result.mask,
                    image=result.path or image,
                    class_names=result.class_names,
                )
            else:
                path = self.output.path_of(result.name, '.png', folder=PLACES[name])
                save_as_picture(name, path, result)

    def _writer(self, name: str, classes: Sequence[str]) -> COCOWriter | CVATWriter:
        """Give what gathers a file of all images."""
        if name not in self.writers:
            self.writers[name] = (
                CVATWriter(classes)
                if name == 'cvat'
                else COCOWriter(classes, polygons=name == 'coco-polygons')
            )
        return self.writers[name]

    def close(self) -> dict[str, Path]:
        """Write the files of all images; say where each format is.

        Raises:
            InputError: If a file cannot be written.
        """
        for name, writer in self.writers.items():
            writer.save(self.folder / PLACES[name])
        return {name: self.folder / PLACES[name] for name in self.formats}


def save_as_picture(name: str, path: Path, result: Result) -> None:
    """Write a mask as grey values, or over its image."""
    if name == 'grey':
        save_png(path, Image.fromarray(result.mask))
    else:
        save_picture(path, draw_mask(result.image, result.mask, result.palette))


def read_annotations(
    path: str | Path, class_names: Sequence[str]
) -> Iterator[AnnotatedMask]:
    """Read masks that a person corrected in another program.

    Args:
        path: COCO (``.json``), CVAT for images (``.xml``), or a folder of labelme.
        class_names: Names of the K classes, background first.

    Raises:
        InputError: If there is no such file, or it is not as expected.

    Reference:
        As of :class:`MaskExport`.
    """
    path = Path(path)
    if path.is_dir():
        return read_labelme_masks(path, class_names)
    readers: dict[str, Callable[..., Iterator[AnnotatedMask]]] = {
        '.json': read_coco_masks,
        '.xml': read_cvat_masks,
    }
    if path.suffix.lower() not in readers:
        raise InputError(
            f'{path}: give COCO (.json), CVAT for images (.xml), or a folder of labelme'
        )
    return readers[path.suffix.lower()](path, class_names)


def import_masks(
    path: str | Path,
    out: str | Path,
    *,
    class_names: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> int:
    """Write the masks of corrected annotations as palette PNG.

    Args:
        path: As `read_annotations` takes it.
        out: Folder that receives ``<image>.png``.
        class_names: Names of the K classes, background first.
        palette: RGB colour of each class, values in 0..255.

    Returns:
        How many images there were.

    Raises:
        InputError: If annotations cannot be read, or masks not written.

    Reference:
        As of :class:`MaskExport`.
    """
    output = OutputFolder(out)
    count = 0
    for one in read_annotations(path, class_names):
        save_mask(output.path_of(one.name, '.png'), one.mask, palette)
        count += 1
    return count
