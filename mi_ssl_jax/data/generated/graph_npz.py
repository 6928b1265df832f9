"""A graph from an NPZ file: `prepare graph_npz --source=FILE.npz`.

Two forms are read. Plain: features (nodes, F), edges (E, 2) or (2, E), labels (nodes,), under these
names or those of PyG (x, edge_index, y), DGL (feat, label) and the heterophilous sets
(node_features, node_labels). And that of the Amazon and Coauthor benchmarks (Shchur et al. 2018,
arXiv 1811.05868): labels beside two sparse matrices, attr_* and adj_*, each as _data, _indices,
_indptr and _shape (CSR). Edges become undirected; self-loops and repetitions are dropped. A label
of -1 is none. train_mask and test_mask say which nodes train probes and which are held out; of
several splits the first is taken. Without masks a tenth of each class's nodes trains probes, chosen
by a fixed seed; the others are held out.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mi_ssl_jax.data import faults, records, zips
from mi_ssl_jax.data.generated import graphs
from mi_ssl_jax.data.splits import Resident

TRAIN = 0.1  # share of each class's nodes, as in BGRL's random splits (section 4.1)
_PLAIN = {  # name of an array -> the names it is read by, the first that the file has
    'features': ('features', 'x', 'feat', 'node_features', 'node_feat'),
    'edges': ('edges', 'edge_index'),
    'labels': ('labels', 'y', 'label', 'node_labels', 'node_label'),
}
_MASKS = {kind: (f'{kind}_mask', f'{kind}_masks') for kind in ('train', 'test')}
_CSR = ('_data', '_indices', '_indptr', '_shape')


class Found(NamedTuple):
    """A graph and what was done with its file, a clause each."""

    graph: graphs.Graph
    notes: tuple[str, ...]


def load(data_dir: str | None) -> Resident:
    """The graph that was prepared. ValueError when none was."""
    folder = records.root(data_dir) / 'graph_npz' / graphs.VERSION
    if not (folder / 'dataset_info.json').exists():
        where = f' --data_dir={data_dir}' if data_dir else ''
        raise ValueError(
            f'graph_npz is not prepared in {records.root(data_dir)}: run '
            f'python -m mi_ssl_jax.data.prepare graph_npz{where} --source=FILE.npz'
        )
    return graphs.load(folder, 'graph_npz')


def prepare(source: str | None, data_dir: str | None) -> str:
    """Write the record, unless there is one; what was done in words. ValueError, in one line, for a
    bad file, and when the record that is there was made from another file.
    """
    folder = records.root(data_dir) / 'graph_npz' / graphs.VERSION
    exists = (folder / 'dataset_info.json').exists()
    if exists:
        graphs.load(folder, 'graph_npz')  # a damaged one is no graph that is prepared already
    if exists and not records.may_differ(folder, source):
        return records.already('graph_npz', folder)
    if source is None:
        raise ValueError(
            'graph_npz is made from a file that you have: give it by --source=FILE.npz'
        )
    path = Path(source).expanduser()
    found = read(path)
    origin = _origin(path)
    if exists:
        records.check_origin('graph_npz', folder, origin)
        return records.already('graph_npz', folder)
    said = '; '.join([summary(found.graph), *found.notes])
    spec = graphs.spec('graph_npz', found.graph, f'{faults.shown(path.name)}: {said}.', '')
    records.write(spec._replace(origin=origin), data_dir)
    return f'{folder}: {said}'


def _origin(path: Path) -> dict[str, str]:
    with open(path, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    return {'source': os.path.abspath(path), 'digest': digest}


def summary(graph: graphs.Graph) -> str:
    """The graph's sizes in words."""
    return (
        f'{len(graph.labels):,} nodes with {graph.features.shape[1]:,} features,'
        f' {len(graph.edges):,} undirected edges, {graph.labels.max() + 1} classes,'
        f' {graph.train.sum():,} training nodes'
    )


def read(path: Path) -> Found:
    """The graph of an NPZ file in either form. ValueError that names the file and what is wrong
    with it.
    """
    with faults.reading(f'{path} is no graph in NPZ form'):
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            raise ValueError('it holds one array, not several by name')
        with held as arrays:
            zips.check(path, held.zip)
            return _found(_Reader(arrays, set()))


class _Reader(NamedTuple):
    """The arrays of a file and the names of those that were read."""

    arrays: Mapping[str, np.ndarray]
    taken: set[str]

    def name(self, names: tuple[str, ...]) -> str | None:
        """The first of these names that the file has."""
        return next((name for name in names if name in self.arrays), None)

    def array(self, *names: str) -> np.ndarray:
        """The array of the first of these names that the file has; of numbers."""
        name = self.name(names)
        if name is None:
            other = f' (nor {", ".join(names[1:])})' if names[1:] else ''
            raise ValueError(
                f'it has no {names[0]}{other}; it has {faults.listed(self.arrays)}; it needs'
                f' {", ".join(_PLAIN)}, or labels with attr{{{",".join(_CSR)}}} and'
                f' adj{{{",".join(_CSR)}}}'
            )
        self.taken.add(name)
        array = np.asarray(self.arrays[name])
        if array.dtype.kind not in 'biuf':
            raise ValueError(f'{name} holds {array.dtype}, not numbers')
        return array


def _found(file: _Reader) -> Found:
    plain = file.name(_PLAIN['features']) is not None
    features, edges, labels = _plain(file) if plain else _sparse(file)
    masks = {
        kind: _mask(file, names, len(labels)) for kind, names in _MASKS.items() if file.name(names)
    }
    graph, notes = _graph(
        features, edges, labels, {kind: mask for kind, (mask, _) in masks.items()}
    )
    notes = [note for _, note in masks.values() if note] + notes
    rest = [name for name in file.arrays if name not in file.taken]
    return Found(graph, (*notes, f'not read: {faults.listed(rest)}') if rest else tuple(notes))


def _plain(file: _Reader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, edges, labels = (file.array(*names) for names in _PLAIN.values())
    if edges.ndim != 2 or 2 not in edges.shape:
        raise ValueError(f'edges have shape {edges.shape}, not (E, 2) or (2, E)')
    columns = edges.shape[1] != 2 or 'edge_index' in file.taken and edges.shape[0] == 2
    return features, edges.T if columns else edges, _column(labels)


def _column(labels: np.ndarray) -> np.ndarray:
    """Labels (nodes, 1), as OGB has them, as (nodes,)."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _sparse(file: _Reader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = _column(file.array(*_PLAIN['labels']))
    if labels.ndim != 1:
        raise ValueError(_no_labels(labels))
    if 'attr_matrix' in file.arrays:
        features = file.array('attr_matrix')
    else:
        shape, rows, columns, values = _csr(file, 'attr')
        if 4.0 * shape[0] * shape[1] > graphs.LIMIT:  # before the memory is taken
            raise ValueError(_too_large(shape))
        features = np.zeros(shape, np.float32)
        np.add.at(features, (rows, columns), _float32(values))
    shape, rows, columns, values = _csr(file, 'adj')
    if shape != (len(labels),) * 2:
        raise ValueError(f'adj_shape is {shape}, but there are {len(labels)} labels')
    return features, np.stack([rows, columns], axis=1)[values != 0], labels


def _csr(file: _Reader, name: str) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
    """(shape, row of each entry, its column, its value) of the sparse matrix `name`."""
    values, columns, starts, sizes = (file.array(name + part) for part in _CSR)
    shape = tuple(int(size) for size in np.atleast_1d(sizes))
    whole = (
        all(array.ndim == 1 for array in (values, columns, starts))
        and all(array.dtype.kind in 'iu' for array in (columns, starts, sizes))
        and len(shape) == 2
        and min(shape) > 0
        and len(starts) == shape[0] + 1
        and starts[0] == 0
        and starts[-1] == len(values) == len(columns)
        and np.all(starts[1:] >= starts[:-1])
        and (len(columns) == 0 or 0 <= columns.min() <= columns.max() < shape[1])
    )
    if not whole:
        raise ValueError(
            f'{name}_data, {name}_indices, {name}_indptr and {name}_shape do not fit together'
        )
    return shape, np.repeat(np.arange(shape[0]), np.diff(starts.astype(np.int64))), columns, values


def _mask(file: _Reader, names: tuple[str, ...], nodes: int) -> tuple[np.ndarray, str]:
    """((nodes,) bool, a note) of a mask; of several splits, (n, nodes) or (nodes, n), the first."""
    mask, name, note = file.array(*names), file.name(names), ''
    if mask.ndim == 2 and nodes in mask.shape:
        mask = mask if mask.shape[1] == nodes else mask.T
        note = f'of the {len(mask)} splits of {name} the first' if len(mask) > 1 else ''
        mask = mask[0] if len(mask) else mask
    if mask.shape != (nodes,) or not np.all((mask == 0) | (mask == 1)):
        raise ValueError(
            f'{name} must say yes or no of each of {nodes} nodes; it is {mask.dtype} of shape'
            f' {mask.shape}'
        )
    return mask.astype(bool), note


def _graph(
    features: np.ndarray, edges: np.ndarray, labels: np.ndarray, masks: Mapping[str, np.ndarray]
) -> tuple[graphs.Graph, list[str]]:
    """The checked graph and notes. A node of no split has the label -1, as one without a label."""
    labels, nodes = _labels(labels), len(labels)
    if features.ndim != 2 or len(features) != nodes:
        raise ValueError(f'features have shape {features.shape}, but there are {nodes} labels')
    if 4.0 * features.size > graphs.LIMIT:
        raise ValueError(_too_large(features.shape))
    if edges.dtype.kind not in 'iu' or edges.size and not 0 <= edges.min() <= edges.max() < nodes:
        raise ValueError(f'edges must be pairs of integers from 0 to {nodes - 1}')
    features = _float32(features)
    unlabelled = int(np.sum(labels < 0))
    notes = [f'{unlabelled:,} nodes have no label (-1)'] if unlabelled else []
    if not masks:
        train = graphs.training_nodes(labels, TRAIN)
    else:
        train, held_out = _split(masks, labels)
        notes.append(f'{held_out.sum():,} nodes are held out, as {" and ".join(_names(masks))} say')
        labels = np.where(train | held_out, labels, -1).astype(np.int32)
    return graphs.Graph(features, graphs.undirected(edges), labels, train), notes


def _names(masks: Mapping[str, np.ndarray]) -> list[str]:
    return [_MASKS[kind][0] for kind in masks]


def _split(masks: Mapping[str, np.ndarray], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labelled nodes that train and those held out; with one mask, the others are its rest."""
    train = masks['train'] if 'train' in masks else ~masks['test']
    held_out = masks['test'] if 'test' in masks else ~masks['train']
    if np.any(train & held_out):
        raise ValueError(
            f'{np.sum(train & held_out)} nodes are both in train_mask and in test_mask'
        )
    train, held_out = train & (labels >= 0), held_out & (labels >= 0)
    if not train.any() or not held_out.any():
        raise ValueError('its masks leave no labelled node to train, or none to hold out')
    return train, held_out


def _labels(labels: np.ndarray) -> np.ndarray:
    """(nodes,) int32 labels: from 0 on, or -1 for none."""
    if labels.ndim != 1 or labels.dtype.kind not in 'iu' or not len(labels):
        raise ValueError(_no_labels(labels))
    least, most = int(labels.min()), int(labels.max())
    if least < -1:
        raise ValueError(
            f'labels must be one integer from 0 on a node, or -1 for none; the least is {least}'
        )
    if most < 0:
        raise ValueError(f'all {len(labels)} labels are -1, which is none')
    if most >= len(labels):
        raise ValueError(f'labels go up to {most}, but there are only {len(labels)} nodes')
    return labels.astype(np.int32)


def _no_labels(labels: np.ndarray) -> str:
    return (
        f'labels must be one integer from 0 on a node; they are {labels.dtype} of shape'
        f' {labels.shape}'
    )


def _float32(values: np.ndarray) -> np.ndarray:
    """The values as float32; ValueError when some are not finite, or not as float32."""
    with np.errstate(over='ignore'):
        cast = values.astype(np.float32)
    if not np.all(np.isfinite(cast)):
        largest = np.max(np.abs(values[np.isfinite(values)].astype(np.float64)), initial=0.0)
        beyond = f' as float32: the largest is {largest:g}' if np.all(np.isfinite(values)) else ''
        raise ValueError(f'features are not all finite{beyond}')
    return cast


def _too_large(shape: tuple[int, ...]) -> str:
    return (
        f'its {shape[0]:,} x {shape[1]:,} features take more than {graphs.LIMIT / 1e9:g} GB as'
        ' float32'
    )
