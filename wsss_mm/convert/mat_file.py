"""Read a mask out of a MATLAB file, of version 5 to 7, without MATLAB.

The file is a header of 128 bytes and a row of elements: a tag with type and size, and
the content, which may be packed by zlib or consist of elements again. Read from
MathWorks' "MAT-File Format". SciPy's reader ends the whole process at some damaged
files.
"""

import math
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss_mm.convert.byte_reader import ByteReader

# Types of elements, and classes of matrices.
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15
STRUCT_CLASS, UINT8_CLASS = 2, 9
ORDERS = {b'IM': '<', b'MI': '>'}
# More than a mask and what goes with it take; a forged stream must not fill the memory.
MOST_BYTES = 64 * 2**20


class _Matrix(NamedTuple):
    """The head of a matrix; `rest` is at its content."""

    kind: int
    shape: tuple[int, ...]
    name: str
    rest: ByteReader


def read_struct_mask(
    data: bytes, label: str, *, variable: str, field: str
) -> NDArray[np.uint8]:
    """Read a uint8 matrix that is a field of a struct, shape (H, W).

    Args:
        data: The bytes of a whole file.
        label: Name of the file, for messages.
        variable: Name of the struct, of one element.
        field: Name of its field.

    Raises:
        ValueError: If this is not such a file, it is damaged, or lacks the field. The
            message names the byte. All sizes are checked before anything is
            allocated.
    """
    reader = ByteReader(data, label)
    head = bytes(reader.take(128, 'the header'))
    if head[126:] not in ORDERS:
        raise reader.error('expected a MATLAB file of version 5 to 7', 126)
    order = ORDERS[head[126:]]
    while reader.remaining:
        kind, content = _element(reader, order, 'a variable')
        if kind == COMPRESSED:
            kind, content = _element(_unpacked(content), order, 'a variable')
        if kind == MATRIX:
            matrix = _matrix(content, order, 'a variable')
            if matrix.name == variable:
                return _uint8(_field(matrix, order, field), order, field)
    raise reader.error(f'there is no variable {variable!r}')


def _element(reader: ByteReader, order: str, what: str) -> tuple[int, ByteReader]:
    at = reader.position
    (word,) = reader.unpack(f'{order}I', what)
    if word >> 16:
        # A small one: size and type share a word, and four bytes follow.
        if word >> 16 > 4:
            raise reader.error(f'{what} has a tag that is none: {word:#x}', at)
        return word & 0xFFFF, reader.part(4, what).part(word >> 16, what)
    (size,) = reader.unpack(f'{order}I', what)
    content = reader.part(size, what)
    if word != COMPRESSED:
        reader.skip(min(-size % 8, reader.remaining), what)
    return word, content


def _of_type(reader: ByteReader, order: str, kind: int, what: str) -> ByteReader:
    at = reader.position
    found, content = _element(reader, order, what)
    if found != kind:
        raise reader.error(f'{what} has type {found}, expected {kind}', at)
    return content


def _unpacked(content: ByteReader) -> ByteReader:
    unpacker = zlib.decompressobj()
    packed = content.take(content.remaining, 'a packed variable')
    try:
        data = unpacker.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise content.error(f'a packed variable is damaged: {error}') from error
    if unpacker.unconsumed_tail:
        raise content.error(f'a packed variable has more than {MOST_BYTES} bytes')
    return ByteReader(data, f'{content.label} (unpacked)')


def _matrix(reader: ByteReader, order: str, what: str) -> _Matrix:
    flags = _of_type(reader, order, UINT32, f'the flags of {what}')
    (word,) = flags.unpack(f'{order}I', f'the flags of {what}')
    sizes = _of_type(reader, order, INT32, f'the shape of {what}')
    count = sizes.remaining // 4
    shape = sizes.unpack(f'{order}{count}i', f'the shape of {what}')
    name = _of_type(reader, order, INT8, f'the name of {what}')
    text = bytes(name.take(name.remaining, f'the name of {what}'))
    return _Matrix(word & 0xFF, shape, text.decode('latin-1'), reader)


def _field(struct: _Matrix, order: str, field: str) -> _Matrix:
    reader = struct.rest
    if struct.kind != STRUCT_CLASS or math.prod(struct.shape) != 1:
        raise reader.error(f'{struct.name!r} is not a struct of one element')
    lengths = _of_type(reader, order, INT32, 'the length of field names')
    (length,) = lengths.unpack(f'{order}i', 'the length of field names')
    names = _of_type(reader, order, INT8, 'the field names')
    if length < 1:
        raise reader.error(f'{length} is not a length of field names')
    while names.remaining:
        name = bytes(names.take(length, 'a field name')).split(b'\0')[0]
        content = _of_type(reader, order, MATRIX, f'the field {name!r}')
        if name == field.encode():
            return _matrix(content, order, f'the field {field!r}')
    raise reader.error(f'there is no field {field!r}')


def _uint8(matrix: _Matrix, order: str, what: str) -> NDArray[np.uint8]:
    reader, shape = matrix.rest, matrix.shape
    if matrix.kind != UINT8_CLASS or len(shape) != 2 or min(shape) < 1:
        raise reader.error(
            f'{what} is not a uint8 matrix: class {matrix.kind}, {shape}'
        )
    values = _of_type(reader, order, UINT8, what)
    if values.remaining != math.prod(shape):
        raise reader.error(f'{what} has {values.remaining} values, not {shape}')
    array = np.frombuffer(values.take(values.remaining, what), np.uint8)
    mask: NDArray[np.uint8] = array.reshape(shape, order='F').copy(order='C')
    return mask
