"""Estimators without a critic against closed forms, slow loops and scikit-learn."""

import math

import jax
import numpy as np
import pytest
from scipy import special
from sklearn import covariance, feature_selection

from mi_ssl_jax.evals import classical, estimate, samples

RNG = np.random.default_rng(11)


def gaussians(truth, n, dimension=1, seed=0):
    """x, y (n, dimension), correlated in the first coordinate: I = -1/2 log(1 - rho^2)."""
    rho = math.sqrt(1 - math.exp(-2 * truth))
    x, y = np.random.default_rng(seed).standard_normal((2, n, dimension))
    y[:, 0] = rho * x[:, 0] + math.sqrt(1 - rho**2) * y[:, 0]
    return x, y


def ksg_by_loops(x, y, k):
    """Eq. 8 of Kraskov et al. 2004, one sample at a time."""
    n, total = len(x), 0.0
    for i in range(n):
        dx, dy = (np.abs(one - one[i]).max(axis=1) for one in (x, y))
        reach = np.sort(np.delete(np.maximum(dx, dy), i))[k - 1]
        counts = [np.sum(np.delete(d, i) < reach) for d in (dx, dy)]
        total += sum(special.digamma(count + 1) for count in counts)
    return special.digamma(k) + special.digamma(n) - total / n


@pytest.mark.parametrize('k', [1, 3, 7])
def test_ksg_equals_its_formula(k):
    x, y = RNG.standard_normal((80, 3)), RNG.standard_normal((80, 2))
    y[:, 0] += x[:, 1]
    found = classical.ksg(x, y, neighbours=k)
    assert found == pytest.approx(ksg_by_loops(x, y, k), rel=1e-12)


def test_ksg_equals_scikit_learns_on_shared_samples():
    """Its noise, 1e-10 of the scale, is all that differs; it cuts off at 0."""
    for truth in (0.1, 0.7, 2.0):
        x, y = gaussians(truth, 1500, seed=int(10 * truth))
        expected = feature_selection.mutual_info_regression(
            x, y[:, 0], n_neighbors=3, random_state=0
        )[0]
        x, y = samples.standardised(x, 'x'), samples.standardised(y, 'y')
        assert classical.ksg(x, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('truth', [0.0, 0.5, 1.5])
def test_ksg_and_cca_know_gaussians(truth):
    x, y = gaussians(truth, 4000, seed=3)
    # Standard errors at N = 4000: 0.016 (KSG at k = 3, from 100 draws) and rho / sqrt(N).
    assert classical.ksg(x, y) == pytest.approx(truth, abs=4 * 0.017)
    assert classical.cca(x, y) == pytest.approx(truth, abs=4 / math.sqrt(4000))


def test_cca_is_gaussian_mi_where_samples_are_many():
    x, y = gaussians(0.8, 20_000, dimension=3)
    x, y = samples.standardised(x, 'x'), samples.standardised(y, 'y')
    share = classical.shrinkage(np.hstack([x, y]))
    # A correlation r becomes (1 - s) r, which takes s r^2 / (1 - r^2) nats to first order.
    lost = share * (math.exp(2 * 0.8) - 1)
    assert 0 < lost < 0.01
    expected = samples.gaussian_mi(x, y) - lost
    assert classical.cca(x, y) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize('n, dimension', [(50, 3), (30, 60), (400, 5)])
def test_shrinkage_is_ledoit_and_wolfs(n, dimension):
    x = RNG.standard_normal((n, dimension)) @ RNG.standard_normal((dimension, dimension))
    x -= x.mean(axis=0)
    expected = covariance.ledoit_wolf_shrinkage(x, assume_centered=True)
    assert classical.shrinkage(x) == pytest.approx(expected, rel=1e-9)


def test_cca_takes_fewer_samples_than_dimensions():
    x, y = RNG.standard_normal((2, 60, 40))
    found = classical.cca(x, y)
    assert math.isfinite(found) and found < 5  # independent: the plug-in of 60 samples is infinite
    with pytest.raises(ValueError, match='60 samples in 40'):
        samples.gaussian_mi(x, y)
    x = RNG.standard_normal((500, 1))
    assert 2 < classical.cca(x, x) < math.inf


def test_too_few_samples_for_neighbours():
    with pytest.raises(ValueError, match='3 samples have no 3 neighbours'):
        classical.ksg(np.ones((3, 1)), np.ones((3, 1)))


def test_the_interval_of_ksg_is_that_of_repeated_halves():
    x, y = gaussians(0.5, 600)
    key = jax.random.PRNGKey(4)
    found = estimate.estimate_mi(x, y, bound='ksg', key=key, fits=3)
    own_x, own_y = samples.standardised(x, 'x'), samples.standardised(y, 'y')
    assert found.mi == pytest.approx(classical.ksg(own_x, own_y), rel=1e-12)
    squares = []
    for own in jax.random.split(key, 3):
        order = np.asarray(jax.random.permutation(own, 600))
        a, b = (classical.ksg(own_x[part], own_y[part]) for part in (order[:300], order[300:]))
        squares.append((a - b) ** 2 / 4)
    assert found.standard_error == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-12)
    half = 3.182446 * found.standard_error  # Student's t, three degrees of freedom, 97.5 %
    assert found.interval == pytest.approx((found.mi - half, found.mi + half), rel=1e-6)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """95 %: of 100 draws, 89 or more all but once in a hundred such tests."""
    held = 0
    for draw in range(100):
        x, y = gaussians(0.5, 300, seed=draw)
        found = estimate.estimate_mi(x, y, bound='cca', key=jax.random.PRNGKey(draw))
        held += found.interval[0] <= 0.5 <= found.interval[1]
    assert held >= 89
