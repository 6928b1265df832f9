"""Views of a graph: edges leave in both directions at once, features in all nodes, at the rates
that are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import augment

NODES, FEATURES, DRAWS = 12, 6, 400
PAIRS = np.argwhere(np.triu(np.ones((NODES, NODES)), 1)).astype(np.int32)[::2]
GRAPH = {
    'features': np.ones((NODES, FEATURES), np.float32),
    'edges': PAIRS,
    'mask': np.arange(len(PAIRS)) > 2,
}
DROP, MASK = (0.4, 0.1), (0.25, 0.5)


@pytest.fixture(scope='module')
def drawn():
    pipeline = augment.load('graph', edge_drop=DROP, feature_mask=MASK)
    keys = jax.random.split(jax.random.PRNGKey(0), DRAWS)
    return jax.device_get(jax.jit(jax.vmap(lambda key: pipeline(key, GRAPH)))(keys))


def dense(edges, mask):
    matrix = np.zeros((NODES, NODES), bool)
    matrix[edges[mask][:, 0], edges[mask][:, 1]] = True
    return matrix | matrix.T


def test_a_view_is_undirected_and_has_no_edge_of_its_own(drawn):
    for view in drawn:
        np.testing.assert_array_equal(
            view['edges'][0], PAIRS
        )  # the list stays: an edge is there or not, both ways
        kept = dense(PAIRS, view['mask'][0])
        np.testing.assert_array_equal(kept, kept.T)
        assert not np.any(kept & ~dense(PAIRS, GRAPH['mask']))
        assert not view['mask'][:, ~GRAPH['mask']].any()


@pytest.mark.parametrize('number', [0, 1])
def test_rates(drawn, number):
    """Within four standard errors of the probabilities."""
    kept = drawn[number]['mask'][:, GRAPH['mask']]
    seen = drawn[number]['features'][:, 0]
    for values, probability in ((kept, 1 - DROP[number]), (seen, 1 - MASK[number])):
        error = np.sqrt(probability * (1 - probability) / values.size)
        assert abs(values.mean() - probability) < 4 * error


def test_a_feature_leaves_in_all_nodes_and_the_others_keep_their_size(drawn):
    for view in drawn:
        np.testing.assert_array_equal(
            view['features'], np.broadcast_to(view['features'][:, :1], view['features'].shape)
        )
        assert set(np.unique(view['features'])) == {0.0, 1.0}


def test_views_and_draws_differ(drawn):
    first, second = (view['mask'][:, GRAPH['mask']].astype(float) for view in drawn)
    assert len(np.unique(first, axis=0)) == DRAWS
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(first.size)


def test_without_strength_and_in_evaluation_the_graph_itself():
    same = augment.load('graph', edge_drop=(0.0, 0.0), feature_mask=(0.0, 0.0))(
        jax.random.PRNGKey(0), GRAPH
    )
    for view in (*same, augment.evaluation('graph')(GRAPH)):
        jax.tree.map(np.testing.assert_array_equal, view, GRAPH)
        assert view['features'].dtype == jnp.float32


@pytest.mark.parametrize(
    'options', [{'edge_drop': (0.1,)}, {'feature_mask': (0.1, 1.0)}, {'edge_drop': (-0.1, 0.1)}]
)
def test_bad_probabilities(options):
    with pytest.raises(ValueError, match='two probabilities in'):
        augment.load('graph', **options)(jax.random.PRNGKey(0), GRAPH)
