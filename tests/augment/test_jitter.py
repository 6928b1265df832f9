"""The colour jitter with fixed places equals the four operations one after another, in all 24
orders."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax.augment import jitter, ops
from tests.helpers import goldens

ORDERS = list(itertools.permutations(range(4)))  # 0 brightness, 1 contrast, 2 saturation, 3 hue
STEPS = (ops.brightness, ops.contrast, ops.saturation, ops.hue)


def _planes(images):
    return tuple(jnp.moveaxis(jnp.asarray(images, jnp.float32), -1, 0))


def _chosen(orders, factors, shift):
    count = len(orders)
    return jitter.Jitter(
        jnp.broadcast_to(jnp.asarray(factors, jnp.float32), (count, 3)),
        jnp.full(count, shift, jnp.float32),
        jnp.asarray(np.argsort(orders, axis=1)),
    )


class JitterTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_all_orders(self):
        factors, shift = (1.3, 0.7, 1.5), 0.08
        images = np.random.default_rng(0).uniform(size=(24, 8, 8, 3)).astype(np.float32)
        actual = self.variant(jax.vmap(jitter.apply))(
            _planes(images), _chosen(ORDERS, factors, shift)
        )
        for i, order in enumerate(ORDERS):
            image = jnp.asarray(images[i])
            for step in order:
                image = STEPS[step](image, (*factors, shift)[step])
            # Compiled and uncompiled float32 round differently; hue divides by the spread of the
            # colours.
            np.testing.assert_allclose(np.stack(actual, -1)[i], image, atol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_loops_equal_straight_code(self):
        """The one is for CPUs, the other for all other devices."""
        images = np.random.default_rng(0).uniform(size=(24, 8, 8, 3)).astype(np.float32)
        given = _planes(images), _chosen(ORDERS, (1.3, 0.7, 1.5), 0.08)
        both = [self.variant(jax.vmap(f))(*given) for f in (jitter._in_loops, jitter._straight)]
        chex.assert_trees_all_close(*both, atol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_torchvision(self):
        chosen = [
            case for case in goldens.cases('augment_ops') if case.id.startswith('jitter_order')
        ]
        assert len(chosen) == 2
        images = np.stack([np.moveaxis(case.inputs['img'], 0, -1) for case in chosen])
        expected = np.stack([np.moveaxis(case.outputs['out'], 0, -1) for case in chosen])
        orders = [case.args['order'] for case in chosen]
        actual = self.variant(jax.vmap(jitter.apply))(
            _planes(images), _chosen(orders, (1.3, 0.7, 1.5), 0.08)
        )
        np.testing.assert_allclose(np.stack(actual, -1), expected, atol=2e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_neutral_strengths_change_nothing(self):
        images = np.random.default_rng(0).uniform(size=(24, 8, 8, 3)).astype(np.float32)
        planes = _planes(images)
        actual = self.variant(jax.vmap(jitter.apply))(planes, _chosen(ORDERS, (1, 1, 1), 0))
        chex.assert_trees_all_equal(actual, planes)


def test_draws_have_torchvisions_law():
    draw = jax.jit(
        jax.vmap(lambda key: jitter.draw(key, strength=(0.8, 0.4, 1.5, 0.2), probability=0.8))
    )
    factors, shift, ranks = draw(jax.random.split(jax.random.key(0), 20000))
    applied = np.asarray(shift != 0)
    # 20,000 draws: four standard errors of a share of 0.8 are 0.011.
    assert abs(applied.mean() - 0.8) < 0.012
    assert (np.asarray(factors)[~applied] == 1).all()
    shown = np.asarray(factors)[applied]
    low, high = np.asarray([0.2, 0.6, 0.0]), np.asarray([1.8, 1.4, 2.5])  # the third is cut at 0
    assert (shown >= low).all() and (shown <= high).all()
    # Four standard errors of a uniform mean over 16,000 draws: 0.9 % of the width.
    np.testing.assert_allclose((shown.mean(0) - low) / (high - low), 0.5, atol=0.01)
    assert abs(np.asarray(shift)[applied].mean()) < 0.004 and np.abs(shift).max() <= 0.2
    orders, counts = np.unique(np.asarray(ranks), axis=0, return_counts=True)
    assert sorted(map(tuple, orders)) == ORDERS
    # Chi-square with 23 degrees of freedom exceeds 60 once in 30,000.
    assert ((counts - 20000 / 24) ** 2 / (20000 / 24)).sum() < 60


def test_strength_zero_leaves_an_operation_out():
    draw = jax.vmap(lambda key: jitter.draw(key, strength=(0.0, 0.4, 0.0, 0.0), probability=1.0))
    factors, shift, _ = draw(jax.random.split(jax.random.key(0), 50))
    assert (factors[:, 0] == 1).all() and (factors[:, 2] == 1).all() and (shift == 0).all()
    assert (factors[:, 1] != 1).all()
