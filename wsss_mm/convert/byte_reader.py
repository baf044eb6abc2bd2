"""Read binary files by fields that are checked against what the file holds."""

import mmap
import struct
from pathlib import Path
from typing import Any

from wsss_mm.utils.errors import InputError


class ByteReader:
    """Step through bytes; every request beyond their end is a ValueError.

    Args:
        data: The bytes of a whole file.
        label: Name of the file, for messages.
        start: First byte to read.
        end: Byte to stop before; None reads to the end of the data.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        label: str,
        *,
        start: int = 0,
        end: int | None = None,
    ) -> None:
        self.data = memoryview(data)
        self.label = label
        self.position = start
        self.end = len(self.data) if end is None else end

    @classmethod
    def of_file(cls, path: str | Path) -> 'ByteReader':
        """Map a file into memory, so that only what is read takes space.

        Raises:
            ValueError: If there is no such file, or it cannot be read.
        """
        try:
            with open(path, 'rb') as file:
                empty = file.seek(0, 2) == 0
                # Views keep the map open; it closes with the last of them.
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not empty:
                raise
            reason = getattr(error, 'strerror', None) or 'the file is empty'
            raise InputError(f'{path}: {reason}') from error
        return cls(memoryview(data), str(path))

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return self.end - self.position

    def error(self, message: str, at: int | None = None) -> InputError:
        """Word an error with the file and the byte, by default the next one."""
        position = self.position if at is None else at
        return InputError(f'{self.label}: byte {position}: {message}')

    def skip(self, size: int, what: str) -> int:
        """Step over bytes and return where they begin.

        Raises:
            ValueError: If fewer are left.
        """
        if size > self.remaining:
            raise self.error(
                f'{what} needs {size} bytes, but {self.remaining} are left; '
                'the file is damaged or was not fetched completely'
            )
        start = self.position
        self.position += size
        return start

    def take(self, size: int, what: str) -> memoryview:
        """Return the next bytes without copying them.

        Raises:
            ValueError: If fewer are left.
        """
        start = self.skip(size, what)
        return self.data[start : start + size]

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """Read values by a ``struct`` format.

        Raises:
            ValueError: If fewer bytes are left than it takes.
        """
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def part(self, size: int, what: str) -> 'ByteReader':
        """Return a reader of the next bytes alone, and step over them.

        Raises:
            ValueError: If fewer are left.
        """
        start = self.skip(size, what)
        return ByteReader(self.data, self.label, start=start, end=start + size)
