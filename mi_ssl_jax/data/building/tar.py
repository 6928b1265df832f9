"""Tar archives, plain or compressed, read whole: one that is damaged or cut off is an error."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mi_ssl_jax.data.building import tree

_LIMIT = 2 << 30  # a compressed archive is unpacked into memory, for it has no directory
_BLOCK = tarfile.BLOCKSIZE
_COMPRESSED = {b'\x1f\x8b': gzip.open, b'BZh': bz2.open, b'\xfd7zXZ\0': lzma.open}


class _Bytes(NamedTuple):
    """A tar's bytes. at: (offset, size) -> bytes."""

    file: io.BufferedIOBase
    at: Callable[[int, int], bytes]


def is_tar(place: Path) -> bool:
    """Whether a file is compressed as tars are, or begins as a tar does."""
    with open(place, 'rb') as file:
        start = file.read(_BLOCK)
    if start.startswith(tuple(_COMPRESSED)):
        return True
    try:
        tarfile.TarInfo.frombuf(start, 'utf-8', 'surrogateescape')
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def open_tar(place: Path, inside: Callable[[str, Path], str]) -> tree.Tree:
    """The files of a tar. inside: (name, place) -> the name made plain; raises ValueError.

    A damaged archive raises ValueError, or whatever tarfile and the decompressors raise.
    """
    source = _open(place)
    with _said_plainly(), tarfile.open(fileobj=source.file, mode='r:', encoding='utf-8') as archive:
        found = _Members({}, set(), {}, set(), {})
        for member in archive:
            found.add(inside(member.name, place), member, archive)
        _check_end(source, archive.offset)
    sizes = {path: size for path, (_, size) in found.files.items()}

    def read(node: tree.Node) -> bytes:
        whole = found.sparse.get(node.at)
        return source.at(*found.files[node.at]) if whole is None else whole

    return tree.walk(place, '', tree.members(sizes, found.folders, found.links, found.odd), read)


@contextlib.contextmanager
def _said_plainly() -> Iterator[None]:
    """Turns tarfile's complaint about a header into what it means for the archive."""
    try:
        yield
    except tarfile.ReadError as error:
        raise ValueError(f'it is damaged or was cut off ({error})') from error


class _Members(NamedTuple):
    """The members of the archive by path; where a path occurs twice the last one counts, as when
    unpacked.
    """

    files: dict[str, tuple[int, int]]  # offset, size
    folders: set[str]
    links: dict[str, str | None]
    odd: set[str]
    sparse: dict[str, bytes]  # contents of files that are stored with holes

    def add(self, path: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        for kind in (self.files, self.links, self.sparse):
            kind.pop(path, None)
        if member.isdir():
            self.folders.add(path)
        elif member.islnk():
            self.links[path] = f'/{member.linkname}'
        elif member.issym():
            self.links[path] = None if member.linkname.startswith('/') else member.linkname
        elif not member.isfile():
            self.odd.add(path)
        else:
            self.files[path] = member.offset_data, member.size
            if member.issparse():
                self.sparse[path] = archive.extractfile(member).read()


def _open(place: Path) -> _Bytes:
    with open(place, 'rb') as file:
        start = file.read(8)
    unpack = next((f for magic, f in _COMPRESSED.items() if start.startswith(magic)), None)
    if unpack is None:
        file = open(place, 'rb')  # the records are read from it until the end
        return _Bytes(
            file, lambda offset, size: _whole(os.pread(file.fileno(), size, offset), size)
        )
    with unpack(place) as file:
        contents = file.read(_LIMIT + 1)  # to its end, where the checksum stands
    if len(contents) > _LIMIT:
        raise ValueError(
            f'it holds more than {_LIMIT >> 30} GB: unpack it and give the folder by --source'
        )
    return _Bytes(io.BytesIO(contents), lambda offset, size: contents[offset : offset + size])


def _whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError('the archive was cut off')
    return data


def _check_end(source: _Bytes, end: int) -> None:
    """tarfile takes a damaged header for the end of the archive; a true end is all zeros."""
    source.file.seek(end)
    mark = source.file.read(_BLOCK)
    if len(mark) < _BLOCK:
        raise ValueError(f'it ends at byte {end:,} without an end mark: it was cut off')
    if mark.strip(b'\0'):
        raise ValueError(f'its member at byte {end:,} is damaged')
    size = end + _BLOCK
    while more := source.file.read(1 << 20):
        size += len(more)
        if more.strip(b'\0'):
            raise ValueError(
                f'it goes on behind its end at byte {end:,}: it is damaged, or archives were joined'
            )
    last = -(-(end + 2 * _BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
    if size > last:  # as a download leaves it that reserved its place and broke off
        raise ValueError(
            f'its last {size - end:,} bytes are zeros, and an end takes {last - end:,} at most: it'
            ' is damaged (if not, unpack it and give the folder by --source)'
        )
