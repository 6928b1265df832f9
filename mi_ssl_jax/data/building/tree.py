"""Files below one place, alike for folders and archives: links followed once, foreign files and
folders passed over and listed.
"""

import collections
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from mi_ssl_jax.data.faults import counted, line, shown

_SYSTEM = {  # beside all names that begin with a dot
    '__macosx',
    '@eadir',
    '#recycle',
    '@recycle',
    '$recycle.bin',
    'system volume information',
    'lost+found',
    '__pycache__',
    'thumbs.db',
    'ehthumbs.db',
    'desktop.ini',
}
_HOPS = 40  # links that lead to links, as in Linux


class Tree(NamedTuple):
    """Files below one place.

    place: the folder or archive.
    sizes: path of each file relative to it -> bytes.
    folders: the paths of all folders in it.
    read: path of a file -> contents; any thread may call it.
    bad: (path, reason) of each file, folder and link that cannot be read.
    notes: what was passed over, and folders that stand twice, a line each.
    """

    place: Path
    sizes: Mapping[str, int]
    folders: Set[str]
    read: Callable[[str], bytes]
    bad: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


class Node(NamedTuple):
    """A file or folder. at: its real path, without links. size: bytes of a file."""

    is_folder: bool
    at: str
    size: int = 0


Children = Callable[[str], Iterable[tuple[str, Node | str]]]  # (name, node or what is wrong)


def foreign(name: str) -> bool:
    """Whether a name is an editor's, a desktop's or a file server's, no data."""
    return name.startswith('.') or name.lower() in _SYSTEM


def walk(place: Path, top: str, children: Children, read: Callable[[Node], bytes]) -> Tree:
    """The tree below `top`. A link to a folder above itself is bad: following it has no end.

    children: real path of a folder -> what it holds, without foreign names being looked at; raises
    OSError for a folder that cannot be read.
    """
    nodes, folders, bad, passed, twice = {}, {'.'}, [], [], []
    first = {top: '.'}
    waiting = [('', top, (top,))]
    while waiting:
        path, at, above = waiting.pop()
        for name, node in sorted(_listed(path, at, children, bad), key=lambda pair: pair[0]):
            own = f'{path}{name}'
            if foreign(name):
                passed.append(own)
            elif _not_utf8(name):
                bad.append((own, 'its name is not UTF-8: rename it'))
            elif isinstance(node, str):
                bad.append((own, node))
            elif not node.is_folder:
                nodes[own] = node
            elif node.at in above or top.startswith(node.at.rstrip('/') + '/'):
                bad.append((own, 'a link to a folder above it'))
            else:
                folders.add(own)
                if node.at in first:
                    twice.append(f'{own} and {first[node.at]} are one folder: it is taken twice')
                first.setdefault(node.at, own)
                waiting.append((f'{own}/', node.at, (*above, node.at)))
    sizes = {path: nodes[path].size for path in sorted(nodes)}
    notes = [*_passed(passed), *map(shown, twice)]
    return Tree(place, sizes, folders, lambda path: read(nodes[path]), tuple(bad), tuple(notes))


def _listed(path: str, at: str, children: Children, bad: list[tuple[str, str]]) -> list:
    try:
        return list(children(at))
    except OSError as error:
        if not path:
            raise
        bad.append((path[:-1], line(error)))
        return []


def _not_utf8(name: str) -> bool:
    return any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)


def _passed(paths: list[str]) -> list[str]:
    some = ', '.join(map(shown, paths[:3])) + (', ...' if len(paths) > 3 else '')
    return [f'passed over: {counted(len(paths), "hidden or system name")}: {some}'] if paths else []


def members(
    files: Mapping[str, int], folders: Iterable[str], links: Mapping[str, str | None], odd: Set[str]
) -> Children:
    """The folders of an archive, for `walk`; the top is ''.

    files: path -> bytes. links: path -> target, from its own folder, or from the archive's top if
    it begins with '/'; None leads out of the archive. odd: devices and pipes.
    """
    held: dict[str, set[str]] = collections.defaultdict(set)
    for path in (*files, *folders, *links, *odd):
        while path and path != '.':
            parent, _, name = path.rpartition('/')
            if name in held[parent]:
                break
            held[parent].add(name)
            path = parent
    known = {path for path in folders if path != '.'}

    def node(folder: str, name: str) -> Node | str:
        try:
            at = _located(f'{folder}/{name}' if folder else name, links)
        except ValueError as error:
            return str(error)
        if at in held or at in known or not at:
            return Node(True, at)
        if at in odd:
            return 'no regular file'
        return Node(False, at, files[at]) if at in files else 'a link to nothing in the archive'

    def children(folder: str) -> Iterable[tuple[str, Node | str]]:
        return [
            (name, '' if foreign(name) else node(folder, name)) for name in held.get(folder, ())
        ]

    return children


def _located(path: str, links: Mapping[str, str | None]) -> str:
    """The real path of a member. Raises ValueError for links out of the archive and in circles."""
    real: list[str] = []
    waiting, hops = collections.deque(path.split('/')), 0
    while waiting:
        part = waiting.popleft()
        if part in ('', '.'):
            continue
        if part == '..':
            if not real:
                raise ValueError('a link out of the archive')
            real.pop()
            continue
        real.append(part)
        own = '/'.join(real)
        if own in links:
            target, hops = links[own], hops + 1
            if target is None:
                raise ValueError('a link out of the archive')
            if hops > _HOPS:
                raise ValueError('a link in a circle')
            real = [] if target.startswith('/') else real[:-1]
            waiting.extendleft(reversed(target.split('/')))
    return '/'.join(real)
