"""Read MXNet's ``.params`` files without MXNet.

The format, little endian: the word 0x112, a reserved word, the number of arrays, the
arrays, the number of names, the names. An array begins with a word that gives its
version: 0xF993FAC9 (V2), 0xF993FAC8 (V1), or its number of dimensions (before 0.12).
Read from MXNet's ``ndarray.cc``.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss_mm.convert.byte_reader import ByteReader

Arrays = dict[str, NDArray[Any]]

LIST_MAGIC = 0x112
V1_MAGIC = 0xF993FAC8
V2_MAGIC = 0xF993FAC9
V3_MAGIC = 0xF993FACA
TYPES = ('<f4', '<f8', '<f2', '|u1', '<i4', '|i1', '<i8')
MOST_DIMENSIONS = 32
# The largest networks have some thousand; a damaged number must not fill the memory.
MOST_ARRAYS = 100_000


class _Entry(NamedTuple):
    """Where an array's values are."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def read_mxnet_params(path: str | Path) -> Arrays:
    """Read the arrays of a ``.params`` file.

    Args:
        path: A file written by ``mxnet.nd.save`` or ``save_checkpoint``.

    Returns:
        Arrays by name in the file's order; ``save_checkpoint`` writes the names
        with ``arg:`` or ``aux:`` in front.

    Raises:
        ValueError: If the file is not such a list, is damaged, or holds arrays that
            cannot be network weights (sparse, without values, of unknown type). The
            message names the array and the byte. All sizes are checked before
            anything is allocated.
    """
    return parse_mxnet_params(ByteReader.of_file(path))


def parse_mxnet_params(reader: ByteReader) -> Arrays:
    """Read the arrays of a ``.params`` file from a reader at its start.

    Raises:
        ValueError: See ``read_mxnet_params``.
    """
    magic, _ = reader.unpack('<QQ', 'the head of the file')
    if magic != LIST_MAGIC:
        raise reader.error(
            f'expected the word {LIST_MAGIC:#x} of an MXNet .params file, '
            f'got {magic:#x}; give the .params file, not the .json',
            0,
        )
    (count,) = reader.unpack('<Q', 'the number of arrays')
    if count > MOST_ARRAYS:
        raise reader.error(f'{count} arrays, at most {MOST_ARRAYS} are read', 16)
    entries = [_read_entry(reader, f'array {i} of {count}') for i in range(count)]
    at = reader.position
    (names,) = reader.unpack('<Q', 'the number of names')
    if names != count:
        raise reader.error(f'{names} names for {count} arrays', at)
    arrays: Arrays = {}
    for index, entry in enumerate(entries):
        at = reader.position
        name = _read_name(reader, f'the name of array {index} of {count}')
        if name in arrays:
            raise reader.error(f'array {index} has the name of another: {name!r}', at)
        values = np.frombuffer(
            reader.data, entry.dtype, count=math.prod(entry.shape), offset=entry.start
        )
        arrays[name] = values.reshape(entry.shape).copy()
    if reader.remaining:
        raise reader.error(f'{reader.remaining} bytes after the last name')
    return arrays


def _read_entry(reader: ByteReader, what: str) -> _Entry:
    shape = _read_shape(reader, what)
    at = reader.position
    _, _, kind = reader.unpack('<iii', f'{what}, shape {shape}: its device and type')
    if not 0 <= kind < len(TYPES):
        raise reader.error(f'{what}, shape {shape}: unknown type {kind}', at + 8)
    dtype = np.dtype(TYPES[kind])
    size = math.prod(shape) * dtype.itemsize
    start = reader.skip(size, f'{what}, shape {shape}, type {dtype.name}')
    return _Entry(shape, dtype, start)


def _read_shape(reader: ByteReader, what: str) -> tuple[int, ...]:
    at = reader.position
    (word,) = reader.unpack('<I', f'{what}: its version')
    if word == V3_MAGIC:
        raise reader.error(
            f'{what} has version 3 (MXNet with NumPy shapes); versions up to 2 are '
            'read: save it without npx.set_np()',
            at,
        )
    if word == V2_MAGIC:
        (storage,) = reader.unpack('<i', f'{what}: its storage')
        if storage != 0:
            raise reader.error(
                f'{what} has storage type {storage}; only dense arrays (0) are read',
                at + 4,
            )
    wide = word in (V1_MAGIC, V2_MAGIC)
    at = reader.position if wide else at
    ndim = reader.unpack('<I', f'{what}: its dimensions')[0] if wide else word
    if ndim > MOST_DIMENSIONS:
        raise reader.error(
            f'{what} has {ndim} dimensions, at most {MOST_DIMENSIONS} are read'
            + ('' if wide else f'; or {word:#x} is not a version of an array'),
            at,
        )
    if ndim == 0:
        raise reader.error(f'{what} has no dimensions, so no values', at)
    at = reader.position
    shape = reader.unpack(f'<{ndim}{"q" if wide else "I"}', f'{what}: its shape')
    if min(shape) < 1:
        raise reader.error(f'{what} has the shape {shape}; sizes must be positive', at)
    return shape


def _read_name(reader: ByteReader, what: str) -> str:
    at = reader.position
    (length,) = reader.unpack('<Q', f'the length of {what}')
    raw = bytes(reader.take(length, what))
    try:
        return raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise reader.error(f'{what} is not UTF-8 text: {raw[:40]!r}', at + 8) from error
