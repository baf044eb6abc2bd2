"""Read lists of image ids and find the image that an id means."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from wsss_mm.utils.errors import InputError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
# The lists of PSA and SEAM: "/JPEGImages/<id>.jpg /SegmentationClassAug/<id>.png".
PAIR_LINE = re.compile(r'^/JPEGImages/(?P<id>.+?)\.jpg(\s+/\S+)?$')


def read_id_list(path: str | Path) -> list[str]:
    """Read one image id per line; the pair format of PSA and SEAM is known too.

    Raises:
        ValueError: If the file is missing or empty or an id occurs twice.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8-sig').splitlines()
    except FileNotFoundError as error:
        raise InputError(f'no list file {path}; write one image id per line') from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f'cannot read the list {path}: {error}; give a UTF-8 text file'
        ) from error
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        pair = PAIR_LINE.match(text)
        image_id = pair['id'] if pair else text
        if image_id in first_line:
            raise InputError(
                f'{path}:{number}: image {image_id!r} is already on line '
                f'{first_line[image_id]}; keep one'
            )
        first_line[image_id] = number
    if not first_line:
        raise InputError(f'{path} is empty; write one image id per line')
    return list(first_line)


class ImageFolder:
    """Find images by id in a folder, listing every sub-folder once."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._listings: dict[str, set[str]] = {}
        if not self.root.is_dir():
            raise InputError(
                f'no image folder {self.root}; correct data_root or '
                'data_prefix.img_path, or put the dataset there'
            )

    def find(self, image_id: str, *, source: str | Path) -> str:
        """Give the path of an image, relative to the folder.

        Args:
            image_id: Path below the folder, with or without its extension.
            source: File that names the image, for the message.

        Raises:
            ValueError: If there is no such image or more than one.
        """
        parent, name = os.path.split(image_id)
        files = self._files(parent)
        if name in files and Path(name).suffix.lower() in IMAGE_SUFFIXES:
            return image_id
        found = [f'{name}{end}' for end in self._endings() if f'{name}{end}' in files]
        if not found:
            raise InputError(
                f'no image {self.root / image_id} ({", ".join(IMAGE_SUFFIXES)}) for '
                f'{image_id!r} of {source}; add the image or remove it from there'
            )
        if len(found) > 1:
            raise InputError(
                f'{image_id!r} of {source} may be any of {", ".join(found)} in '
                f'{self.root / parent}; write the id with its extension'
            )
        return os.path.join(parent, found[0])

    def _files(self, parent: str) -> set[str]:
        if parent not in self._listings:
            folder = self.root / parent
            self._listings[parent] = (
                set(os.listdir(folder)) if folder.is_dir() else set()
            )
        return self._listings[parent]

    @staticmethod
    def _endings() -> Sequence[str]:
        return [*IMAGE_SUFFIXES, *(end.upper() for end in IMAGE_SUFFIXES)]


def mask_name(image_name: str) -> str:
    """Give the mask of an image: the same relative path, ending in `.png`."""
    return os.path.splitext(image_name)[0] + '.png'
