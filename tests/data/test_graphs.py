"""Graphs: a block model with the parameters it was given, NPZ files in both forms, the karate club,
bad input."""

import sys

import numpy as np
import pytest
import scipy.sparse

from mi_ssl_jax import data
from mi_ssl_jax.data import prepare
from mi_ssl_jax.data.generated import graph_npz, graphs, karate, sbm

SMALL = dict(
    nodes=60, communities=3, within=0.5, between=0.05, features=4, separation=3.0, train=0.2, seed=1
)
RNG = np.random.default_rng(0)
FEATURES = RNG.integers(0, 2, (6, 3)).astype(np.float32)
PAIRS = np.array([(0, 1), (1, 0), (1, 2), (3, 4), (5, 5), (4, 5)])  # one twice, one self-loop
EDGES = [(0, 1), (1, 2), (3, 4), (4, 5)]
LABELS = np.array([0, 0, 1, 1, 0, 1])
PLAIN = {'features': FEATURES, 'edges': PAIRS, 'labels': LABELS}


def sparse(features=FEATURES):
    """The same graph as the benchmark files hold it."""
    found = {
        'labels': LABELS,
        'node_names': np.array(['a', None], object),
    }  # not read: it would need pickle
    ones = np.ones(len(PAIRS), np.float32)
    for name, matrix in (
        ('attr', scipy.sparse.csr_matrix(features)),
        ('adj', scipy.sparse.csr_matrix((ones, tuple(PAIRS.T)), (6, 6))),
    ):
        found |= {f'{name}_{part}': getattr(matrix, part) for part in ('data', 'indices', 'indptr')}
        found[f'{name}_shape'] = np.array(matrix.shape)
    return found


def test_undirected_edges_stand_once():
    np.testing.assert_array_equal(graphs.undirected(PAIRS), EDGES)
    assert graphs.undirected(np.zeros((0, 2), int)).shape == (0, 2)


def test_training_nodes_are_a_fixed_share_of_each_class():
    labels = np.repeat([0, 1, 2], [10, 40, 2])
    chosen = graphs.training_nodes(labels, 0.2)
    np.testing.assert_array_equal([chosen[labels == k].sum() for k in range(3)], [2, 8, 1])
    np.testing.assert_array_equal(chosen, graphs.training_nodes(labels, 0.2))
    with pytest.raises(ValueError, match='class 1 has 1 nodes'):
        graphs.training_nodes(np.array([0, 0, 1]), 0.5)


# The block model
# --------------------------------------------------------------------------------------------------


def test_block_model_has_its_densities_and_centres():
    """Shares of joined pairs and distances between class means, within four standard errors."""
    chosen = SMALL | {'nodes': 600, 'features': 20}
    graph = sbm.draw(**chosen)
    np.testing.assert_array_equal(np.bincount(graph.labels), 200)
    same = graph.labels[graph.edges[:, 0]] == graph.labels[graph.edges[:, 1]]
    for count, pairs, probability in (
        (same.sum(), 3 * 200 * 199 / 2, 0.5),
        ((~same).sum(), 3 * 200**2, 0.05),
    ):
        assert abs(count - pairs * probability) < 4 * np.sqrt(
            pairs * probability * (1 - probability)
        )
    for label in range(3):
        members = graph.features[graph.labels == label]
        # |mean|^2 is separation^2 plus chi-squared noise of 20 features over 200 nodes.
        assert abs(np.sum(members.mean(0) ** 2) - 9 - 0.1) < 4 * np.sqrt(
            4 * 9 / 200 + 2 * 20 / 200**2
        )
        assert abs(members.std(0).mean() - 1) < 0.1
    assert np.all(graph.edges[:, 0] < graph.edges[:, 1]) and len(
        np.unique(graph.edges, axis=0)
    ) == len(graph.edges)


def test_block_model_is_written_once_for_each_choice(tmp_path):
    held = data.load('sbm', str(tmp_path), **SMALL)
    again = data.load('sbm', str(tmp_path), **SMALL)
    other = data.load('sbm', str(tmp_path), **SMALL | {'seed': 2})
    graph = sbm.draw(**SMALL)
    for one in (held, again):
        np.testing.assert_array_equal(one.train.x['features'][0], graph.features)
        np.testing.assert_array_equal(one.train.x['edges'][0], graph.edges)
        assert (
            one.train.x['mask'].all()
            and one.shape == (60, 4)
            and one.class_names == ('0', '1', '2')
        )
    assert not np.array_equal(other.train.x['features'], held.train.x['features'])
    assert len(list(tmp_path.glob('sbm_*'))) == 2


def test_splits_share_the_graph_and_not_the_labels(tmp_path):
    held = data.load('sbm', str(tmp_path), **SMALL)
    labels = sbm.draw(**SMALL).labels
    known = [split.y[0] >= 0 for split in (held.train, held.test)]
    np.testing.assert_array_equal(known[0], ~known[1])
    assert known[0].sum() == 12 and held.train.y.shape == (1, 60)
    for split, own in zip((held.train, held.test), known):
        np.testing.assert_array_equal(split.y[0][own], labels[own])
        assert np.all(split.y[0][~own] == -1)


@pytest.mark.parametrize(
    'wrong, message',
    [
        ({'within': 1.5}, 'within=1.5: a probability'),
        ({'communities': 1}, 'at least 2 communities'),
        ({'within': 0.0, 'between': 0.0}, 'no edges'),
        ({'train': 1.0}, 'train=1.0'),
        ({'features': 0}, 'features=0'),
        ({'colour': 1}, 'sbm does not take colour'),
    ],
)
def test_bad_parameters(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message) as caught:
        data.load('sbm', str(tmp_path), **SMALL | wrong)
    assert '\n' not in str(caught.value) and not list(tmp_path.iterdir())


# NPZ files
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'arrays', [PLAIN, PLAIN | {'edges': PAIRS.T}, sparse()], ids=['plain', 'transposed', 'sparse']
)
def test_both_forms_give_the_same_graph(tmp_path, arrays, capsys):
    np.savez(tmp_path / 'g.npz', **arrays)
    arguments = ['graph_npz', f'--data_dir={tmp_path}/data', f'--source={tmp_path}/g.npz']
    assert prepare.main(arguments) == 0
    assert (
        '6 nodes with 3 features, 4 undirected edges, 2 classes, 2 training nodes'
        in capsys.readouterr().out
    )
    held = data.load('graph_npz', f'{tmp_path}/data')
    np.testing.assert_array_equal(held.train.x['features'][0], FEATURES)
    np.testing.assert_array_equal(held.train.x['edges'][0], EDGES)
    np.testing.assert_array_equal(np.maximum(held.train.y, held.test.y)[0], LABELS)
    assert prepare.main(arguments) == 0 and 'prepared already' in capsys.readouterr().out


def without(arrays, name):
    return {key: array for key, array in arrays.items() if key != name}


BAD = {
    'no labels': (without(PLAIN, 'labels'), 'it has no labels'),
    'neither form': ({'labels': LABELS}, 'it has no attr_data'),
    'no adjacency': (without(sparse(), 'adj_indptr'), 'it has no adj_indptr'),
    'too few labels': (PLAIN | {'labels': LABELS[:5]}, 'features have shape'),
    'negative labels': (
        PLAIN | {'labels': LABELS - 2},
        'labels must be one integer from 0 on a node, or -1 for none; the least is -2',
    ),
    'no label at all': (PLAIN | {'labels': LABELS * 0 - 1}, 'all 6 labels are -1'),
    'labels that are no integers': (
        PLAIN | {'labels': LABELS + 0.5},
        'labels must be one integer from 0',
    ),
    'a class of one node': (
        PLAIN | {'labels': np.array([0, 0, 0, 0, 0, 1])},
        'class 1 has 1 nodes',
    ),
    'an edge to nowhere': (
        PLAIN | {'edges': PAIRS + 3},
        'edges must be pairs of integers from 0 to 5',
    ),
    'edges of three': (PLAIN | {'edges': np.zeros((4, 3), int)}, 'edges have shape'),
    'not finite': (PLAIN | {'features': FEATURES * np.nan}, 'features are not all finite'),
    'objects': (PLAIN | {'features': np.array([None] * 6)}, 'allow_pickle'),
    'broken rows': (sparse() | {'attr_indptr': np.array([0, 99])}, 'do not fit together'),
    'adjacency of another size': (
        sparse() | {'labels': np.array([0, 0, 1, 1, 0])},
        'but there are 5 labels',
    ),
    'too large': (sparse() | {'attr_shape': np.array([6, 10**9])}, 'more than 2 GB'),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_file(tmp_path, name, capsys):
    arrays, message = BAD[name]
    np.savez(tmp_path / 'g.npz', **arrays)
    assert (
        prepare.main(['graph_npz', f'--data_dir={tmp_path}/data', f'--source={tmp_path}/g.npz'])
        == 2
    )
    line = capsys.readouterr().err
    assert message in line and 'g.npz is no graph in NPZ form' in line and line.count('\n') == 1
    assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (None, 'No such file'),
        (b'', 'no graph in NPZ form'),
        (b'PK\x03\x04 cut off', 'no graph in NPZ form'),
        (b'text', 'no graph in NPZ form'),
        ('npy', 'one array'),
    ],
)
def test_what_is_no_npz_file(tmp_path, content, message):
    path = tmp_path / 'g.npz'
    if content == 'npy':
        with open(path, 'wb') as file:
            np.save(file, FEATURES)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        graph_npz.read(path)
    assert '\n' not in str(caught.value)


def test_without_a_file(tmp_path, capsys):
    with pytest.raises(ValueError, match='prepare graph_npz .*--source=FILE.npz'):
        data.load('graph_npz', str(tmp_path))
    assert prepare.main(['graph_npz', f'--data_dir={tmp_path}']) == 2
    assert 'give it by --source=FILE.npz' in capsys.readouterr().err


def test_graphs_are_not_streamed(tmp_path):
    with pytest.raises(ValueError, match='sbm is held in memory'):
        data.stream('sbm', str(tmp_path), canvas=32)


# The karate club
# --------------------------------------------------------------------------------------------------


def test_karate_club(tmp_path):
    """34 members, 78 friendships; the two leaders, first and last, are on different sides (Zachary
    1977)."""
    pytest.importorskip('networkx')
    held = data.load('karate', str(tmp_path))
    labels = np.maximum(held.train.y, held.test.y)[0]
    assert held.shape == (34, 34) and held.train.x['edges'].shape == (1, 78, 2)
    assert (held.class_names[labels[0]], held.class_names[labels[33]]) == ('Mr. Hi', 'Officer')
    degrees = np.bincount(held.train.x['edges'].ravel(), minlength=34)
    assert (degrees[0], degrees[33], degrees.sum()) == (16, 17, 156)
    assert (held.train.y >= 0).sum() + (held.test.y >= 0).sum() == 34


def test_without_networkx_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'networkx', None)
    with pytest.raises(ValueError, match=r'mi_ssl_jax\[graphs\]'):
        karate.load(str(tmp_path))


# Labels that are missing, masks, other names
# --------------------------------------------------------------------------------------------------


def read(tmp_path, **arrays):
    np.savez(tmp_path / 'g.npz', **arrays)
    return graph_npz.read(tmp_path / 'g.npz')


def prepared(tmp_path, capsys, **arrays):
    """(what was said, the loaded graph)"""
    np.savez(tmp_path / 'g.npz', **arrays)
    arguments = ['graph_npz', f'--data_dir={tmp_path}/data', f'--source={tmp_path}/g.npz']
    assert prepare.main(arguments) == 0
    return capsys.readouterr().out, data.load('graph_npz', f'{tmp_path}/data')


def test_nodes_without_a_label_are_in_neither_split(tmp_path, capsys):
    labels = np.array([0, -1, 1, 1, 0, -1])
    said, held = prepared(tmp_path, capsys, **PLAIN | {'labels': labels})
    assert '2 nodes have no label (-1)' in said
    np.testing.assert_array_equal(np.maximum(held.train.y, held.test.y)[0], labels)
    assert held.train.x['features'].shape == (1, 6, 3)


TRAIN_MASK = np.array([1, 1, 1, 0, 0, 0], bool)
TEST_MASK = np.array([0, 0, 0, 0, 1, 1], bool)


@pytest.mark.parametrize('kind', [bool, np.uint8, float])
def test_masks_say_which_nodes_train_and_which_are_held_out(tmp_path, capsys, kind):
    masks = {
        'train_mask': TRAIN_MASK.astype(kind),
        'test_mask': TEST_MASK.astype(kind),
        'val_mask': ~(TRAIN_MASK | TEST_MASK),
    }
    said, held = prepared(tmp_path, capsys, **PLAIN | masks)
    assert '3 training nodes; 2 nodes are held out, as train_mask and test_mask say' in said
    assert 'not read: val_mask' in said
    np.testing.assert_array_equal(held.train.y[0], np.where(TRAIN_MASK, LABELS, -1))
    np.testing.assert_array_equal(held.test.y[0], np.where(TEST_MASK, LABELS, -1))


@pytest.mark.parametrize('name, mask', [('train_mask', TRAIN_MASK), ('test_mask', ~TRAIN_MASK)])
def test_one_mask_leaves_the_rest(tmp_path, name, mask):
    found = read(tmp_path, **PLAIN | {name: mask})
    np.testing.assert_array_equal(found.graph.train, TRAIN_MASK)
    np.testing.assert_array_equal(found.graph.labels, LABELS)


@pytest.mark.parametrize('turned', [False, True])
def test_of_several_splits_the_first_is_taken_and_said(tmp_path, turned):
    masks = {
        'train_masks': np.stack([TRAIN_MASK, ~TRAIN_MASK]),
        'test_masks': np.stack([TEST_MASK, ~TEST_MASK]),
    }
    if turned:
        masks = {name: mask.T for name, mask in masks.items()}
    found = read(tmp_path, **PLAIN | masks)
    np.testing.assert_array_equal(found.graph.train, TRAIN_MASK)
    assert 'of the 2 splits of train_masks the first' in found.notes


def test_an_unlabelled_node_trains_no_probe(tmp_path):
    labels = np.array([0, -1, 1, 1, 0, 1])
    found = read(tmp_path, **PLAIN | {'labels': labels, 'train_mask': TRAIN_MASK})
    np.testing.assert_array_equal(found.graph.train, TRAIN_MASK & (labels >= 0))
    assert '1 nodes have no label (-1)' in found.notes


@pytest.mark.parametrize(
    'changed, message',
    [
        ({'train_mask': TRAIN_MASK, 'test_mask': TRAIN_MASK}, '3 nodes are both in train_mask'),
        ({'train_mask': TRAIN_MASK[:4]}, 'train_mask must say yes or no of each of 6 nodes'),
        ({'train_mask': np.arange(6)}, 'train_mask must say yes or no'),
        ({'train_mask': np.zeros(6, bool)}, 'its masks leave no labelled node'),
        ({'train_mask': np.zeros((0, 6), bool)}, 'train_mask must say yes or no'),
        ({'labels': np.array([0, 0, 1, 1, 0, 2**40])}, 'labels go up to 1099511627776'),
        ({'labels': LABELS[:, None] * np.ones(3, int)}, 'labels must be one integer'),
        ({'labels': np.array(3)}, 'labels must be one integer'),
        (
            {'features': np.float64(FEATURES) + 1e300},
            r'not all finite as float32: the largest is 1e\+300',
        ),
        ({'features': FEATURES + np.inf}, 'features are not all finite'),
        ({'features': np.array(3.0)}, 'features have shape'),
        ({'edges': PAIRS + 2**40}, 'edges must be pairs of integers'),
        ({'edges': np.array(3)}, 'edges have shape'),
    ],
)
def test_arrays_that_cannot_be_right(tmp_path, changed, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, **PLAIN | changed)
    assert '\n' not in str(caught.value) and 'g.npz is no graph' in str(caught.value)


@pytest.mark.parametrize(
    'changed',
    [
        {'attr_data': np.full(len(sparse()['attr_data']), 1e300)},
        {'attr_shape': np.array(6)},
        {'attr_indptr': np.array(3)},
        {'adj_indptr': sparse()['adj_indptr'].astype(float)},
        {'adj_shape': np.array([6.0, np.inf])},
        {'adj_indices': np.array([[0, 1]])},
        {'labels': np.array(1)},
    ],
)
def test_sparse_arrays_that_cannot_be_right(tmp_path, changed):
    with pytest.raises(ValueError, match='g.npz is no graph in NPZ form') as caught:
        read(tmp_path, **sparse() | changed)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'names',
    [
        {'x': FEATURES, 'edge_index': PAIRS.T, 'y': LABELS[:, None]},  # PyG, labels as OGB's
        {'feat': FEATURES, 'edges': PAIRS.T, 'label': LABELS},  # DGL
        {'node_features': FEATURES, 'edges': PAIRS, 'node_labels': LABELS},  # heterophilous sets
    ],
)
def test_names_of_other_libraries(tmp_path, names):
    found = read(tmp_path, **names | {'edge_attr': np.zeros(6)})
    np.testing.assert_array_equal(found.graph.features, FEATURES)
    np.testing.assert_array_equal(found.graph.edges, EDGES)
    np.testing.assert_array_equal(found.graph.labels, LABELS)
    assert found.notes == ('not read: edge_attr',)


def test_two_edges_in_columns(tmp_path):
    """A square edge_index is two rows, sources and targets; square edges are two pairs."""
    index = np.array([[0, 1], [2, 3]])
    rest = {'x': FEATURES, 'y': LABELS}
    np.testing.assert_array_equal(read(tmp_path, **rest, edge_index=index).graph.edges, index.T)
    np.testing.assert_array_equal(read(tmp_path, **rest, edges=index).graph.edges, index)


def test_a_file_of_other_names_has_them_listed(tmp_path):
    with pytest.raises(ValueError) as caught:
        read(tmp_path, embeddings=FEATURES, links=PAIRS, classes=LABELS)
    said = str(caught.value)
    assert 'it has embeddings, links, classes; it needs features, edges, labels, or' in said
    with pytest.raises(ValueError, match=r'it has no edges \(nor edge_index\); it has x, adj, y;'):
        read(tmp_path, x=FEATURES, adj=PAIRS, y=LABELS)
    with pytest.raises(ValueError, match='c and 8 more'):
        read(
            tmp_path,
            **{f'{chr(97 + k)}': LABELS for k in range(2)},
            **{f'{k}': LABELS for k in range(9)},
            c=LABELS,
            **{f'z{k}': LABELS for k in range(8)},
        )
