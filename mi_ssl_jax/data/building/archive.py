"""Source files by name, from a folder, a zip or a tar archive, without ever unpacking one; and
downloads.
"""

import hashlib
import os
import stat
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from mi_ssl_jax.data import faults, zips
from mi_ssl_jax.data.building import tar, tree
from mi_ssl_jax.data.building.tree import Node, Tree

_METHODS = {9: 'Deflate64', 93: 'Zstandard', 97: 'WavPack', 98: 'PPMd', 99: 'AES'}
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1


def open_tree(place: str | os.PathLike) -> Tree:
    """The files of a folder, .zip or .tar (also .gz, .bz2, .xz).

    Raises ValueError for a missing or damaged source and for archives whose members would leave
    their folder.
    """
    place = Path(place).expanduser()
    with faults.reading(f'cannot read {place}'):
        if place.is_dir():
            return _folder(place)
        if place.is_file() and zipfile.is_zipfile(place):
            return _zip(place)
        if place.is_file() and tar.is_tar(place):
            return tar.open_tar(place, _inside)
    found = 'is neither a folder nor a zip or tar archive' if place.exists() else 'does not exist'
    raise ValueError(f'the source {faults.shown(place)} {found}: give another one by --source')


def _folder(place: Path) -> Tree:
    def read(node: Node) -> bytes:
        return Path(node.at).read_bytes()

    return tree.walk(place, os.path.realpath(place), _entries, read)


def _entries(folder: str) -> Iterable[tuple[str, Node | str]]:
    with os.scandir(folder) as entries:
        return [
            (entry.name, '' if tree.foreign(entry.name) else _entry(entry)) for entry in entries
        ]


def _entry(entry: os.DirEntry) -> Node | str:
    try:
        status = entry.stat()
    except FileNotFoundError:
        return 'a link to nothing' if entry.is_symlink() else 'No such file or directory'
    except OSError as error:
        return faults.line(error)
    at = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
    if stat.S_ISDIR(status.st_mode):
        return Node(True, at)
    return Node(False, at, status.st_size) if stat.S_ISREG(status.st_mode) else 'no regular file'


def _zip(place: Path) -> Tree:
    archive, lock = zipfile.ZipFile(place), threading.Lock()
    zips.check(place, archive)
    files, folders, links = {}, set(), {}
    for member in archive.infolist():
        path = _inside(_zip_name(member), place)
        if member.is_dir():
            folders.add(path)
            continue
        _check_method(member)
        if path in files or path in links:
            raise ValueError(
                f'{path} stands in it twice: unpack it and give the folder by --source'
            )
        files[path] = member
        if stat.S_ISLNK(member.external_attr >> 16):
            target = archive.read(files.pop(path)).decode('utf-8', 'surrogateescape')
            links[path] = None if target.startswith('/') else target

    def read(node: Node) -> bytes:
        with lock, faults.reading('damaged in the archive'):
            return archive.read(files[node.at])

    sizes = {path: member.file_size for path, member in files.items()}
    return tree.walk(place, '', tree.members(sizes, folders, links, frozenset()), read)


def _zip_name(member: zipfile.ZipInfo) -> str:
    r"""A member's name, as UTF-8 also where the zip does not say so, with '/' also for '\\'."""
    name = member.filename
    if not member.flag_bits & _UTF8_FLAG and name == member.orig_filename:
        name = name.encode('cp437').decode('utf-8', 'surrogateescape')
    return name.replace('\\', '/') if '/' not in name else name


def _check_method(member: zipfile.ZipInfo) -> None:
    """Raises ValueError for a member that Python's zipfile cannot unpack."""
    how = _METHODS.get(member.compress_type, f'method {member.compress_type}')
    if member.flag_bits & _ENCRYPTED_FLAG:
        how = 'encrypted'
    elif member.compress_type in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        return
    else:
        how = f'compressed by {how}, which Python cannot read'
    raise ValueError(f'{member.filename} in it is {how}: unpack it and give the folder by --source')


def _inside(name: str, place: Path) -> str:
    """The plain path of an archive member ('./a//b/' is 'a/b'); a ValueError when it would be
    written outside its folder.
    """
    windows = PurePosixPath(name.replace('\\', '/'))
    if windows.is_absolute() or '..' in windows.parts:
        raise ValueError(f"it is not safe: its member {name!r} leaves the archive's folder")
    return PurePosixPath(name).as_posix()


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
