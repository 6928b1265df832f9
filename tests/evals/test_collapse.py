"""Collapse figures against numpy, and the sentence on runs that did and did not collapse."""

import functools

import chex
import numpy as np
from absl.testing import parameterized

from mi_ssl_jax.evals import collapse


def clusters(angles, copies=40, noise=0.05, seed=0):
    """Points around directions in the plane at these angles (degrees), with labels."""
    rng = np.random.default_rng(seed)
    radians = np.radians(np.repeat(angles, copies))
    z = np.stack([np.cos(radians), np.sin(radians)], axis=1) + noise * rng.normal(
        size=(len(radians), 2)
    )
    y = np.repeat(np.arange(len(angles)), copies)
    return z.astype(np.float32), y.astype(np.int32)


def figures(std=0.57, rank=2.9, gap=72.0):
    return {
        'std': std,
        'effective_rank': rank,
        'nn_gap': {'mean': gap, 'min': gap, 'max': gap, 'sd': 0.0},
    }


class FiguresTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_numpy(self):
        rng = np.random.default_rng(0)
        z, y = rng.normal(size=(60, 5)).astype(np.float32) * 3, np.arange(60, dtype=np.int32) % 4
        actual = self.variant(functools.partial(collapse.figures, classes=4))(z, y)
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        np.testing.assert_allclose(actual['std'], unit.std(axis=0).mean(), rtol=1e-5)
        p = np.linalg.svd(z.astype(np.float64), compute_uv=False)
        p /= p.sum()
        np.testing.assert_allclose(
            actual['effective_rank'], np.exp(-np.sum(p * np.log(p))), rtol=1e-5
        )
        means = np.stack([unit[y == c].mean(axis=0) for c in range(4)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        cosines = means @ means.T - 2 * np.eye(4)
        nearest = np.degrees(np.arccos(cosines.max(axis=1)))
        expected = {
            'mean': nearest.mean(),
            'min': nearest.min(),
            'max': nearest.max(),
            'sd': nearest.std(),
        }
        assert actual['nn_gap'].keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(actual['nn_gap'][name], value, rtol=1e-4)

    def test_pentagon(self):
        """Five classes on a ring: gaps of 72 degrees; the noise of 40 points moves a mean by some
        0.5 degrees."""
        gap = collapse.figures(*clusters([0, 72, 144, 216, 288]), classes=5)['nn_gap']
        np.testing.assert_allclose([gap['mean'], gap['min'], gap['max']], 72, atol=2)

    def test_means_are_of_normalised_rows(self):
        z, y = clusters([0, 90, 180])
        scale = np.random.default_rng(1).uniform(0.1, 10, size=(len(z), 1)).astype(np.float32)
        chex.assert_trees_all_close(
            collapse.class_means(z, y, classes=3),
            collapse.class_means(z * scale, y, classes=3),
            atol=1e-6,
        )

    def test_absent_class_is_not_a_number(self):
        assert np.isnan(collapse.figures(*clusters([0, 90]), classes=3)['nn_gap']['mean'])


class SentenceTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ('even', figures()),
        ('behind_batch_norm', figures(gap=36)),
        ('unmeasured', figures(gap=None)),
    )
    def test_silent(self, now):
        assert collapse.sentence(now, dimension=3) is None

    @parameterized.named_parameters(
        ('std', figures(std=0.02), 'nearly the same.*0.03'),
        ('rank', figures(rank=1.04), 'one direction.*1.04'),
        ('gap', figures(gap=6.04), 'merged.* 6.0 degrees'),
        ('std_first', figures(0.0, 1.0, 0.0), 'nearly the same'),
    )
    def test_speaks(self, now, pattern):
        self.assertRegex(collapse.sentence(now, dimension=3), f'^collapse: .*{pattern}')

    def test_merging_needs_history(self):
        wide, narrow = figures(gap=60), figures(gap=25)
        assert collapse.sentence(narrow, dimension=3) is None
        assert collapse.sentence(wide, dimension=3, history=[narrow]) is None
        line = collapse.sentence(narrow, dimension=3, history=[wide, narrow])
        self.assertRegex(line, '^partial collapse: .* once 60.0 .* now 25.0')

    def test_counts_seeds(self):
        now = figures(
            std=np.array([0.57, 0.01, 0.03]), rank=np.full(3, 2.9), gap=np.array([72.0, 3.0, 71.0])
        )
        self.assertRegex(
            collapse.sentence(now, dimension=3), r'nearly the same.*0\.03.*\(2 of 3 seeds\)$'
        )

    def test_real_embeddings(self):
        """Figures of points: one cluster is a collapse, five on a ring are not."""
        z, y = clusters([0, 72, 144, 216, 288])
        assert collapse.sentence(collapse.figures(z, y, classes=5), dimension=2) is None
        z, y = clusters([10, 10, 10, 10, 10], noise=0.01)
        self.assertRegex(
            collapse.sentence(collapse.figures(z, y, classes=5), dimension=2), '^collapse: '
        )
