"""Read the files of a dataset out of its archive, or out of the unpacked folder."""

import hashlib
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wsss_mm.utils.errors import InputError

# More than any single file of the datasets has; a forged size is stopped here.
LARGEST_FILE = 64 * 2**20
BROKEN = (
    *(tarfile.TarError, EOFError, OSError, OverflowError, MemoryError),
    *(zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class SourceFile:
    """A file found in an archive or a folder.

    Attributes:
        match: How its path below the source matched.
        size: Its length in bytes.
        where: Source and path, for messages.
        handle: What the source reads it with.
    """

    match: re.Match[str]
    size: int
    where: str
    handle: Any

    def read(self) -> bytes:
        """Read the whole file.

        Raises:
            ValueError: If it is too large for a file of a dataset, or cut off.
        """
        if self.size > LARGEST_FILE:
            raise InputError(
                f'{self.where} claims to have {self.size} bytes, more than any file '
                'that belongs there; get the source again'
            )
        try:
            content: bytes = self.handle()
        except BROKEN as error:
            raise broken(self.where, error) from error
        if len(content) != self.size:
            raise broken(self.where, EOFError('unexpected end of file'))
        return content


def find_files(source: str | Path, pattern: str) -> Iterator[SourceFile]:
    """Go through the files of a tar archive or a folder whose path matches.

    Nothing is unpacked, and where a file goes is up to the caller: only what the
    pattern captures of its path can have a say in that. Files are given in the order
    of the archive, and of their names in a folder.

    Args:
        source: The archive, compressed or not, or the folder.
        pattern: Regular expression searched for in the path, with `/` between
            folders; it has to reach to the path's end.

    Raises:
        ValueError: If there is no such source, it is damaged, or a path that
            matches is not a plain file or leads out of the archive.
    """
    source = Path(source)
    wanted = re.compile(f'(?:^|/){pattern}$')
    if source.is_dir():
        yield from files_of_folder(source, wanted)
    elif source.is_file():
        yield from files_of_archive(source, wanted)
    else:
        raise InputError(f'no archive or folder {source}; correct its path')


def files_of_folder(source: Path, wanted: re.Pattern[str]) -> Iterator[SourceFile]:
    """Go through a folder and all below it."""
    for folder, below, names in os.walk(source):
        below.sort()
        for name in sorted(names):
            path = Path(folder, name)
            match = wanted.search(path.relative_to(source).as_posix())
            if match:
                yield SourceFile(match, path.stat().st_size, str(path), path.read_bytes)


def files_of_archive(source: Path, wanted: re.Pattern[str]) -> Iterator[SourceFile]:
    """Go through a tar archive once."""
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                match = wanted.search(member.name)
                where = f'{source}: {member.name}'
                if member.isdir() or not match:
                    continue
                check_member(member, where)
                yield SourceFile(
                    match, member.size, where, Reader(archive, member).read
                )
    except BROKEN as error:
        raise broken(str(source), error) from error


@dataclass(frozen=True)
class Reader:
    """Reads one file of an open archive."""

    archive: tarfile.TarFile
    member: tarfile.TarInfo

    def read(self) -> bytes:
        """Read the file; what is not a plain file has been refused before."""
        file = self.archive.extractfile(self.member)
        return b'' if file is None else file.read()


def check_member(member: tarfile.TarInfo, where: str) -> None:
    """Refuse links, devices, and paths that lead out of the archive."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or '..' in path.parts:
        raise InputError(
            f'{where} leads out of the archive; this is not the official file, get '
            'it from its authors'
        )
    if not member.isreg():
        raise InputError(
            f'{where} is a link or a device, not a file; this is not the official '
            'archive, get it from its authors'
        )


def check_md5(path: str | Path, expected: str) -> None:
    """Refuse a file whose MD5 sum is not the published one.

    Raises:
        ValueError: If it differs or the file cannot be read.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with Path(path).open('rb') as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise broken(str(path), error) from error
    if digest.hexdigest() != expected:
        raise InputError(
            f'{path} has the MD5 sum {digest.hexdigest()}, the official file has '
            f'{expected}: the download is not complete or is another file; get it '
            'again'
        )


def broken(where: str, error: Exception) -> InputError:
    """Word the error of a source that cannot be read."""
    reason = str(error).partition(':\n')[0]
    return InputError(
        f'cannot read {where}: {reason}; it is cut off or damaged, get it again'
    )
