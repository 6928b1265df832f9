"""Estimates of mutual information by learned critics: known truth, held-out examples, and every
kind of bad input."""

import math

import jax
import numpy as np
import pytest

from mi_ssl_jax.evals import estimate
from mi_ssl_jax.evals.estimate import estimate_mi

KEY = jax.random.PRNGKey(0)
TRUTH = 0.8
N = 3000
# Small enough to train in a second; the estimate is then loose, and must still lie on its side of
# the truth.
SMALL = {'key': KEY, 'fits': 2, 'steps': 200}


def samples(truth, n=N, seed=0):
    """Correlated Gaussians, I = -1/2 log(1 - rho^2) in the first of two dimensions."""
    rng = np.random.default_rng(seed)
    rho = math.sqrt(1 - math.exp(-2 * truth))
    x, y = rng.standard_normal((2, n, 2))
    y[:, 0] = rho * x[:, 0] + math.sqrt(1 - rho**2) * y[:, 0]
    return x, y


X, Y = samples(TRUTH)


def test_second_moments_know_gaussians():
    # The standard error of a Gaussian estimate is rho / sqrt(N) a dimension.
    found = estimate_mi(X, Y, bound='gaussian_mi', key=KEY)
    assert found.mi == pytest.approx(TRUTH, abs=3 / math.sqrt(N))
    assert found.interval[0] < found.mi < found.interval[1] and found.kind == 'neither'


@pytest.mark.parametrize(
    'bound',
    ['infonce', *(pytest.param(name, marks=pytest.mark.slow) for name in ('mine', 'js_nwj'))],
)
def test_lower_bounds_come_near_from_below(bound):
    found = estimate_mi(X, Y, bound=bound, **SMALL)
    assert TRUTH - 0.2 < found.mi < TRUTH + 2 * found.standard_error + 3 / math.sqrt(N)
    assert found.kind == 'lower' and not found.at_ceiling and len(found.fits) == 2


@pytest.mark.slow
def test_each_fit_has_its_own_samples():
    draws = [
        np.stack(own)
        for own in zip(*(samples(truth, seed=seed) for seed, truth in enumerate((0.0, 1.5))))
    ]
    for bound in ('infonce', 'gaussian_mi'):
        none, much = estimate.estimate_each(*draws, bound=bound, key=KEY, steps=200).fits
        assert abs(none) < 0.05 and 1.2 < much < 1.55


@pytest.mark.filterwarnings('error')
def test_a_fit_that_is_not_finite_is_counted():
    found = estimate._summary(np.array([0.5, -np.inf, 0.7]), 'dv', 'separable', 'lower', None, [])
    assert found.notes == ('1 of 3 fits are not finite',) and math.isnan(found.standard_error)


@pytest.mark.slow
def test_club_lies_above():
    found = estimate_mi(X, Y, bound='club', **SMALL)
    assert found.upper and found.mi > TRUTH


@pytest.mark.slow
def test_few_samples_and_a_column_that_is_constant_in_most_fits():
    # Overfitting starts within a few passes: stopping must be quicker. A spike in a test part must
    # not be divided by the rounding error that is the standard deviation of the train part's
    # constant column.
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 8))
    y = x + 0.5 * rng.standard_normal((300, 8))  # 6.4 nats, far above log 60
    x = np.concatenate([x, 0.1 + (np.arange(300) == 7)[:, None]], axis=1)
    found = estimate_mi(x, y, bound='infonce', key=KEY, fits=5, steps=400)
    assert found.ceiling == pytest.approx(math.log(60))
    assert all(0.7 < value < found.ceiling for value in found.fits)


BAD = [
    (lambda: estimate_mi(X, Y[:-1], bound='dv', key=KEY), 'x has 3000 rows and y has 2999'),
    (
        lambda: estimate_mi(np.where(X > 3, np.nan, X), Y, bound='dv', key=KEY),
        r'x is not finite in row \d+, column',
    ),
    (
        lambda: estimate_mi(X, Y[:, 0], bound='dv', key=KEY),
        r'y has shape \(3000,\).*reshape it to \(N, 1\)',
    ),
    (
        lambda: estimate_mi(X, Y[:, :0], bound='dv', key=KEY),
        r'y has shape \(3000, 0\): there is nothing',
    ),
    (lambda: estimate_mi(X, Y[:, :, None], bound='dv', key=KEY), 'one row a sample'),
    (
        lambda: estimate_mi(X, np.ones_like(Y), bound='dv', key=KEY),
        'y is constant in column 0, 1: remove',
    ),
    (
        lambda: estimate_mi(X, Y.astype(object), bound='dv', key=KEY),
        'y holds object, not real numbers',
    ),
    (
        lambda: estimate_mi(X[:150], Y[:150], bound='dv', key=KEY),
        'batch_size=128 needs as many to train on',
    ),
    (lambda: estimate_mi(X[:5], Y[:5], bound='gaussian_mi', key=KEY), 'singular covariance'),
    (lambda: estimate_mi(X, Y, bound='jsd', key=KEY), "unknown bound 'jsd' .not in nats"),
    (
        lambda: estimate_mi(X, Y, bound='dv', critic='cosine', key=KEY),
        "cannot be learned with critic 'cosine'",
    ),
    (lambda: estimate_mi(X, Y, bound='club', critic='bilinear', key=KEY), 'use one of conditional'),
    (lambda: estimate_mi(X, Y, bound='dv', fits=1, key=KEY), 'an interval needs at least 2'),
]


@pytest.mark.parametrize('call, message', BAD, ids=[message[:24] for _, message in BAD])
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert '\n' not in str(error.value)


def test_every_estimator_has_its_critics():
    assert set(estimate.bounds()) >= {
        'dv',
        'mine',
        'infonce',
        'nwj',
        'js_nwj',
        'tuba',
        'smile',
        'club',
        'dv_jackknife',
        'dv_loo',
        'gaussian_mi',
        'cca',
        'ksg',
    }
    for bound in estimate.bounds():
        assert bool(estimate.critics_of(bound)) == (bound not in estimate.DIRECT)
