"""Arrays in `.npz` files of anybody: sizes are looked at before anything is unpacked.

`numpy.load` reserves memory for whatever shape a file states, and unpacks it.
"""

import math
import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from wsss_mm.io.limits import MOST_ARRAY_BYTES, check_file
from wsss_mm.io.wording import first_line
from wsss_mm.utils.errors import InputError

# Of the directory at the end of the file; that of three arrays has 200 bytes.
MOST_DIRECTORY_BYTES = 2**16
END, ELSEWHERE = b'PK\x05\x06', b'PK\x06\x07'
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_arrays(
    path: str | Path, names: Sequence[str], *, kind: str, remedy: str
) -> list[NDArray[np.generic]]:
    """Read some arrays of a `.npz` file.

    Args:
        path: The file.
        names: Of the arrays.
        kind: What the file should be, for messages.
        remedy: What to do where it cannot be read.

    Returns:
        The arrays, in the order of the names; together at most `MOST_ARRAY_BYTES`.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If the file is too large, damaged, or lacks an array.
    """
    listed = ' and '.join([', '.join(names[:-1]), names[-1]])
    try:
        check_file(path, most=MOST_ARRAY_BYTES, kind=kind)
        check_directory(path)
        with zipfile.ZipFile(path) as archive:
            members = [archive.getinfo(f'{name}.npy') for name in names]
            check_members(archive, members)
            return [read_member(archive, member) for member in members]
    except (InputError, FileNotFoundError):
        raise
    # Decoders meet damage with errors of nearly every type.
    except Exception as error:
        raise InputError(
            f'{path} is truncated or no {kind} (.npz with the arrays {listed}): '
            f'{first_line(error)}; {remedy}'
        ) from error


def list_members(path: str | Path) -> set[str]:
    """List the files in a `.npz` file, such as ``maps.npy``.

    Raises:
        InputError: If it is too large or damaged.
    """
    try:
        check_file(path, most=MOST_ARRAY_BYTES, kind='a file of arrays')
        check_directory(path)
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist())
    except InputError:
        raise
    except Exception as error:  # as above
        raise InputError(f'cannot read {path}: {first_line(error)}') from error


def check_directory(path: str | Path) -> None:
    """Refuse a directory of more entries than the files that we write have."""
    size = os.path.getsize(path)
    with Path(path).open('rb') as file:
        file.seek(max(0, size - 2**16 - 22))  # a comment may follow
        tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise ValueError('no directory of a zip file at its end')
    (length,) = struct.unpack_from('<I', tail, at + 12)
    # A larger file's directory lies elsewhere, which is noted 20 bytes before.
    if length > MOST_DIRECTORY_BYTES or tail[max(0, at - 20) :].startswith(
        b'PK\x06\x07'
    ):
        raise ValueError('a directory of more entries than such a file has')


def check_members(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse arrays that are too large, or larger than what the file holds of them."""
    total = sum(member.file_size for member in members)
    if total > MOST_ARRAY_BYTES:
        raise ValueError(f'its arrays have {total:,} bytes, more than may be')
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f'{member.filename} is compressed in another way')
        with archive.open(member) as file:
            shape, _, kind = read_header(file)
            stated = math.prod(shape) * kind.itemsize
            if min(shape, default=0) < 0 or stated != member.file_size - file.tell():
                raise ValueError(
                    f'{member.filename} has {member.file_size:,} bytes, which are not '
                    f'{kind} {shape}'
                )


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the shape, the order and the type of an array."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f'version {version} of the format')
    found: tuple[tuple[int, ...], bool, np.dtype] = HEADERS[version](file)
    return found


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo
) -> NDArray[np.generic]:
    """Read an array whose size has been looked at."""
    with archive.open(member) as file:
        return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
