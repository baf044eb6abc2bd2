"""The images that an inferencer is given: paths, folders, arrays, or lists of them."""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsss_mm.datasets.image_files import IMAGE_SUFFIXES
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.image_id import compose
from wsss_mm.utils.errors import InputError

Array = npt.NDArray[np.uint8]
ImageInput = str | Path | Array
ImageInputs = ImageInput | Iterable[ImageInput]


@dataclass(frozen=True)
class NamedImage:
    """One image to predict.

    Attributes:
        name: Its path below the folder that was given, without extension; the name of
            the file; or a number for an array.
        path: Its file; None for an array.
        array: BGR values, uint8 (H, W, 3); None for a file.
    """

    name: str
    path: Path | None = None
    array: Array | None = None

    def results(self) -> dict[str, Any]:
        """Begin the results that a pipeline works on."""
        if self.array is not None:
            return dict(img=self.array, img_id=self.name)
        return dict(img_path=str(self.path), img_id=self.name)

    def read(self) -> Array:
        """Read the RGB values, uint8 (H, W, 3).

        Raises:
            InputError: If the file is missing, truncated or not an image.
        """
        if self.array is not None:
            return np.ascontiguousarray(self.array[..., ::-1])
        return read_rgb(str(self.path))


def list_images(images: ImageInputs) -> list[NamedImage]:
    """List the images that were given.

    Args:
        images: A path, a folder (with its sub-folders), a pattern such as ``*.jpg``, a
            BGR array, uint8 of shape (H, W, 3), or several of these.

    Raises:
        InputError: If there is no such file, a folder holds no image, an array has
            another form, or two images have one name.
    """
    if isinstance(images, (str, Path, np.ndarray)):
        images = [images]
    images = list(images)
    found = [one for number, item in enumerate(images) for one in expand(item, number)]
    found = with_folders(found, images)
    if not found:
        raise InputError('no image was given; name a file or a folder')
    seen: dict[str, NamedImage] = {}
    for one in found:
        name = compose(one.name)
        if name in seen:
            raise InputError(
                f'{seen[name].path or one.name} and {one.path or one.name} have '
                'one name, so their results would overwrite each other; give the '
                'folder that holds both, or predict them one after the other'
            )
        seen[name] = one
    return found


def expand(item: ImageInput, number: int) -> Iterator[NamedImage]:
    """List the images of a path, a folder or an array."""
    if isinstance(item, np.ndarray):
        if item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3:
            raise InputError(
                f'image {number} is {item.dtype} of shape {item.shape}; give BGR '
                'values as mmcv.imread does, uint8 of shape (H, W, 3)'
            )
        yield NamedImage(f'{number:06d}', array=item)
        return
    path = Path(item)
    if '*' in str(item) and not path.exists():
        yield from matching(path)
    elif path.is_dir():
        files = sorted(
            one for one in path.rglob('*') if one.suffix.lower() in IMAGE_SUFFIXES
        )
        if not files:
            raise InputError(f'{path}: no image in this folder ({SUFFIXES})')
        for file in files:
            name = file.relative_to(path).with_suffix('').as_posix()
            yield NamedImage(name, path=file)
    elif path.is_file():
        yield NamedImage(path.stem, path=path)
    else:
        raise InputError(f'{path}: no such image or folder')


SUFFIXES = ', '.join(IMAGE_SUFFIXES)


def matching(pattern: Path) -> Iterator[NamedImage]:
    """List the images of a pattern, called by their paths below its fixed part."""
    fixed = next(one for one in pattern.parents if '*' not in str(one))
    files = sorted(
        file
        for file in fixed.glob(str(pattern.relative_to(fixed)))
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
    )
    if not files:
        raise InputError(f'{pattern}: no image ({SUFFIXES}) is called like this')
    for file in files:
        yield NamedImage(file.relative_to(fixed).with_suffix('').as_posix(), path=file)


def with_folders(
    images: list[NamedImage], given: Collection[object]
) -> list[NamedImage]:
    """Call images that were named one by one by their folders too, if need be.

    That is what a shell makes of ``photos/*/*.jpg``.

    Args:
        images: All images.
        given: What was named.
    """
    named = {str(item) for item in given if not isinstance(item, np.ndarray)}
    single = [one.path for one in images if one.path and str(one.path) in named]
    if len({compose(path.stem) for path in single}) == len(single):
        return images
    root = os.path.commonpath([path.resolve().parent for path in single])
    names = {
        path: path.resolve().relative_to(root).with_suffix('').as_posix()
        for path in single
    }
    return [
        replace(one, name=names[one.path]) if one.path in names else one
        for one in images
    ]
