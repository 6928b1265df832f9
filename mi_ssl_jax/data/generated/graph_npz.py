"""A graph from an NPZ file: `prepare graph_npz --source=FILE.npz`.

Two forms are read. Plain: `features` (nodes, F), `edges` (E, 2) or (2, E), `labels` (nodes,). And
that of the Amazon and Coauthor benchmarks (Shchur et al. 2018, arXiv 1811.05868): `labels` beside
two sparse matrices, attr_* and adj_*, each as _data, _indices, _indptr and _shape (CSR). Edges
become undirected; self-loops and repetitions are dropped. A tenth of each class's nodes trains
probes, chosen by a fixed seed; the others are held out.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mi_ssl_jax.data import records
from mi_ssl_jax.data.generated import graphs
from mi_ssl_jax.data.splits import Resident

TRAIN = 0.1  # share of each class's nodes, as in BGRL's random splits (section 4.1)
_PLAIN = ('features', 'edges', 'labels')
_CSR = ('_data', '_indices', '_indptr', '_shape')


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
    bad file.
    """
    folder = records.root(data_dir) / 'graph_npz' / graphs.VERSION
    if (folder / 'dataset_info.json').exists():
        return f'graph_npz is prepared already: {folder} (remove that folder to prepare it again)'
    if source is None:
        raise ValueError(
            'graph_npz is made from a file that you have: give it by --source=FILE.npz'
        )
    graph = read(Path(source).expanduser())
    description = f'{Path(source).name}: {summary(graph)}.'
    records.write(graphs.spec('graph_npz', graph, description, ''), data_dir)
    return f'{folder}: {summary(graph)}'


def summary(graph: graphs.Graph) -> str:
    """The graph's sizes in words."""
    return (
        f'{len(graph.labels):,} nodes with {graph.features.shape[1]:,} features,'
        f' {len(graph.edges):,} undirected edges, {graph.labels.max() + 1} classes,'
        f' {graph.train.sum():,} training nodes'
    )


def read(path: Path) -> graphs.Graph:
    """The graph of an NPZ file in either form. ValueError that names the file and what is wrong
    with it.
    """
    try:
        held = np.load(path, allow_pickle=False)
        if isinstance(held, np.ndarray):
            raise ValueError('it holds one array, not several by name')
        with held as arrays:
            return _graph(*(_plain(arrays) if 'features' in arrays else _sparse(arrays)))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{path} is no graph in NPZ form: {error}') from error


def _plain(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    features, edges, labels = (_array(arrays, name) for name in _PLAIN)
    if edges.ndim != 2 or 2 not in edges.shape:
        raise ValueError(f'edges have shape {edges.shape}, not (E, 2) or (2, E)')
    return features, edges if edges.shape[1] == 2 else edges.T, labels


def _sparse(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = _array(arrays, 'labels')
    if 'attr_matrix' in arrays:
        features = _array(arrays, 'attr_matrix')
    else:
        shape, rows, columns, values = _csr(arrays, 'attr')
        if 4.0 * shape[0] * shape[1] > graphs.LIMIT:  # before the memory is taken
            raise ValueError(_too_large(shape))
        features = np.zeros(shape, np.float32)
        np.add.at(features, (rows, columns), values)
    shape, rows, columns, values = _csr(arrays, 'adj')
    if shape != (len(labels),) * 2:
        raise ValueError(f'adj_shape is {shape}, but there are {len(labels)} labels')
    return features, np.stack([rows, columns], axis=1)[values != 0], labels


def _csr(
    arrays: Mapping[str, np.ndarray], name: str
) -> tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]:
    """(shape, row of each entry, its column, its value) of the sparse matrix `name`."""
    values, columns, starts, shape = (_array(arrays, name + part) for part in _CSR)
    shape = tuple(int(size) for size in shape)
    counts = np.diff(starts)
    whole = (
        len(shape) == 2
        and min(shape) > 0
        and len(starts) == shape[0] + 1
        and starts[0] == 0
        and starts[-1] == len(values) == len(columns)
        and np.all(counts >= 0)
        and (len(columns) == 0 or 0 <= columns.min() <= columns.max() < shape[1])
    )
    if not whole:
        raise ValueError(
            f'{name}_data, {name}_indices, {name}_indptr and {name}_shape do not fit together'
        )
    return shape, np.repeat(np.arange(shape[0]), counts), columns, values


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise ValueError(
            f'it has no {name}; it needs {", ".join(_PLAIN)}, or labels with'
            f' attr{{{",".join(_CSR)}}} and adj{{{",".join(_CSR)}}}'
        )
    array = np.asarray(arrays[name])
    if array.dtype.kind not in 'biuf':
        raise ValueError(f'{name} holds {array.dtype}, not numbers')
    return array


def _graph(features: np.ndarray, edges: np.ndarray, labels: np.ndarray) -> graphs.Graph:
    nodes = len(labels)
    if labels.ndim != 1 or labels.dtype.kind not in 'iu' or not nodes or labels.min() < 0:
        raise ValueError(
            f'labels must be one integer from 0 on a node; they are {labels.dtype} of shape'
            f' {labels.shape}'
        )
    if features.ndim != 2 or len(features) != nodes:
        raise ValueError(f'features have shape {features.shape}, but there are {nodes} labels')
    if 4.0 * features.size > graphs.LIMIT:
        raise ValueError(_too_large(features.shape))
    if not np.all(np.isfinite(features)):
        raise ValueError('features are not all finite')
    if edges.dtype.kind not in 'iu' or edges.size and not 0 <= edges.min() <= edges.max() < nodes:
        raise ValueError(f'edges must be pairs of integers from 0 to {nodes - 1}')
    labels = labels.astype(np.int32)
    return graphs.Graph(
        features.astype(np.float32),
        graphs.undirected(edges),
        labels,
        graphs.training_nodes(labels, TRAIN),
    )


def _too_large(shape: tuple[int, ...]) -> str:
    return (
        f'its {shape[0]:,} x {shape[1]:,} features take more than {graphs.LIMIT / 1e9:g} GB as'
        ' float32'
    )
