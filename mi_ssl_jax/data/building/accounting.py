"""The fate of every file of a source (taken, bad, or passed over with a note), and the fingerprint
by which a source is recognised.
"""

import collections
import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence, Set

from mi_ssl_jax.data.building.tree import Tree
from mi_ssl_jax.data.faults import counted, shown

_READ = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.jfif',
    '.png',
    '.bmp',
    '.webp',
    '.tif',
    '.tiff',
    '.gif',
    '.ppm',
    '.pgm',
)
_UNREAD = (  # images all the same: in a class folder they are examples that would be missing
    *('.avif', '.dcm', '.eps', '.exr', '.hdr', '.heic', '.heif', '.ico', '.jp2', '.jxl', '.npy'),
    *('.cr2', '.dng', '.nef', '.pnm', '.psd', '.raw', '.svg', '.tga'),
)
_SAMPLED = 32  # files whose contents a source is known by, beside all names and sizes


def is_image(path: str) -> bool:
    """Whether a file is taken for an image, by its name."""
    return path.lower().endswith(_READ)


def left_in(tree: Tree, folders: Sequence[str], known: Set[str]) -> list[tuple[str, str]]:
    """(path, reason) of images in the folders of the splits that no class has.

    known: paths that are taken or bad already.
    """
    bad = []
    for folder in folders:
        loose = [path for path in tree.sizes if _inside(path, folder) == 1 and is_image(path)]
        loose = [path for path in loose if path not in known]
        if len(loose) == 1:
            bad.append((loose[0], 'lies beside the class folders, not in one'))
        elif loose:
            some = loose[0][len(folder) :]
            reason = (
                f'{len(loose):,} images lie beside the class folders, not in one, such as {some}'
            )
            bad.append((folder, reason))
        bad += [
            (path, f'{_suffix(path)} is not read: convert it to PNG or JPEG')
            for path in tree.sizes
            if _inside(path, folder) and _suffix(path) in _UNREAD and path not in known
        ]
    return bad


def notes(
    tree: Tree, folders: Sequence[str], train: Sequence[tuple[str, str]], name: str
) -> list[str]:
    """A line for each kind of thing that is passed over, or that looks odd."""
    found = []
    elsewhere = collections.Counter(
        path.rpartition('/')[0] or '.'
        for path in tree.sizes
        if is_image(path) and not any(_inside(path, folder) for folder in folders)
    )
    if elsewhere:
        places = ', '.join(f'{folder}/' for folder in sorted(elsewhere)[:3])
        found.append(
            f'passed over: {counted(elsewhere.total(), "image")} neither in {folders[0]} nor in'
            f' {folders[1]}: {places}' + (', ...' if len(elsewhere) > 3 else '')
        )
    others = [
        path
        for path in tree.sizes
        if any(_inside(path, folder) for folder in folders)
        and not is_image(path)
        and _suffix(path) not in _UNREAD
    ]
    if others:
        found.append(
            f'passed over: {counted(len(others), "file")}, no images by name, such as {others[0]}'
        )
    return [*map(shown, found), *_odd_classes(train, folders[0], name)]


def _odd_classes(train: Sequence[tuple[str, str]], folder: str, name: str) -> list[str]:
    """Classes that hold several folders of images, and names that differ in case alone."""
    within, alike = collections.defaultdict(set), collections.defaultdict(set)
    for path, wnid in train:
        alike[unicodedata.normalize('NFC', wnid).casefold()].add(wnid)
        parts = path[len(folder) :].split('/')
        if len(parts) > 2:
            within[wnid].add(parts[1])
    nested = sorted(wnid for wnid, below in within.items() if len(below) > 1)
    found = [
        f'note: classes alike but for case: {", ".join(sorted(a))}'
        for a in alike.values()
        if len(a) > 1
    ]
    if nested:
        below = ', '.join(sorted(within[nested[0]])[:3])
        found.append(
            f'note: the folders below {folder}{nested[0]} ({below}) are all of class {nested[0]}'
            + (f'; so too in {len(nested) - 1} more' if len(nested) > 1 else '')
        )
    return list(map(shown, found))


def origin(
    tree: Tree, root: str, splits: Mapping[str, Sequence[tuple[str, str]]], classes: Sequence[str]
) -> dict[str, str]:
    """Return the fingerprint of a prepared set's source: its path, and a digest of names, sizes,
    labels and the contents of a few files.
    """
    rows = sorted(
        (split, path, wnid, tree.sizes[path])
        for split, pairs in splits.items()
        for path, wnid in pairs
    )
    digest = hashlib.sha256(repr(list(classes)).encode())
    for split, path, wnid, size in rows:
        digest.update(repr((split, path[len(root) :], wnid, size)).encode())
    for _, path, _, _ in rows[:: max(1, len(rows) // _SAMPLED)]:
        try:
            digest.update(tree.read(path))
        except (OSError, ValueError):  # a bad file: it is named when it is to be stored
            continue
    return {'source': os.path.abspath(tree.place), 'digest': digest.hexdigest()}


def _inside(path: str, folder: str) -> int:
    """Return how many levels below `folder` a file lies; 0 if it lies elsewhere."""
    return path[len(folder) :].count('/') + 1 if path.startswith(folder) else 0


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
