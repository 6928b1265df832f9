"""The loss that training logs and differentiates keeps its digits near zero, in float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import bounds, critics, linalg, pairs
from mi_ssl_jax.core.bounds import paper
from mi_ssl_jax.methods import api, jmi, moco, sdmi, simclr
from tests.helpers import goldens, tiny

RNG = np.random.default_rng(5)
ZA = RNG.standard_normal((48, 16)).astype(np.float32)
ZB = (ZA + 0.01 * RNG.standard_normal((48, 16))).astype(np.float32)
T = 0.05  # scores up to 20, where float32 rounds to 2e-6: losses below that drown in a difference
BLOCKED = {'block_size': 10}  # does not divide 48 or 96
MI = {'objective': 'infonce', 'marginal': 'bound', 'marginal_weight': 1.0, 'block_size': None}
TERMS = {
    'nt_xent': functools.partial(simclr.nt_xent_terms, temperature=T),
    'nt_xent in blocks': functools.partial(simclr.nt_xent_terms, temperature=T, **BLOCKED),
    'dcl': functools.partial(simclr.dcl_terms, temperature=T),
    'mocov3': functools.partial(moco.mocov3_terms, temperature=T),
    'mocov3 in blocks': functools.partial(moco.mocov3_terms, temperature=T, **BLOCKED),
    'queue': lambda a, b: moco.queue_terms(a, b, -linalg.unit(a), temperature=T),
}
# Their value has log N in it, and is exact up to the rounding of that.
SHIFTED = {
    'jmi': functools.partial(jmi.jmi_terms, temperature=T, **MI),
    'sdmi': lambda a, b: sdmi.sdmi_terms((a, b), (a, b), temperature=T, **MI),
    'infonce in blocks': lambda a, b: bounds.blocked_terms(
        'infonce', a, b, functools.partial(critics.cosine, temperature=T), 10
    ),
}


def value_and_gradient(terms_of, a, b):
    loss = jax.jit(jax.value_and_grad(lambda a, b: api.mi_loss(terms_of(a, b)).value, (0, 1)))
    return loss(a, b)


@pytest.mark.parametrize('name', [*TERMS, *SHIFTED])
def test_the_value_is_that_of_float64(name):
    terms_of = {**TERMS, **SHIFTED}[name]
    value, gradients = value_and_gradient(terms_of, ZA, ZB)
    with goldens.x64():
        exact, expected = value_and_gradient(terms_of, np.float64(ZA), np.float64(ZB))
    # Scores carry a rounding error of 1e-6 each, which is one of 1e-5 relative to a sum of them.
    np.testing.assert_allclose(value, exact, rtol=2e-5, atol=0 if name in TERMS else 1e-6)
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize('name', [*TERMS])
def test_joint_and_marginal_stay_apart(name):
    terms = TERMS[name](ZA, ZB)
    np.testing.assert_allclose(terms.marginal - terms.joint, -terms.difference, atol=5e-6)
    loss = api.mi_loss(terms)
    assert loss.terms == {'joint': terms.joint, 'marginal': terms.marginal}


@pytest.mark.parametrize('name', [name for name in TERMS if name != 'dcl'])
def test_a_cross_entropy_is_never_negative(name):
    # Each row's own sample alone is near: the loss is 1e-9 and less, the scores are 20 to 100.
    a = np.eye(16, dtype=np.float32) * np.linspace(0.1, 10, 16, dtype=np.float32)[:, None]
    a = a + 1e-3 * RNG.standard_normal((16, 16)).astype(np.float32)
    terms_of = TERMS[name]
    value = api.mi_loss(jax.jit(terms_of)(a, 1.7 * a)).value
    assert 0 < value < 1e-6


def test_the_trainers_loss_is_the_exported_one():
    views = {'theta': api.Views((jnp.asarray(ZA), jnp.asarray(ZB)), (), {})}
    method = tiny.method('simclr', temperature=T)
    logged = method.phases[0].loss(views, (), None).value
    np.testing.assert_array_equal(logged, simclr.nt_xent(ZA, ZB, temperature=T))


def test_terms_without_a_difference_are_subtracted():
    p = pairs.in_batch(jnp.asarray(ZA @ ZB.T))
    terms = bounds.dv_terms(p)
    assert terms.difference is None and paper.value(terms) == terms.joint - terms.marginal
