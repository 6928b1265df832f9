"""Source files by name, from a folder, a zip or a tar archive, without ever unpacking one; and
downloads.
"""

import hashlib
import os
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tqdm import tqdm

_TAR_LIMIT = 2 << 30  # a tar archive is read into memory as a whole, for it has no directory


class Tree(NamedTuple):
    """Files below one place.

    place: the folder or archive.
    sizes: path of each file relative to it -> bytes.
    folders: the paths of all folders in it.
    read: path of a file -> contents; any thread may call it.
    """

    place: Path
    sizes: Mapping[str, int]
    folders: Set[str]
    read: Callable[[str], bytes]


def open_tree(place: str | os.PathLike) -> Tree:
    """The files of a folder, .zip, .tar or .tar.gz.

    Raises ValueError for a missing or damaged source and for archives whose members would leave
    their folder.
    """
    place = Path(place).expanduser()
    try:
        if place.is_dir():
            return _folder(place)
        if zipfile.is_zipfile(place):
            return _zip(place)
        if place.is_file() and tarfile.is_tarfile(place):
            return _tar(place)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(f'cannot read {place}: {error}') from None
    found = 'is neither a folder nor a zip or tar archive' if place.exists() else 'does not exist'
    raise ValueError(f'the source {place} {found}: give another one by --source')


def _folder(place: Path) -> Tree:
    sizes, folders = {}, set()
    for folder, _, files in os.walk(place, followlinks=True):
        folders.add(Path(folder).relative_to(place).as_posix())
        for file in files:
            path = Path(folder, file)
            sizes[path.relative_to(place).as_posix()] = path.stat().st_size if path.exists() else 0
    return Tree(
        place, dict(sorted(sizes.items())), folders, lambda path: (place / path).read_bytes()
    )


def _zip(place: Path) -> Tree:
    archive, lock = zipfile.ZipFile(place), threading.Lock()

    def read(path: str) -> bytes:
        with lock:
            return archive.read(path)

    members = {_inside(member.filename, place): member.file_size for member in archive.infolist()}
    sizes = {path: members[path] for path in sorted(members) if not path.endswith('/')}
    return Tree(place, sizes, _folders(sizes), read)


def _tar(place: Path) -> Tree:
    contents, total = {}, 0
    with tarfile.open(place) as archive:
        for member in archive:
            _inside(member.name, place)
            if member.isfile():
                total += member.size
                if total > _TAR_LIMIT:
                    raise ValueError(
                        f'{place} holds more than {_TAR_LIMIT >> 30} GB: unpack it and give the '
                        'folder by --source'
                    )
                contents[member.name] = archive.extractfile(member).read()
    sizes = {path: len(data) for path, data in contents.items()}
    return Tree(place, sizes, _folders(sizes), contents.__getitem__)


def _folders(paths: Iterable[str]) -> set[str]:
    return {parent.as_posix() for path in paths for parent in PurePosixPath(path).parents}


def _inside(name: str, place: Path) -> str:
    """`name` itself; a ValueError when this archive member would be written outside its folder."""
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(f"{place} is not safe: its member {name!r} leaves the archive's folder")
    return name


def download(url: str, sha256: str, folder: Path) -> Path:
    """The file at `url`, in `folder`, after its checksum was found right; downloads it unless it is
    there.

    Raises ValueError when it cannot be had or has another checksum (then nothing is kept).
    """
    target = folder / url.rsplit('/', 1)[1]
    if target.exists() and _sha256(target) == sha256:
        return target
    part = target.with_name(target.name + f'.{os.getpid()}.part')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=60) as response, open(part, 'wb') as file:
            size = int(response.headers.get('Content-Length') or 0) or None
            with tqdm(desc=target.name, total=size, unit='B', unit_scale=True, disable=None) as bar:
                while block := response.read(1 << 20):
                    file.write(block)
                    bar.update(len(block))
        if _sha256(part) != sha256:
            raise ValueError(
                f'{url} did not arrive as the official file (SHA-256 differs): try again, or '
                'give a copy by --source'
            )
        os.replace(part, target)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, 'reason', None) or error
        raise ValueError(f'cannot download {url} ({reason}): give a copy by --source') from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _sha256(path: Path) -> str:
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
