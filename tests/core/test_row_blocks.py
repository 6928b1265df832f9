"""Bounds in row blocks equal the direct form, in value, in gradient and in less memory."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.core import bounds, critics, pairs
from mi_ssl_jax.core.bounds import row_blocks

RNG = np.random.default_rng(7)
ZA = RNG.standard_normal((23, 5)).astype(np.float32)
ZB = (ZA + 0.5 * RNG.standard_normal((23, 5))).astype(np.float32)
NAMES = ('dv', 'infonce', 'js_nwj', 'jsd', 'nwj', 'smile', 'taylor_dv')
COSINE = functools.partial(critics.cosine, temperature=0.2)
DOT = functools.partial(critics.dot, temperature=2.0)
DISTANCE = functools.partial(critics.negative_squared_distance, temperature=2.0)


def direct_terms(name, za, zb, critic, block_size=None, **options):
    return bounds.terms(name, pairs.in_batch(critic(za, zb)), **options)


def weighted(terms_of, za, zb, **arguments):
    """A scalar of both terms with unequal weights, so that neither cotangent can stand for the
    other."""
    terms = terms_of(za=za, zb=zb, **arguments)
    return 1.3 * terms.joint - 0.7 * terms.marginal


def relative_error(actual, expected):
    return max(
        float(jnp.max(jnp.abs(a - e)) / jnp.max(jnp.abs(e)))
        for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    )


class BlockedTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*zip(NAMES, NAMES))
    def test_equals_the_direct_form(self, name):
        arguments = dict(name=name, critic=COSINE, block_size=8)
        both = [
            self.variant(jax.value_and_grad(functools.partial(weighted, f, **arguments), (0, 1)))(
                ZA, ZB
            )
            for f in (bounds.blocked_terms, direct_terms)
        ]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(
        ('whole', 'dv', COSINE, 23),
        ('larger_than_n', 'infonce', COSINE, 64),
        ('dot', 'dv', DOT, 16),
        ('distance', 'jsd', DISTANCE, 1),
    )
    def test_other_critics_and_block_sizes(self, name, critic, block_size):
        arguments = dict(name=name, critic=critic, block_size=block_size)
        both = [
            self.variant(jax.value_and_grad(functools.partial(weighted, f, **arguments), (0, 1)))(
                ZA, ZB
            )
            for f in (bounds.blocked_terms, direct_terms)
        ]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(('dv', 'dv'), ('taylor_dv', 'taylor_dv'))
    def test_gradient_reaches_what_the_critic_closes_over(self, name):
        weight = np.eye(5, dtype=np.float32) + 0.1 * RNG.standard_normal((5, 5)).astype(np.float32)

        def loss(terms_of, za, weight, temperature):
            def critic(a, b):
                return critics.bilinear(a, b, weight) / temperature

            return weighted(terms_of, za, ZB, name=name, critic=critic, block_size=8)

        both = [
            self.variant(jax.value_and_grad(functools.partial(loss, f), (0, 1, 2)))(ZA, weight, 3.0)
            for f in (bounds.blocked_terms, direct_terms)
        ]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True)
    def test_under_vmap(self):
        stacked = np.stack([ZA, 2 * ZB])

        def gradient(f):
            return jax.vmap(
                jax.grad(lambda za: weighted(f, za, ZB, name='dv', critic=COSINE, block_size=8))
            )

        both = [self.variant(gradient(f))(stacked) for f in (bounds.blocked_terms, direct_terms)]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True, without_jit=True)
    def test_value_alone(self):
        for name in ('dv', 'taylor_dv'):
            actual = self.variant(lambda a, b: bounds.blocked(name, a, b, COSINE, 8))(ZA, ZB)
            terms = direct_terms(name, ZA, ZB, COSINE)
            np.testing.assert_allclose(actual, terms.joint - terms.marginal, rtol=1e-5)

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(
        ('taylor_dv', 'taylor_dv', dict(variance_weight=1.0)), ('smile', 'smile', dict(clip=1.0))
    )
    def test_options(self, name, options):
        both = [
            self.variant(lambda a, b: f(name, a, b, COSINE, 8, **options))(ZA, ZB)
            for f in (bounds.blocked_terms, direct_terms)
        ]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True, without_jit=True)
    def test_cross_entropy_with_its_own_sample_further_on(self):
        def direct(za, zb):
            scores = COSINE(za, zb)
            others = jnp.where(jnp.eye(23, dtype=bool), -jnp.inf, scores)
            own = jnp.diagonal(jnp.roll(scores, -9, axis=1))
            return jnp.mean(jax.nn.logsumexp(others, axis=1) - own)

        both = [
            self.variant(jax.value_and_grad(f, (0, 1)))(ZA, ZB)
            for f in (lambda a, b: row_blocks.cross_entropy(a, b, COSINE, 8, offset=9), direct)
        ]
        assert relative_error(*both) <= 1e-5

    @chex.variants(with_jit=True)
    @parameterized.named_parameters(
        ('dv', 'dv', 1e30),
        ('infonce', 'infonce', 1e30),
        ('jsd', 'jsd', 1e30),
        ('taylor_dv', 'taylor_dv', 1e15),
        ('nwj', 'nwj', 80.0),
    )
    def test_finite_to_the_end_of_its_range(self, name, largest):
        signs = np.sign(ZA)

        def value(za, zb):
            return bounds.blocked(
                name, za, zb, lambda a, b: largest * critics.dot(a, b, temperature=5.0), 8
            )

        gradient = self.variant(jax.value_and_grad(value, (0, 1)))
        for zb in (np.sign(ZB), signs, -signs):
            chex.assert_tree_all_finite(gradient(signs, zb))


@pytest.mark.parametrize('name', ['dv', 'infonce'])
def test_memory_does_not_grow_with_n_squared(name):
    n = 2048
    z = jax.ShapeDtypeStruct((n, 8), jnp.float32)
    temp = {}
    for label, f in (('direct', direct_terms), ('blocked', bounds.blocked_terms)):
        gradient = jax.grad(
            functools.partial(weighted, f, name=name, critic=COSINE, block_size=64), (0, 1)
        )
        temp[label] = jax.jit(gradient).lower(z, z).compile().memory_analysis().temp_size_in_bytes
    assert temp['direct'] >= 4 * n * n
    assert temp['blocked'] < temp['direct'] / 8


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ('tuba', ZA, ZB, COSINE, 8),
            "no blocked form of the bound 'tuba': choose one of chi_squared, dv, infonce, js_nwj",
        ),
        (('dv', ZA[:1], ZB[:1], COSINE, 8), 'batch of at least 2'),
        (('dv', ZA, ZB, COSINE, 0), 'block_size must be at least 1'),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        bounds.blocked(*arguments)
