"""A zip's directory against the number of its files, which Python's zipfile does not compare."""

import os
import struct
import zipfile
from pathlib import Path

_END = struct.Struct('<4s4H2LH')  # the record at a zip's end, before its comment
_SIGNATURE = b'PK\5\6'
_MANY = 0xFFFF  # files, and bytes of a comment: more stand in another record


def check(place: Path, archive: zipfile.ZipFile) -> None:
    """Raises ValueError when a zip's directory does not list as many files as the zip says.

    A damaged length in one entry swallows those behind it, and nothing else tells that they lack.
    """
    with open(place, 'rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size - _MANY))
        tail = file.read()
    start = tail.rfind(_SIGNATURE)
    if start < 0 or start + _END.size > len(tail):
        raise ValueError('it has no end: it is damaged')
    said, found = _END.unpack_from(tail, start)[4], len(archive.infolist())
    if said not in (_MANY, found & _MANY):
        raise ValueError(f'it lists {found:,} files instead of {said:,}: it is damaged')
