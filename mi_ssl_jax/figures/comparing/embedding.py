"""Embeddings of held-out examples in two dimensions, by principal components."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.figures.comparing.markup import element
from mi_ssl_jax.figures.statistics import evenly

MOST = 2000  # rows from which the components are computed
SIDE = 1000  # units of the picture
MARGIN = 40
COLOURS = 10  # of classes: --k0 to --k9 in page.css


class Embedding(NamedTuple):
    """points: (n, 2), each row a held-out example. labels: (n,), below 0 for none. classes: the
    names of the labels, where they have names. shares: (2,), of the variance. count: examples that
    were embedded.
    """

    points: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]
    shares: np.ndarray
    count: int


def project(z: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Embedding:
    """The first two principal components of embeddings on the unit sphere, where MI is measured.

    Args:
        z: embeddings (N, D).
        labels: (N,).
        classes: the names of the labels.

    Returns:
        The projection of at most `MOST` evenly picked rows.

    Raises:
        ValueError: fewer than three rows, shapes that do not fit, or values that are not finite.
    """
    if z.ndim != 2 or len(z) < 3 or not z.shape[1] or labels.shape != (len(z),):
        raise ValueError(f'embeddings {z.shape} and labels {labels.shape} do not belong together')
    rows = evenly(len(z), MOST)
    chosen = z[rows].astype(float)
    if not np.isfinite(chosen).all():
        raise ValueError('the embeddings are not finite')
    length = np.linalg.norm(chosen, axis=1, keepdims=True)
    unit = chosen / np.where(length == 0, 1, length)
    centred = unit - unit.mean(axis=0)
    left, scale, axes = np.linalg.svd(centred, full_matrices=False)
    left, scale, axes = (np.pad(part, pad) for part, pad in _two(left, scale, axes))
    # The sign of a component is arbitrary: its largest entry is made positive.
    largest = axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)]
    points = left[:, :2] * scale[:2] * np.where(largest < 0, -1, 1)
    total = max(float((scale**2).sum()), np.finfo(float).tiny)
    return Embedding(points, labels[rows].astype(int), classes, scale[:2] ** 2 / total, len(z))


def picture(found: Embedding, most: int, title: str) -> ET.Element:
    """A scatter plot: one path a class, one dot for each of at most `most` points, the name of each
    class at its middle.
    """
    rows = evenly(len(found.points), most)
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    span = max(float((high - low).max()), np.finfo(float).tiny)
    centre = (low + high) / 2
    scaled = (found.points[rows] - centre) / span * (SIDE - 2 * MARGIN) * [1, -1] + SIDE / 2
    places, labels = scaled.round().astype(int), found.labels[rows]
    paths, words = [], []
    for label in np.unique(labels):
        own = places[labels == label]
        dots = ''.join(f'M{x} {y}h0' for x, y in own)
        paths.append(element('path', d=dots, class_=f'dots {_colour(label)}'))
        if 0 <= label < len(found.classes) <= COLOURS:
            x, y = np.median(own, axis=0)
            name = found.classes[label][:14]
            words.append(element('text', name, x=f'{x:.0f}', y=f'{y:.0f}', class_='class'))
    return element(
        'svg',
        element('title', title),
        paths,
        words,
        viewBox=f'0 0 {SIDE} {SIDE}',
        role='img',
        class_='scatter',
    )


def _colour(label: int) -> str:
    return 'none' if label < 0 else f'k{label % COLOURS}'


def _two(
    left: np.ndarray, scale: np.ndarray, axes: np.ndarray
) -> list[tuple[np.ndarray, list[tuple[int, int]]]]:
    """With the padding that makes two components of one."""
    lack = max(2 - len(scale), 0)
    return [(left, [(0, 0), (0, lack)]), (scale, [(0, lack)]), (axes, [(0, lack), (0, 0)])]
