"""Where the results of an image go: inside the output folder, over no other file."""

import os
from collections.abc import Iterable
from pathlib import Path

from wsss_mm.io.array_file import list_members
from wsss_mm.io.atomic import cannot_write
from wsss_mm.io.image_id import normalise_id
from wsss_mm.io.mask_file import MADE_BY
from wsss_mm.io.open_image import open_image
from wsss_mm.utils.errors import InputError

MEMBERS = ({'classes.npy', 'maps.npy'}, {'classes.npy', 'low.npy', 'high.npy'})


class OutputFolder:
    """Name the files that results of images are written to.

    Args:
        root: Folder of the results; it may be a link itself.
        inputs: Folders that are read, such as those of the images and true masks.
    """

    def __init__(self, root: str | Path, *, inputs: Iterable[str | Path] = ()) -> None:
        self.root = Path(root)
        self.inputs: set[str] = set()
        self._made: set[Path] = set()
        self.protect(inputs)

    def protect(self, folders: Iterable[str | Path]) -> None:
        """Let nothing be written into these folders."""
        self.inputs |= {os.path.realpath(folder) for folder in folders}

    def path_of(self, image_id: str, suffix: str, *, folder: str = '') -> Path:
        """Give the path of an image's file; what is there may be written over.

        Args:
            image_id: Of the image.
            suffix: Ending of the file.
            folder: Sub-folder of the results.

        Raises:
            InputError: If the path leads out of the folder, into a folder of inputs, or
                to a file that these tools did not make.
        """
        name = normalise_id(image_id, where=self.root)
        self.check(folder)
        path = self.root / folder / f'{name}{suffix}'
        self._check_place(path.parent)
        if path not in self._made:
            if is_there(path) and not is_own(path):
                raise InputError(
                    f'{path} is there already and was not made by these tools (or is '
                    'damaged); choose another output folder, or move it away'
                )
            self._made.add(path)
        return path

    def check(self, folder: str = '') -> None:
        """Refuse a sub-folder that is read as input or lies elsewhere.

        Args:
            folder: Sub-folder of the results.

        Raises:
            InputError: If nothing may be written there.
        """
        place = self._check_place(self.root / folder)
        if place in self.inputs:
            raise InputError(
                f'{self.root / folder} is read as input (images, masks or the like), '
                'so nothing is written there; choose another output folder'
            )

    def _check_place(self, folder: Path) -> str:
        """Give the real path of a folder; refuse a link to elsewhere."""
        place = os.path.realpath(folder)
        if not is_inside(place, os.path.realpath(self.root)):
            raise InputError(
                f'{folder} is a link that leads out of {self.root}, to {place}; '
                'remove the link, or choose another output folder'
            )
        return place


def is_inside(place: str, folder: str) -> bool:
    """Say whether a real path is a folder or lies below it."""
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


def is_there(path: Path) -> bool:
    """Say whether there is a file, folder or link; refuse a path that cannot be."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    return True


def is_own(path: Path) -> bool:
    """Say whether a file is one that `save_mask`, `save_cam` and the like wrote."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        if path.suffix == '.npz':
            return list_members(path) in MEMBERS
        with open_image(path, kind='file', missing='', remedy='') as image:
            return bool(image.info.get('Software') == MADE_BY)
    except InputError:
        return False
