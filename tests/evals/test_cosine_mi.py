"""Mutual information of held-out embeddings against a float64 oracle, core.bounds and closed
forms."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from mi_ssl_jax.core import bounds, critics, pairs
from mi_ssl_jax.evals import cosine_mi


def embeddings(n, d, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    za = rng.normal(size=(n, d))
    zb = za + noise * rng.normal(size=(n, d))
    return za.astype(np.float32), zb.astype(np.float32)


def oracle(za, zb, temperature):
    """The three estimates by their definitions, in float64 and pair by pair."""
    za, zb = (z.astype(np.float64) for z in (za, zb))
    za, zb = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (za, zb))
    scores, n = za @ zb.T / temperature, len(za)
    joint, marginal = np.diag(scores), scores[~np.eye(n, dtype=bool)]
    return {
        'cos_dv': joint.mean() - np.log(np.exp(marginal).mean()),
        'infonce': (
            np.mean([scores[i, i] - np.log(np.exp(scores[i]).sum()) for i in range(n)]) + np.log(n)
        ),
        'jsd': -np.log1p(np.exp(-joint)).mean() - np.log1p(np.exp(marginal)).mean(),
    }


def bootstrap(**options):
    return jax.jit(functools.partial(cosine_mi.bootstrap, **options))


class EstimatesTest(chex.TestCase):
    # float32 rounding of scores up to 1 / temperature: absolute errors of some 1e-7 / temperature.
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.product(
        (
            dict(n=2, d=3, block_size=None),
            dict(n=37, d=3, block_size=1),
            dict(n=150, d=16, block_size=16),
            dict(n=150, d=16, block_size=1000),
        ),
        temperature=(1.0, 0.02),
    )
    def test_equals_the_definitions(self, n, d, block_size, temperature):
        za, zb = embeddings(n, d)
        estimates = functools.partial(
            cosine_mi.estimates, temperature=temperature, block_size=block_size
        )
        values = self.variant(estimates)(za, zb)
        for name, expected in oracle(za, zb, temperature).items():
            np.testing.assert_allclose(values[name], expected, rtol=2e-6, atol=5e-7 / temperature)

    @parameterized.parameters(1.0, 0.2)
    def test_equals_core_bounds(self, temperature):
        za, zb = embeddings(600, 8)
        values = jax.jit(functools.partial(cosine_mi.estimates, temperature=temperature))(za, zb)
        scored = pairs.in_batch(
            critics.cosine(jnp.asarray(za), jnp.asarray(zb), temperature=temperature)
        )
        for name, bound in zip(cosine_mi.NAMES, (bounds.dv, bounds.infonce, bounds.jsd)):
            np.testing.assert_allclose(values[name], bound(scored), rtol=2e-6, atol=1e-6)

    def test_float64_is_kept(self):
        with jax.enable_x64(True):
            za, zb = (z.astype(np.float64) for z in embeddings(40, 5))
            values = cosine_mi.estimates(za, zb, temperature=0.1, block_size=16)
            for name, expected in oracle(za, zb, 0.1).items():
                np.testing.assert_allclose(values[name], expected, rtol=1e-12)

    def test_collapsed_embeddings_share_nothing(self):
        z = np.ones((50, 4), np.float32)
        values = cosine_mi.estimates(z, z)
        np.testing.assert_allclose(values['cos_dv'], 0.0, atol=1e-6)
        np.testing.assert_allclose(values['infonce'], 0.0, atol=1e-6)
        # Constant scores 1: -softplus(-1) - softplus(1).
        np.testing.assert_allclose(
            values['jsd'], -np.log1p(np.exp(-1)) - np.log1p(np.exp(1)), rtol=1e-6
        )

    def test_identical_uniform_views_on_the_sphere(self):
        """Population value on S^2 at temperature 1: E e^<a,b> = sinh(1), so 1 - log sinh 1 =
        0.8386."""
        z = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
        # |mean of 4000 unit vectors|^2 / 2 is the leading error: about 1 / 8000; five times that.
        np.testing.assert_allclose(
            cosine_mi.estimates(z, z)['cos_dv'], 1 - np.log(np.sinh(1)), atol=1e-3
        )

    def test_infonce_never_exceeds_log_n(self):
        z = np.eye(8, dtype=np.float32)
        value = float(cosine_mi.estimates(z, z, temperature=0.02)['infonce'])
        assert value <= np.log(8) + 1e-6
        np.testing.assert_allclose(value, np.log(8), rtol=1e-6)

    def test_order_of_examples_does_not_matter(self):
        za, zb = embeddings(90, 4)
        order = np.random.default_rng(1).permutation(90)
        chex.assert_trees_all_close(
            cosine_mi.estimates(za, zb), cosine_mi.estimates(za[order], zb[order]), atol=1e-6
        )

    def test_never_holds_all_scores(self):
        za, zb = (jax.ShapeDtypeStruct((4096, 8), jnp.float32) for _ in range(2))
        compiled = (
            jax.jit(functools.partial(cosine_mi.estimates, block_size=64)).lower(za, zb).compile()
        )
        assert compiled.memory_analysis().temp_size_in_bytes < 4096 * 4096 * 4 / 8

    @parameterized.parameters(
        (dict(n=1), 'at least 2'),
        (dict(n=9, temperature=0.01), 'core.bounds'),
        (dict(n=9, block_size=0), 'block_size'),
    )
    def test_bad_input(self, arguments, message):
        za, zb = embeddings(arguments.pop('n'), 3)
        with self.assertRaisesRegex(ValueError, message):
            cosine_mi.estimates(za, zb, **arguments)


class BootstrapTest(parameterized.TestCase):
    def test_one_draw_equals_the_weighted_definition(self):
        """A resample that is written out, copies of one example never paired as marginal
        samples."""
        za, zb = embeddings(12, 3)
        counts = np.bincount(np.random.default_rng(0).integers(0, 12, 12), minlength=12)
        drawn = np.repeat(np.arange(12), counts)
        units = [z[drawn] / np.linalg.norm(z[drawn], axis=1, keepdims=True) for z in (za, zb)]
        scores, apart = units[0] @ units[1].T, drawn[:, None] != drawn[None, :]
        joint = np.diag(scores)
        row_means = [np.exp(row[keep]).mean() for row, keep in zip(scores, apart)]
        expected = (
            joint.mean() - np.log(np.exp(scores[apart]).mean()),
            np.mean(joint - np.log((np.exp(joint) + 11 * np.array(row_means)) / 12)),
            -np.log1p(np.exp(-joint)).mean() - np.log1p(np.exp(scores[apart])).mean(),
        )
        weights = jnp.asarray(counts, jnp.float32)[:, None]
        totals = cosine_mi._totals(za, zb, 1.0, 5, lambda x: x @ weights)
        actual = cosine_mi._combine(cosine_mi._joint(za, zb, 1.0), *totals, weights)
        np.testing.assert_allclose(np.ravel(actual), expected, rtol=1e-5)

    def test_width_is_the_sampling_error(self):
        """The standard error over 100 fresh sets and the interval's half width / 1.96 agree within
        35 %.

        Both are estimates from some 100 values (relative error 7 % each) and one set's own spread
        varies besides.
        """
        estimates = jax.jit(cosine_mi.estimates)
        fresh = [estimates(*embeddings(200, 3, seed)) for seed in range(100)]
        intervals = bootstrap(resamples=200)(*embeddings(200, 3, 1000), key=jax.random.PRNGKey(0))
        for name in cosine_mi.NAMES:
            error = np.std([float(values[name]) for values in fresh])
            width = float(intervals[name].high - intervals[name].low) / 2 / 1.96
            np.testing.assert_allclose(width, error, rtol=0.35, err_msg=name)

    def test_holds_the_estimate_and_narrows_with_confidence(self):
        za, zb = embeddings(300, 4)
        values = jax.jit(cosine_mi.estimates)(za, zb)
        wide, narrow = (
            bootstrap(resamples=100, confidence=c)(za, zb, key=jax.random.PRNGKey(1))
            for c in (0.95, 0.5)
        )
        for name in cosine_mi.NAMES:
            assert (
                wide[name].low
                < narrow[name].low
                < values[name]
                < narrow[name].high
                < wide[name].high
            )

    @parameterized.parameters((9, 10, 0.9), (20, 0, 0.9), (20, 10, 1.0))
    def test_bad_input(self, n, resamples, confidence):
        za, zb = embeddings(n, 3)
        with self.assertRaisesRegex(ValueError, 'bootstrap needs'):
            cosine_mi.bootstrap(
                za, zb, key=jax.random.PRNGKey(0), resamples=resamples, confidence=confidence
            )
