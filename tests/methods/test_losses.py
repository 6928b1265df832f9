"""The pure losses against slow numpy versions, and the properties that define them."""

import functools
import math

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.methods import barlow, byol, jmi, moco, objectives, sdmi, simclr, simsiam, vicreg
from tests.helpers import goldens, oracles

RNG = np.random.default_rng(11)
ZA = RNG.standard_normal((7, 4)).astype(np.float32)
ZB = (ZA + 0.5 * RNG.standard_normal((7, 4))).astype(np.float32)
TEMPERATURE = 0.5
VICREG = dict(invariance_weight=25.0, variance_weight=10.0, covariance_weight=2.0, eps=1e-4)


def nt_xent_oracle(za, zb):
    both = np.concatenate([za, zb])
    scores, n = oracles.cosine(both, both, TEMPERATURE), len(za)
    rows = [
        math.log(math.fsum(math.exp(row[k]) for k in range(2 * n) if k != i))
        - row[(i + n) % (2 * n)]
        for i, row in enumerate(scores)
    ]
    return oracles.mean(rows)


def cosine_oracle(za, zb):
    return oracles.mean(np.sum(oracles.unit(za) * oracles.unit(zb), axis=1))


def mocov3_oracle(q, k):
    scores = oracles.cosine(q, k, TEMPERATURE)
    return (
        2
        * TEMPERATURE
        * oracles.mean(
            [math.log(math.fsum(map(math.exp, row))) - row[i] for i, row in enumerate(scores)]
        )
    )


def correlation(za, zb):
    return oracles.standardise(za, 1e-5).T @ oracles.standardise(zb, 1e-5) / len(za)


def barlow_oracle(za, zb):
    c = correlation(za, zb)
    return sum((1 - x) ** 2 for x in np.diagonal(c)) + 0.01 * sum(
        x * x for x in oracles.off_diagonal(c)
    )


def variance_hinge(z):
    return oracles.mean(
        [max(0.0, 1 - math.sqrt(np.float64(column).var(ddof=1) + 1e-4)) for column in z.T]
    )


def covariance_penalty(z):
    return sum(x * x for x in oracles.off_diagonal(np.cov(np.float64(z).T))) / z.shape[1]


def vicreg_oracle(za, zb):
    return (
        25 * np.mean((np.float64(za) - zb) ** 2)
        + 10 * (variance_hinge(za) + variance_hinge(zb)) / 2
        + 2 * (covariance_penalty(za) + covariance_penalty(zb))
    )


# name -> (loss, oracle, whether the second argument is a target under a stop-gradient)
LOSSES = {
    'nt_xent': (functools.partial(simclr.nt_xent, temperature=TEMPERATURE), nt_xent_oracle, False),
    'negative_cosine': (simsiam.negative_cosine, lambda p, z: -cosine_oracle(p, z), True),
    'byol': (byol.byol_loss, lambda p, z: 2 - 2 * cosine_oracle(p, z), True),
    'mocov3': (functools.partial(moco.mocov3_loss, temperature=TEMPERATURE), mocov3_oracle, True),
    'barlow': (functools.partial(barlow.barlow_loss, redundancy_weight=0.01), barlow_oracle, False),
    'vicreg': (functools.partial(vicreg.vicreg_loss, **VICREG), vicreg_oracle, False),
}
# name -> (terms, oracle of the joint term)
TERMS = {
    'nt_xent': (
        functools.partial(simclr.nt_xent_terms, temperature=TEMPERATURE),
        lambda za, zb: cosine_oracle(za, zb) / TEMPERATURE,
    ),
    'mocov3': (
        functools.partial(moco.mocov3_terms, temperature=TEMPERATURE),
        lambda q, k: 2 * cosine_oracle(q, k),
    ),
    'barlow': (
        functools.partial(barlow.barlow_terms, redundancy_weight=0.01),
        lambda za, zb: -sum((1 - x) ** 2 for x in np.diagonal(correlation(za, zb))),
    ),
    'vicreg': (
        functools.partial(vicreg.vicreg_terms, **VICREG),
        lambda za, zb: -25 * np.mean((np.float64(za) - zb) ** 2),
    ),
}
COMPILED = {name: jax.jit(loss) for name, (loss, _, _) in LOSSES.items()}


class LossesTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*((name, name) for name in LOSSES))
    def test_equals_oracle(self, name):
        loss, oracle, _ = LOSSES[name]
        np.testing.assert_allclose(self.variant(loss)(ZA, ZB), oracle(ZA, ZB), rtol=3e-6)  # float32

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*((name, name) for name in TERMS))
    def test_terms(self, name):
        terms_of, joint = TERMS[name]
        terms = self.variant(terms_of)(ZA, ZB)
        np.testing.assert_allclose(terms.joint, joint(ZA, ZB), rtol=3e-6)
        np.testing.assert_allclose(terms.marginal - terms.joint, LOSSES[name][1](ZA, ZB), rtol=3e-6)


@pytest.mark.parametrize('name', LOSSES)
def test_gradient_equals_differences(name):
    loss, oracle, target = LOSSES[name]
    with goldens.x64():
        first, second = jax.jit(jax.grad(loss, (0, 1)))(np.float64(ZA), np.float64(ZB))
    # Central differences at 1e-6: 1e-9 of truncation and rounding.
    expected = oracles.numerical_gradient(lambda z: oracle(z, ZB), ZA)
    np.testing.assert_allclose(first, expected, atol=2e-8, rtol=1e-6)
    if target:
        np.testing.assert_array_equal(second, 0.0)
    else:
        expected = oracles.numerical_gradient(lambda z: oracle(ZA, z), ZB)
        np.testing.assert_allclose(second, expected, atol=2e-8, rtol=1e-6)


@pytest.mark.parametrize('name', LOSSES)
def test_the_order_of_the_batch_does_not_matter(name):
    order, loss = np.roll(np.arange(len(ZA)), 3), COMPILED[name]
    np.testing.assert_allclose(loss(ZA[order], ZB[order]), loss(ZA, ZB), rtol=3e-6)
    assert abs(loss(ZA[order], ZB) - loss(ZA, ZB)) > 1e-2  # but who belongs to whom does


@pytest.mark.parametrize('name', [name for name in LOSSES if not LOSSES[name][2]])
def test_views_are_interchangeable(name):
    np.testing.assert_allclose(COMPILED[name](ZB, ZA), COMPILED[name](ZA, ZB), rtol=3e-6)


@pytest.mark.parametrize('name', ['nt_xent', 'negative_cosine', 'byol', 'mocov3'])
def test_lengths_do_not_matter(name):
    lengths = np.float32(10.0) ** np.linspace(-3, 3, len(ZA), dtype=np.float32)[:, None]
    loss = COMPILED[name]
    np.testing.assert_allclose(loss(lengths * ZA, ZB / lengths), loss(ZA, ZB), rtol=3e-6)


def test_barlow_ignores_scale_and_offset_of_a_feature():
    loss = COMPILED['barlow']
    # Up to the eps of 1e-5 on variances of about 1.
    np.testing.assert_allclose(
        loss(ZA * np.float32([2, 5, 10, 3]) + 1, ZB), loss(ZA, ZB), rtol=1e-4
    )


def test_vicreg_ignores_a_common_offset_and_sees_scale():
    loss = COMPILED['vicreg']
    np.testing.assert_allclose(loss(ZA + 1, ZB + 1), loss(ZA, ZB), rtol=1e-5)
    assert loss(ZA / 10, ZB / 10) > loss(ZA, ZB)


def test_values_in_closed_form():
    np.testing.assert_allclose(COMPILED['byol'](ZA, 3 * ZA), 0, atol=1e-6)
    np.testing.assert_allclose(COMPILED['byol'](ZA, -ZA), 4, rtol=1e-6)
    np.testing.assert_allclose(COMPILED['negative_cosine'](ZA, 3 * ZA), -1, rtol=1e-6)
    # All embeddings equal: every log-sum-exp is the positive's score plus the log of the number of
    # terms.
    ones = np.ones_like(ZA)
    np.testing.assert_allclose(COMPILED['nt_xent'](ones, ones), math.log(13), rtol=1e-6)
    np.testing.assert_allclose(COMPILED['mocov3'](ones, ones), math.log(7), rtol=1e-6)
    np.testing.assert_allclose(COMPILED['barlow'](ones, ones), 4, rtol=1e-6)


@pytest.mark.parametrize('name', ['nt_xent', 'dv', 'infonce'])
def test_row_blocks_change_nothing(name):
    def weighted(za, zb, block_size):
        if name == 'nt_xent':
            terms = simclr.nt_xent_terms(za, zb, temperature=0.1, block_size=block_size)
        else:
            terms = objectives.terms(za, zb, objective=name, temperature=0.1, block_size=block_size)
        return (
            1.3 * terms.joint - 0.7 * terms.marginal
        )  # unequal: no cotangent stands for the other

    expected, *blocked = (
        jax.jit(jax.value_and_grad(functools.partial(weighted, block_size=size), (0, 1)))(ZA, ZB)
        for size in (None, 2, 5)
    )
    for result in blocked:
        for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.max(np.abs(b)))


MI = dict(marginal='bound', marginal_weight=1.0, temperature=TEMPERATURE, block_size=None)


class InformationTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*((name, name) for name in sorted(oracles.BOUNDS)))
    def test_jmi_and_sdmi_are_means_over_both_orders(self, objective):
        def bound(za, zb):
            return oracles.BOUNDS[objective](oracles.cosine(za, zb, TEMPERATURE))

        terms = self.variant(functools.partial(jmi.jmi_terms, objective=objective, **MI))(ZA, ZB)
        expected = (bound(ZA, ZB) + bound(ZB, ZA)) / 2
        np.testing.assert_allclose(terms.joint - terms.marginal, expected, rtol=1e-5)
        frozen = np.roll(ZB, 1, axis=1), np.roll(ZA, 1, axis=1)
        terms = self.variant(functools.partial(sdmi.sdmi_terms, objective=objective, **MI))(
            (ZA, ZB), frozen
        )
        expected = (bound(ZA, frozen[1]) + bound(ZB, frozen[0])) / 2
        np.testing.assert_allclose(terms.joint - terms.marginal, expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_surrogates_for_the_marginal(self):
        """Eq. 10: -E[T] + weight * R."""
        regularisers = {
            None: 0.0,
            'variance_covariance': (
                (variance_hinge(ZA) + variance_hinge(ZB)) / 2
                + (covariance_penalty(ZA) + covariance_penalty(ZB)) / 25
            ),
            'redundancy': sum(x * x for x in oracles.off_diagonal(correlation(ZA, ZB))),
        }
        assert set(regularisers) | {'bound'} == set(objectives.MARGINALS)
        for marginal, expected in regularisers.items():
            options = MI | {'marginal': marginal, 'marginal_weight': 3.0}
            terms = self.variant(functools.partial(jmi.jmi_terms, objective='dv', **options))(
                ZA, ZB
            )
            np.testing.assert_allclose(terms.joint, cosine_oracle(ZA, ZB) / TEMPERATURE, rtol=3e-6)
            np.testing.assert_allclose(terms.marginal, 3.0 * expected, rtol=3e-6)


@pytest.mark.parametrize('objective', sorted(set(oracles.BOUNDS) - {'infonce'}))
def test_pooled_bounds_are_the_same_in_both_orders(objective):
    def loss(za, zb):
        terms = objectives.mutual_information(za, zb, objective=objective, **MI)
        return terms.marginal - terms.joint

    gradient = jax.jit(jax.value_and_grad(loss, (0, 1)))
    value, (da, db) = gradient(ZA, ZB)
    reverse, (reverse_db, reverse_da) = gradient(ZB, ZA)
    np.testing.assert_allclose(reverse, value, rtol=3e-6)
    np.testing.assert_allclose(reverse_da, da, atol=1e-6)
    np.testing.assert_allclose(reverse_db, db, atol=1e-6)


def test_sdmi_gives_the_frozen_branch_no_gradient():
    loss = functools.partial(sdmi.sdmi_loss, temperature=TEMPERATURE)
    trained, frozen = jax.jit(jax.grad(loss, (0, 1)))((ZA, ZB), (2 * ZB, ZA + 1))
    for gradient in frozen:
        np.testing.assert_array_equal(gradient, 0.0)
    for gradient in trained:
        assert np.all(np.max(np.abs(gradient), axis=1) > 0)


def test_sdmi_takes_both_views_apart_or_stacked():
    loss = functools.partial(sdmi.sdmi_loss, temperature=TEMPERATURE)
    apart, stacked = ((ZA, ZB), (2 * ZB, ZA + 1)), (np.stack([ZA, ZB]), np.stack([2 * ZB, ZA + 1]))
    np.testing.assert_allclose(loss(*stacked), loss(*apart), rtol=1e-6)


@pytest.mark.parametrize('loss', [sdmi.sdmi_loss, jmi.jmi_loss])
@pytest.mark.parametrize('name', ['objective', 'marginal'])
def test_unknown_names_are_refused(loss, name):
    views = np.stack([ZA, ZB])
    with pytest.raises(ValueError, match=f"unknown {name} 'devil'; use one of .*"):
        loss(views, views, temperature=TEMPERATURE, **{name: 'devil'})


@pytest.mark.parametrize('loss', [simclr.nt_xent, moco.mocov3_loss])
def test_a_batch_of_one_has_no_negatives(loss):
    one = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match='batch of at least 2'):
        loss(one, one, temperature=1.0)


@pytest.mark.parametrize('name', sorted(oracles.BOUNDS))
@pytest.mark.parametrize('block_size', [None, 1])
def test_a_batch_of_one_has_no_marginal_samples(name, block_size):
    one = np.ones((1, 4), np.float32)
    with pytest.raises(ValueError, match='batch of at least 2'):
        jmi.jmi_terms(one, one, objective=name, **MI | {'block_size': block_size})


def test_nt_xent_is_finite_at_low_temperature():
    # exp(1 / 0.01) overflows float32: implementations that do not shift by the maximum give
    # infinity here.
    value, gradient = jax.jit(
        jax.value_and_grad(functools.partial(simclr.nt_xent, temperature=0.01))
    )(ZA, ZB)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))
