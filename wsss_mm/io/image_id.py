"""Image ids: how lists, tag tables and result files name an image.

An id is the path of an image below the image folder, with ``/`` between folders.
Results of the image are written under it, so an id that leads out of a folder, or that
two images share, would replace somebody's files.
"""

import re
import unicodedata
from collections.abc import Iterable

from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
# File systems allow 255 bytes for a name; results end in four characters.
LONGEST_NAME = 255
LONGEST_SUFFIX = len('.png')
LONGEST_ID = 1024
SHOWN = 80
# Control characters, and halves of characters, which UTF-8 cannot hold.
CONTROLS = ('Cc', 'Cs')
# Readers drop it at the beginning of a file.
MARK = '\ufeff'
DRIVE = re.compile(r'[A-Za-z]:')


def normalise_id(text: str, *, where: object) -> str:
    """Bring an image id into its one form, or refuse it.

    Empty parts and ``.`` are dropped, and Unicode is composed (NFC): systems differ in
    the form in which they store names.

    Args:
        text: Path of an image below the image folder, with or without extension.
        where: File and line that name it, for the message.

    Raises:
        InputError: If it is empty, absolute, leads out of the folder, or holds
            characters or lengths that files and tables do not keep.
    """
    problem = find_problem(text)
    if problem:
        shown = text if len(text) <= SHOWN else f'{text[:SHOWN]}...'
        raise InputError(
            f'{where}: the image id {shown!r} {problem}; write the path of the image '
            "below the image folder, such as 'a' or 'folder/a.jpg'"
        )
    return compose('/'.join(part for part in text.split('/') if part not in ('', '.')))


def check_normal(ids: Iterable[str], *, where: object) -> None:
    """Refuse to write an id that would be read as another.

    Raises:
        InputError: If one is not as `normalise_id` leaves it.
    """
    for image_id in ids:
        kept = normalise_id(image_id, where=where)
        if kept != image_id:
            raise InputError(
                f'{where}: the image id {brief(image_id)} is written {brief(kept)}; '
                'rename it'
            )


def compose(text: str) -> str:
    """Bring text into Unicode's composed form (NFC)."""
    return unicodedata.normalize('NFC', text)


def find_problem(text: str) -> str:
    """Say what makes a text unfit as an image id; an empty string if nothing does."""
    # Composing lengthens a text at most threefold; nothing long is looked at further.
    if len(text) > LONGEST_ID:
        return f'has {len(text)} characters, more than {LONGEST_ID}'
    if any(one == MARK or unicodedata.category(one) in CONTROLS for one in text):
        return 'holds a control character'
    if text != text.strip():
        return 'begins or ends with a space'
    if '\\' in text:
        return 'holds a backslash: folders are separated by /'
    if text.startswith('/') or DRIVE.match(text):
        return 'is an absolute path'
    parts = [part for part in compose(text).split('/') if part not in ('', '.')]
    if not parts:
        return 'names no file'
    if '..' in parts:
        return "leads out of a folder ('..')"
    # Results replace the extension.
    *folders, name = parts
    if name.lower().endswith(IMAGE_SUFFIXES):
        longest = LONGEST_NAME
    else:
        longest = LONGEST_NAME - LONGEST_SUFFIX
    if any(size(one) > LONGEST_NAME for one in folders) or size(name) > longest:
        return f'has a name of more than {longest} bytes'
    return ''


def size(name: str) -> int:
    """Count the bytes of a name."""
    return len(name.encode('utf-8'))
