"""The read-out of embeddings against known mutual information and known collapses."""

import jax
import numpy as np
import pytest

from mi_ssl_jax.evals import read_out

KEY = jax.random.PRNGKey(0)
QUICK = {'fits': 2, 'steps': 100}


def correlated(n=600, dims=2, seed=0):
    """Standard normal pairs of correlation .8 in each dimension: .51 nats each."""
    x, noise = np.random.default_rng(seed).standard_normal((2, n, dims))
    return x, 0.8 * x + 0.6 * noise


def test_bounds_of_known_information():
    x, y = correlated()
    found = read_out.read_out(x, y, bounds=('gaussian_mi', 'infonce'), key=KEY, **QUICK)
    truth = -0.5 * 2 * np.log(1 - 0.8**2)
    assert abs(found.learned['gaussian_mi'].mi - truth) < 0.15
    assert 0.3 < found.learned['infonce'].mi < truth + 0.3
    assert [one.kind for one in found.learned.values()] == ['neither', 'lower']
    assert 0 < found.cosine['cos_dv'] < truth
    low, high = found.intervals['cos_dv']
    assert low < found.cosine['cos_dv'] < high
    assert found.collapse['effective_rank'] > 1.9 and (found.examples, found.dimension) == (600, 2)
    assert 'nn_gap' not in found.collapse and not found.notes


def test_labels_give_the_angles_of_classes():
    x = np.repeat([[1.0, 0.0], [0.0, 1.0]], 20, axis=0)
    x = x + 0.01 * np.random.default_rng(0).standard_normal(x.shape)
    labels = np.repeat([0, 1], 20)
    found = read_out.read_out(x, x[::-1], labels=labels, bounds=(), key=KEY)
    assert found.collapse['nn_gap']['mean'] == pytest.approx(90, abs=1)


def test_collapsed_embeddings_share_nothing_and_are_told():
    x = np.ones((50, 3))
    found = read_out.read_out(x, x, bounds=('infonce',), key=KEY)
    assert found.learned == {} and found.varying == 0
    assert 'it has collapsed, and I = 0' in found.notes[0] and found.spread < 1e-3
    assert found.cosine['cos_dv'] == pytest.approx(0, abs=1e-5)


def test_constant_columns_are_left_out_and_counted():
    x, y = (np.hstack([own, np.zeros((600, 1))]) for own in correlated())
    found = read_out.read_out(x, y, bounds=('gaussian_mi',), key=KEY)
    assert (found.varying, found.dimension) == (2, 3) and found.learned['gaussian_mi'].mi > 0.8


def test_rare_outliers_do_not_reach_the_critics():
    """A column that is nearly always 0, as of a ReLU, and heavy tails change no bound."""
    x, y = correlated()
    rare = np.zeros((600, 1))
    rare[7] = 1e6
    wild = [np.hstack([np.exp(4 * own), rare]) for own in (x, y)]
    found = read_out.read_out(*wild, bounds=('gaussian_mi',), key=KEY)
    plain = read_out.read_out(x, y, bounds=('gaussian_mi',), key=KEY)
    assert found.learned['gaussian_mi'].mi == pytest.approx(plain.learned['gaussian_mi'].mi)
    assert found.varying == 3 and '1 columns have one value in 95 %' in found.notes[0]


def test_rank_and_spread_are_of_the_plain_embeddings_where_there_are_any():
    x, y = correlated()
    line = np.outer(x[:, 0], [1.0, 1.0])
    found = read_out.read_out(x, y, line, bounds=(), key=KEY)
    assert found.collapse['effective_rank'] == pytest.approx(1, abs=1e-3)
    assert 'along one direction' in found.notes[0]


@pytest.mark.parametrize(
    'arrays, changes, line',
    [
        (correlated(5), {}, r'of shapes \(5, 2\).* at least 10 rows'),
        ((np.zeros((20, 2)), np.zeros((20, 3))), {}, r'\(20, 2\), \(20, 3\)'),
        (correlated(50), {'bounds': ('infomax',)}, "unknown bound 'infomax'"),
    ],
)
def test_what_cannot_be_read_out(arrays, changes, line):
    with pytest.raises(ValueError, match=line):
        read_out.read_out(*arrays, key=KEY, **changes)
