"""Samples that an estimate can be made of, in every range of numbers, and those that it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import gaussian_entropy
from mi_ssl_jax.evals import estimate, samples
from mi_ssl_jax.evals.estimate import estimate_mi

RNG = np.random.default_rng(3)
X = RNG.standard_normal((600, 2))
Y = X + RNG.standard_normal((600, 2))  # 0.69 nats
KEY = jax.random.PRNGKey(0)
OFFSET = 2**62  # beside which float64 does not know differences of less than 1,024


def gaussian(x, y, **options):
    return estimate_mi(x, y, bound='gaussian_mi', key=KEY, **options)


@pytest.mark.parametrize(
    'x',
    [
        X * 1e300,
        X * 1e-300,
        X + 1e9,
        X.astype(np.longdouble) * np.longdouble('1e4000'),
        X * 3e307,  # the range itself, largest - smallest, passes float64
        np.round(X * 100).astype(np.int64) + OFFSET,
        jnp.asarray(X, jnp.bfloat16),
    ],
    ids=['1e300', '1e-300', 'offset', 'long double', 'range', 'large integers', 'bfloat16'],
)
def test_scale_and_offset_change_nothing(x):
    assert np.isfinite(samples.standardised(samples.numbers(x, 'x'), 'x')).all()
    assert gaussian(x, Y).mi == pytest.approx(gaussian(X, Y).mi, abs=5e-3)


@pytest.mark.slow
def test_a_learned_bound_sees_huge_values():
    found = estimate_mi(X * 1e300, Y, bound='infonce', key=KEY, fits=2, steps=200)
    assert found.mi > 0.3


def test_gaussian_information_is_that_of_core():
    own = samples.pairs(X, Y)
    expected = gaussian_entropy.gaussian_mi(*map(np.float32, own[:2]), eps=0.0)
    assert samples.gaussian_mi(own.x, own.y) == pytest.approx(float(expected), abs=1e-5)


def test_columns_that_others_determine_change_nothing():
    for dependent in (X @ [[1.0], [2.0]], X[:, :1], np.float32(X @ [[1.0], [2.0]])):
        found = gaussian(np.concatenate([X, dependent], axis=1), Y)
        assert found.mi == pytest.approx(gaussian(X, Y).mi, abs=1e-6)
        assert '1 of the 3 columns of x are combinations of others' in found.notes


@pytest.mark.slow
def test_copies_are_left_out():
    order = RNG.permutation(1200)
    copied = [np.concatenate([a, a])[order] for a in (X, Y)]
    found = gaussian(*copied)
    assert found.mi == pytest.approx(gaussian(X, Y).mi, abs=0.02)
    assert any('600 of 1200 rows are copies' in note for note in found.notes)
    # Independent: a critic that knows a row by heart finds its copy among the held-out ones.
    noise = [np.concatenate([a, a, a])[:600] for a in RNG.standard_normal((2, 200, 20))]
    found = estimate_mi(*noise, bound='infonce', key=KEY, fits=2, steps=400, batch_size=64)
    assert found.mi < 0.2


def test_rows_of_discrete_variables_repeat():
    x = RNG.integers(0, 3, (900, 1))
    y = np.where(RNG.random((900, 1)) < 0.8, x, RNG.integers(0, 3, (900, 1)))
    found = gaussian(x, y)
    assert any('rows repeat (9 different ones among 900)' in note for note in found.notes)
    assert len(samples.pairs(x, y).x) == 900


def test_an_estimate_below_zero_is_noted():
    found = estimate._summary(np.array([-3.0, -3.1]), 'nwj', 'separable', 'lower', None, [])
    assert any('below 0' in note for note in found.notes)


BAD = {
    'infinite': (X, np.where(Y > 2, np.inf, Y), 'y is not finite in row'),
    'nan in float16': (np.float16(np.where(X > 2, np.nan, X)), Y, 'x is not finite in row'),
    'constant at 1e300': (np.full((600, 1), 1e300), Y, 'x is constant in column 0'),
    'constant up to rounding': (0.1 + 1e-17 * X[:, :1], Y, 'x is constant in column 0'),
    'orders of magnitude': (np.exp(30 * X), Y, 'x spans too many orders of magnitude in column'),
    'one outlier': (np.where(np.arange(600)[:, None] == 5, 1e30, X), Y, 'take logarithms or ranks'),
    'objects': (X.astype(object), Y, 'x holds object, not real numbers'),
    'complex': (X, Y + 1j, 'y holds complex128'),
    'words': (np.full((600, 1), 'a'), Y, 'not real numbers'),
    'dates': (np.full((600, 1), np.datetime64('2020')), Y, 'not real numbers'),
    'saved bfloat16': (np.float16(X).view('V2'), Y, 'convert it to float32 first'),
    'masked': (np.ma.masked_greater(X, 2), Y, 'masked'),
    'shared column': (X, np.concatenate([Y, X[:, :1]], axis=1), 'information is infinite'),
    'shared combination': (X, np.float32(X @ [[1.0], [2.0]]), 'information is infinite'),
}


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', BAD)
def test_what_cannot_be_estimated_is_refused_in_one_line(name):
    x, y, message = BAD[name]
    with pytest.raises(ValueError, match=message) as error:
        gaussian(x, y)
    assert '\n' not in str(error.value)


def test_more_fits_than_samples():
    for bound in ('gaussian_mi', 'infonce'):
        with pytest.raises(ValueError, match='fits=601, but there are 600 samples'):
            estimate_mi(X, Y, bound=bound, fits=601, key=KEY)
