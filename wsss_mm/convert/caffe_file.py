"""Read the weights of a ``.caffemodel`` without Caffe.

The file is one protocol buffer message, ``NetParameter``. Only the few fields that
hold weights are read, by their numbers in Caffe's ``caffe.proto``; the rest is stepped
over.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wsss_mm.convert.byte_reader import ByteReader

Blobs = dict[str, list[NDArray[Any]]]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
MOST_DIMENSIONS = 32
# The largest networks have some thousand; a damaged file must not fill the memory.
MOST_BLOBS, MOST_BLOBS_OF_A_LAYER = 100_000, 100


class _LayerFields(NamedTuple):
    """Numbers of the fields of a layer message."""

    name: int
    blobs: int
    oldest: int | None


# Field of NetParameter: layers as written before and since 2014.
_LAYERS = {
    2: _LayerFields(name=4, blobs=6, oldest=1),
    100: _LayerFields(name=1, blobs=7, oldest=None),
}
_LEGACY_SHAPE = (1, 2, 3, 4)
_SHAPE, _DIM = 7, 1
# Fields of a blob's values: numbers of float and double.
_VALUES = {5: (FIXED32, '<f4'), 8: (FIXED64, '<f8')}


class Field(NamedTuple):
    """One field of a message: its number, wire type, place and content."""

    number: int
    wire: int
    at: int
    value: int
    content: ByteReader


def read_caffemodel(path: str | Path) -> Blobs:
    """Read the weights of a ``.caffemodel``.

    Args:
        path: A file of Caffe, with layers as written since 2013.

    Returns:
        The blobs of each layer that has any, in the file's order: first its weight,
        then its bias. Old files give every blob four dimensions.

    Raises:
        ValueError: If the file is not such a message or is damaged: the message names
            the layer and the byte. All sizes are checked before anything is
            allocated.
    """
    return parse_caffemodel(ByteReader.of_file(path))


def parse_caffemodel(reader: ByteReader) -> Blobs:
    """Read the weights of a ``.caffemodel`` from a reader at its start.

    Raises:
        ValueError: See ``read_caffemodel``.
    """
    layers: Blobs = {}
    seen = found = 0
    what = 'the network'
    while reader.remaining:
        field = _field(reader, what)
        if field.number not in _LAYERS:
            continue
        seen += 1
        _expect(field, BYTES, f'layer {seen}')
        name, blobs = _read_layer(field, _LAYERS[field.number], f'layer {seen}')
        what = f'the network after layer {seen} ({name})'
        if not blobs:
            continue
        if not name:
            raise reader.error(f'layer {seen} has weights but no name', field.at)
        if name in layers:
            raise reader.error(f'layer {seen} repeats the name {name!r}', field.at)
        layers[name] = blobs
        found += len(blobs)
        if found > MOST_BLOBS:
            raise reader.error(f'more than {MOST_BLOBS} blobs', field.at)
    if not layers:
        raise reader.error(
            'no layer with weights in it; expected a .caffemodel (binary), not a '
            '.prototxt',
            0,
        )
    return layers


def _fields(reader: ByteReader, what: str) -> Iterator[Field]:
    while reader.remaining:
        yield _field(reader, what)


def _field(reader: ByteReader, what: str) -> Field:
    at = reader.position
    tag = _varint(reader, what)
    number, wire = tag >> 3, tag & 7
    if number == 0:
        raise reader.error(f'{what}: 0 is not a field number', at)
    value = 0
    if wire == VARINT:
        value, size = _varint(reader, f'{what}, field {number}'), 0
    elif wire == BYTES:
        size = _varint(reader, f'{what}, field {number}')
    elif wire in _FIXED_SIZES:
        size = _FIXED_SIZES[wire]
    else:
        raise reader.error(f'{what}, field {number}: unknown wire type {wire}', at)
    content = reader.part(size, f'{what}, field {number}')
    return Field(number, wire, at, value, content)


def _varint(reader: ByteReader, what: str) -> int:
    at = reader.position
    value = 0
    for shift in range(0, 64, 7):
        (byte,) = reader.take(1, what)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF
    raise reader.error(f'{what}: a number of more than 10 bytes', at)


def _expect(field: Field, wire: int, what: str) -> None:
    if field.wire != wire:
        raise field.content.error(
            f'{what}: field {field.number} has wire type {field.wire}, expected {wire}',
            field.at,
        )


def _read_layer(
    layer: Field, numbers: _LayerFields, what: str
) -> tuple[str, list[NDArray[Any]]]:
    name = ''
    blobs: list[ByteReader] = []
    for field in _fields(layer.content, what):
        if field.number == numbers.name:
            _expect(field, BYTES, f'the name of {what}')
            name = _text(field.content, f'the name of {what}')
            what = f'{what} ({name})'
        elif field.number == numbers.blobs:
            _expect(field, BYTES, f'{what}, blob {len(blobs)}')
            blobs.append(field.content)
            if len(blobs) > MOST_BLOBS_OF_A_LAYER:
                raise layer.content.error(
                    f'{what} has more than {MOST_BLOBS_OF_A_LAYER} blobs', field.at
                )
        elif field.number == numbers.oldest:
            raise layer.content.error(
                f"{what} is of Caffe's oldest format; bring the file up to date with "
                "Caffe's upgrade_net_proto_binary",
                field.at,
            )
    return name, [_read_blob(blob, f'{what}, blob {i}') for i, blob in enumerate(blobs)]


def _text(reader: ByteReader, what: str) -> str:
    raw = bytes(reader.take(reader.remaining, what))
    try:
        return raw.decode('utf-8')
    except UnicodeDecodeError as error:
        raise reader.error(f'{what} is not UTF-8 text: {raw[:40]!r}') from error


def _read_blob(blob: ByteReader, what: str) -> NDArray[Any]:
    start = blob.position
    legacy: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    values = {number: bytearray() for number in _VALUES}
    for field in _fields(blob, what):
        if field.number in _LEGACY_SHAPE:
            _expect(field, VARINT, what)
            legacy[field.number] = _signed(field.value)
        elif field.number == _SHAPE:
            _expect(field, BYTES, what)
            shape = _read_shape(field.content, what)
        elif field.number in _VALUES:
            values[field.number] += _read_values(blob, field, what)
    if shape is None and legacy:
        shape = tuple(legacy.get(number, 1) for number in _LEGACY_SHAPE)
    if shape is None:
        raise blob.error(f'{what} has no shape', start)
    if any(size < 1 for size in shape):
        raise blob.error(f'{what} has the shape {shape}; sizes must be positive', start)
    kinds = [number for number, raw in values.items() if raw]
    if len(kinds) > 1:
        raise blob.error(f'{what} holds both float and double values', start)
    number = kinds[0] if kinds else next(iter(_VALUES))
    array = np.frombuffer(values[number], _VALUES[number][1])
    if len(array) != math.prod(shape):
        raise blob.error(
            f'{what} has {len(array)} values, but its shape {shape} means '
            f'{math.prod(shape)}',
            start,
        )
    return array.reshape(shape)


def _read_shape(reader: ByteReader, what: str) -> tuple[int, ...]:
    sizes = []
    for field in _fields(reader, f'the shape of {what}'):
        if field.number != _DIM:
            continue
        if field.wire == VARINT:
            sizes.append(_signed(field.value))
        else:
            _expect(field, BYTES, f'the shape of {what}')
        while field.content.remaining and len(sizes) <= MOST_DIMENSIONS:
            sizes.append(_signed(_varint(field.content, f'the shape of {what}')))
        if len(sizes) > MOST_DIMENSIONS:
            raise reader.error(f'{what} has over {MOST_DIMENSIONS} dimensions')
    return tuple(sizes)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _read_values(blob: ByteReader, field: Field, what: str) -> memoryview | bytes:
    """Read packed values, or a run of single ones and step over it."""
    wire, dtype = _VALUES[field.number]
    size = np.dtype(dtype).itemsize
    if field.wire == BYTES:
        length = field.content.remaining
        if length % size:
            raise blob.error(
                f'{what}: {length} bytes of values of {size} bytes each', field.at
            )
        return field.content.take(length, what)
    _expect(field, wire, what)
    tag = field.number << 3 | wire
    if blob.data[field.at] != tag:
        raise blob.error(f'{what}: a value with a tag of several bytes', field.at)
    # Look ahead in growing steps, so that short runs stay cheap in large files.
    record = np.dtype([('tag', 'u1'), ('value', dtype)])
    most = (blob.end - field.at) // record.itemsize
    length, window = 1, 16
    while length < most:
        at = field.at + length * record.itemsize
        ahead = np.frombuffer(blob.data, record, min(window, most - length), at)
        other = np.flatnonzero(ahead['tag'] != tag)
        length += int(other[0]) if len(other) else len(ahead)
        if len(other):
            break
        window *= 2
    blob.position = field.at + length * record.itemsize
    records = np.frombuffer(blob.data, record, length, field.at)
    return records['value'].tobytes()
