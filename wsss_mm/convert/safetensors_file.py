"""Read ``.safetensors`` files.

The format, little endian: the length of a header, the header as JSON, the values. The
header has for each tensor its ``dtype``, ``shape`` and ``data_offsets``, counted from
the end of the header. Read from the format's description.
"""

import json
import math
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from wsss_mm.convert.byte_reader import ByteReader

DTYPES = {
    'F64': torch.float64,
    'F32': torch.float32,
    'F16': torch.float16,
    'BF16': torch.bfloat16,
    'I64': torch.int64,
    'I32': torch.int32,
    'I16': torch.int16,
    'I8': torch.int8,
    'U8': torch.uint8,
    'BOOL': torch.bool,
}
# As the format has it.
MOST_HEADER = 100_000_000
MOST_DIMENSIONS = 32


def is_safetensors(head: bytes) -> bool:
    """Say whether a file that begins so has the header of the format."""
    if len(head) < 9 or head[8:9] != b'{':
        return False
    return 2 <= int.from_bytes(head[:8], 'little') <= MOST_HEADER


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file, by name.

    Args:
        path: A ``.safetensors`` file.

    Raises:
        InputError: If it is damaged or no such file. All sizes are checked before
            anything is allocated.
    """
    return parse_safetensors(ByteReader.of_file(path))


def parse_safetensors(reader: ByteReader) -> dict[str, Tensor]:
    """Read the tensors from a reader at the start of a file.

    Raises:
        InputError: See `read_safetensors`.
    """
    (length,) = reader.unpack('<Q', 'the length of the header')
    if length > MOST_HEADER:
        raise reader.error(f'a header of {length} bytes, at most {MOST_HEADER}', 0)
    text = bytes(reader.take(length, 'the header'))
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise reader.error(f'the header is not JSON ({error})', 8) from error
    if not isinstance(header, dict):
        raise reader.error('the header is not a JSON object', 8)
    header.pop('__metadata__', None)
    if not header:
        raise reader.error('it holds no tensors', 8)
    left = reader.remaining
    for name, entry in header.items():
        start, end = place_of(reader, name, entry)
        left -= end - start
    if left < 0:
        raise reader.error('its tensors lie upon each other')
    return {name: read_tensor(reader, name, entry) for name, entry in header.items()}


def read_tensor(reader: ByteReader, name: str, entry: Any) -> Tensor:
    """Read one tensor of a header's entry, from a reader at the end of the header.

    Raises:
        InputError: If the entry does not describe values that are there.
    """
    fields = entry if isinstance(entry, dict) else {}
    kind, shape = fields.get('dtype'), fields.get('shape')
    if not isinstance(kind, str) or kind not in DTYPES:
        raise reader.error(f'{name[:60]!r} has the type {kind!r}, which is not read', 8)
    if not are_sizes(shape) or len(shape) > MOST_DIMENSIONS:
        raise reader.error(f'{name[:60]!r} has no shape of sizes', 8)
    dtype = DTYPES[kind]
    start, end = place_of(reader, name, entry)
    wanted = math.prod(shape) * dtype.itemsize
    if end - start != wanted:
        raise reader.error(
            f'{name[:60]!r} of shape {tuple(shape)} takes {wanted} bytes, but is said '
            f'to be at {start} to {end} of {reader.remaining}'
        )
    if not wanted:
        return torch.empty(shape, dtype=dtype)
    place = reader.position + start
    values = bytearray(reader.data[place : place + wanted])
    return torch.frombuffer(values, dtype=dtype).reshape(shape)


def place_of(reader: ByteReader, name: str, entry: Any) -> tuple[int, int]:
    """Give the first byte of a tensor's values and the one behind its last.

    Raises:
        InputError: If they are not in the file.
    """
    offsets = entry.get('data_offsets') if isinstance(entry, dict) else None
    if are_sizes(offsets) and len(offsets) == 2:
        start, end = offsets
        if start <= end <= reader.remaining:
            return start, end
    raise reader.error(f'{name[:60]!r} has no place in the file: {offsets!r:.40}', 8)


def are_sizes(value: Any) -> TypeGuard[list[int]]:
    """Say whether a value is a list of whole numbers, none negative."""
    return isinstance(value, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value
    )
