"""Read the tensors of a TorchScript archive without running the code in it.

The archive is a zip file that stores, uncompressed but for code: ``<name>/data.pkl``, a
pickle of nested modules, and ``<name>/data/<key>``, the values of their tensors. Read
from PyTorch's ``torch/csrc/jit/serialization``.
"""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsss_mm.convert.module_pickle import Module, Storage, Stored, interpret
from wsss_mm.utils.errors import InputError

# Far above any network: a forged archive must not take for ever.
MOST_VALUES, LONGEST_NAME = 1_000_000, 1000


def is_torchscript(path: str | Path) -> bool:
    """Say whether a file is a zip archive that holds code of TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    return any(name.endswith('/constants.pkl') or '/code/' in name for name in names)


def read_torchscript(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of all modules in a TorchScript archive.

    Args:
        path: A file written by ``torch.jit.save``, such as OpenAI's ``ViT-B-16.pt``.

    Returns:
        Tensors on the CPU by the names that their modules give them.

    Raises:
        InputError: If it is another archive, is damaged, or holds more than modules of
            tensors and plain values. Nothing in it is executed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return read_archive(archive)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # zipfile raises many kinds for a damaged file
        raise InputError(f'{path}: the archive is damaged ({error})') from error


def read_archive(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    """Read an open archive; the errors do not name it.

    Raises:
        InputError: See `read_torchscript`.
    """
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.count('/') == 1]
    pickles = [name for name in pickles if name.endswith('/data.pkl')]
    if len(pickles) != 1:
        raise InputError('it holds no data.pkl, so it is not a TorchScript archive')
    folder = pickles[0].removesuffix('data.pkl')
    if entries[pickles[0]].compress_type != zipfile.ZIP_STORED:
        raise InputError('data.pkl is compressed, which torch.jit.save never does')
    modules = interpret(archive.read(pickles[0]))
    tensors: dict[str, Tensor] = {}
    storages: dict[Storage, Tensor] = {}
    left = 2 * sum(entry.compress_size for entry in entries.values())
    for name, stored in tensors_below(modules):
        storage = stored.storage
        left -= math.prod(stored.shape) * storage.dtype.itemsize
        if name in tensors or left < 0:
            raise InputError(f'it holds {name!r} twice, or values again and again')
        if storage not in storages:
            storages[storage] = read_storage(archive, entries, folder, storage)
        view = storages[storage].as_strided(stored.shape, stored.strides, stored.offset)
        tensors[name] = view.clone(memory_format=torch.contiguous_format)
    if not tensors:
        raise InputError('it holds no tensors')
    return tensors


def tensors_below(whole: Any) -> Iterator[tuple[str, Stored]]:
    """List the tensors of nested modules by their dotted names, in order.

    Raises:
        InputError: If there are too many values, as where modules hold each other.
    """
    waiting, seen = [('', whole)], 0
    while waiting:
        path, value = waiting.pop()
        seen += 1
        if seen > MOST_VALUES or len(path) > LONGEST_NAME:
            raise InputError('its modules hold too many values, or each other')
        if isinstance(value, Stored):
            yield path, value
        value = value.state if isinstance(value, Module) else value
        if isinstance(value, dict):
            inner = [
                (f'{path}.{key}' if path else str(key), value[key]) for key in value
            ]
            waiting += inner[::-1]


def read_storage(
    archive: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    folder: str,
    storage: Storage,
) -> Tensor:
    """Read the values of a storage, shape (n,).

    Raises:
        InputError: If they are missing, or not as many as the pickle says.
    """
    name = f'{folder}data/{storage.key}'
    if name not in entries:
        raise InputError(f'the values {name!r} are missing')
    wanted = storage.size * storage.dtype.itemsize
    found = entries[name].file_size
    if not found == wanted == entries[name].compress_size:
        raise InputError(f'{name} has {found} bytes where {wanted} are expected')
    if not found:
        return torch.empty(0, dtype=storage.dtype)
    return torch.frombuffer(bytearray(archive.read(name)), dtype=storage.dtype)
