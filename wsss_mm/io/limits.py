"""How large a file may be: looked at before its contents are read.

Files may come from people whom nobody knows, and a few bytes can stand for gigabytes.
SECURITY.md lists these limits.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError

MiB = 2**20
# Decoding an image takes about 15 bytes a pixel.
MOST_PIXELS = 2**25
MOST_IMAGE_BYTES = 256 * MiB
# Uncompressed, all arrays of a CAM or score file together; reading takes three times.
MOST_ARRAY_BYTES = 256 * MiB
# Lists and tag tables; a JSON object takes many times its text.
MOST_TABLE_BYTES = 64 * MiB
MOST_JSON_BYTES = 16 * MiB
MOST_IMAGES = 2**21
MOST_XML_BYTES = 4 * MiB
MOST_OBJECTS = 10_000
# Settings, markers and options, in JSON; metafiles, in YAML, take longer.
MOST_NOTE_BYTES = 4 * MiB
MOST_YAML_BYTES = 128 * 2**10
# The annotations of COCO 2017 have 449 MB.
MOST_COCO_BYTES = 512 * MiB


def check_file(path: str | Path, *, most: int, kind: str) -> None:
    """Refuse what is not a plain file, or larger than its kind ever is.

    Args:
        path: The file; links are followed.
        most: Bytes that it may have.
        kind: What it should be, for the message.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        InputError: If it is not a plain file, cannot be looked at, or is too large.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a null character
        raise InputError(f'cannot read {path}: {first_line(error)}') from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f'{path} is a folder or a device, not {kind}; name the file')
    if found.st_size > most:
        raise InputError(
            f'{path} has {found.st_size:,} bytes, more than the {most:,} that {kind} '
            'may have; see the limits in SECURITY.md'
        )


def read_bytes(path: str | Path, *, most: int, kind: str) -> bytes:
    """Read a whole file of limited size.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If it is too large, no plain file, or cannot be read.
    """
    check_file(path, most=most, kind=kind)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f'cannot read {path}: {first_line(error)}') from error


def read_text(path: str | Path, *, most: int, kind: str) -> str:
    """Read a whole text of limited size: UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: As `read_bytes`, or if it is not UTF-8.
    """
    content = read_bytes(path, most=most, kind=kind)
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise InputError(
            f'{path}:{line}: not UTF-8 ({error.reason}); save it as UTF-8 text'
        ) from error


def lines_of(text: str) -> Iterator[str]:
    """Split a text into lines at line feeds alone, which stay at their ends.

    Other characters that end a line elsewhere, such as U+2028, are part of a line.
    """
    start = 0
    while start < len(text):
        end = text.find('\n', start) + 1 or len(text)
        yield text[start:end]
        start = end
