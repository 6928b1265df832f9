"""Graph convolutions: against dense matrices in numpy, a golden layer, and what no order of the
nodes may change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import nets
from mi_ssl_jax.nets import gcn
from tests.helpers import goldens

RNG = np.random.default_rng(3)
NODES, FEATURES = 7, 4
EDGES = np.array([(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (4, 5)], np.int32)  # node 6 has none
MASK = np.array([True, True, False, True, True, False])  # nor has node 5, its one edge being masked
X = RNG.standard_normal((NODES, FEATURES))


def adjacency(edges, mask, nodes):
    dense = np.zeros((nodes, nodes))
    for first, second in edges[mask]:
        dense[first, second] = dense[second, first] = 1
    return dense


def normalised(dense):
    """D^-1/2 (A + I) D^-1/2."""
    own = dense + np.eye(len(dense))
    return own / np.sqrt(np.outer(own.sum(1), own.sum(1)))


def graph(x=X, edges=EDGES, mask=MASK):
    """A batch of one graph."""
    arrays = {'features': x, 'edges': edges, 'mask': mask}
    return {name: jnp.asarray(array)[None] for name, array in arrays.items()}


@pytest.mark.parametrize('mask', [MASK, np.ones(6, bool), np.zeros(6, bool)])
def test_propagation_equals_the_dense_matrix(mask):
    with goldens.x64():
        actual = gcn.propagate(jnp.asarray(X), jnp.asarray(EDGES), jnp.asarray(mask))
    np.testing.assert_allclose(
        actual, normalised(adjacency(EDGES, mask, NODES)) @ X, rtol=1e-12, atol=1e-12
    )


def test_gradient_is_the_transpose():
    """Of sum(C * (A x)) with respect to x: A^T C, and A is symmetric."""
    cotangent = RNG.standard_normal(X.shape)
    with goldens.x64():
        actual = jax.grad(lambda x: jnp.sum(cotangent * gcn.propagate(x, EDGES, MASK)))(
            jnp.asarray(X)
        )
    np.testing.assert_allclose(
        actual, normalised(adjacency(EDGES, MASK, NODES)) @ cotangent, rtol=1e-12, atol=1e-12
    )


def test_a_node_without_edges_keeps_its_features():
    x = X.astype(np.float32)
    np.testing.assert_allclose(gcn.propagate(x, EDGES, MASK)[5:], x[5:], rtol=1e-6)


def test_golden_layer():
    case = {case.id: case for case in goldens.cases('graphs')}['gcn_layer']
    dense, x, kernel, bias = (case.inputs[name] for name in ('A', 'x', 'W', 'b'))
    edges = np.argwhere(np.triu(dense, 1) > 0)
    np.testing.assert_array_equal(dense, adjacency(edges, np.ones(len(edges), bool), len(dense)))
    with goldens.x64():
        identity = gcn.propagate(jnp.eye(len(dense)), edges, np.ones(len(edges), bool))
        conv = gcn.propagate(jnp.asarray(x @ kernel), edges, np.ones(len(edges), bool)) + bias
        net = gcn.GCN(widths=(kernel.shape[1],), dtype=jnp.float64)
        batch = graph(x, edges, np.ones(len(edges), bool))
        variables = net.init(jax.random.PRNGKey(0), batch, train=True)
        variables = {**variables, 'params': {**variables['params'], 'Dense_0': {'kernel': kernel}}}
        out, _ = net.apply(variables, batch, train=True, mutable=['batch_stats'])
    goldens.assert_value(identity, case.outputs['A_norm'])
    goldens.assert_value(conv, case.outputs['conv'])
    goldens.assert_value(out, case.outputs['out'])  # the batch norm takes the bias away


@pytest.fixture(scope='module')
def net_and_variables():
    net = nets.load('gcn', widths=(5, 3))
    return net, net.init(jax.random.PRNGKey(0), graph(), train=False)


@pytest.mark.slow
def test_nodes_in_another_order_give_rows_in_that_order(net_and_variables):
    net, variables = net_and_variables
    order = RNG.permutation(NODES)
    place = np.argsort(order)  # old node -> its new number
    swapped = place[EDGES][:, ::-1].astype(np.int32)  # and each edge's ends exchanged
    shuffled = RNG.permutation(len(EDGES))
    for train in (False, True):

        def apply(batch):
            return net.apply(variables, batch, train=train, mutable=['batch_stats'])[0]

        actual = apply(graph(X[order], swapped[shuffled], MASK[shuffled]))
        np.testing.assert_allclose(actual, apply(graph())[order], rtol=1e-4, atol=1e-5)


def test_a_masked_edge_is_no_edge(net_and_variables):
    net, variables = net_and_variables
    shorter = net.apply(variables, graph(edges=EDGES[MASK], mask=MASK[MASK]), train=False)
    np.testing.assert_allclose(
        net.apply(variables, graph(), train=False), shorter, rtol=1e-5, atol=1e-6
    )


def test_a_batch_of_graphs_gives_the_rows_of_each(net_and_variables):
    net, variables = net_and_variables
    own = [graph(), graph(x=2 * X, mask=~MASK)]
    both = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *own)
    each = [net.apply(variables, one, train=False) for one in own]
    np.testing.assert_allclose(
        net.apply(variables, both, train=False), np.concatenate(each), rtol=1e-5, atol=1e-6
    )
    assert each[0].shape == (NODES, 3)
