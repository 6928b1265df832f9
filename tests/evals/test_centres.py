"""Arrangements of five centres whose angles are known."""

import chex
import numpy as np

from mi_ssl_jax.evals import centres

TURN = 2 * np.pi * np.arange(5) / 5
RING = np.stack([np.cos(TURN), np.sin(TURN), np.zeros(5)], axis=1).astype(np.float32)
# Triangular bipyramid, the Thomson optimum of five charges: three points on the equator and two
# poles.
BIPYRAMID = np.array(
    [[1, 0, 0], [-0.5, 3**0.5 / 2, 0], [-0.5, -(3**0.5) / 2, 0], [0, 0, 1], [0, 0, -1]], np.float32
)


class CentresTest(chex.TestCase):
    # arccos near 72 and 90 degrees loses no digits: float32 rounding is some 1e-5 degrees.
    @chex.variants(with_jit=True, without_jit=True)
    def test_pentagon(self):
        actual = self.variant(centres.gaps)(3 * RING)
        chex.assert_trees_all_close(
            actual, {'mean': 72.0, 'min': 72.0, 'max': 72.0, 'sd': 0.0}, atol=1e-3
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_bipyramid(self):
        actual = self.variant(centres.gaps)(BIPYRAMID)
        chex.assert_trees_all_close(
            actual, {'mean': 90.0, 'min': 90.0, 'max': 90.0, 'sd': 0.0}, atol=1e-3
        )

    def test_one_centre(self):
        with self.assertRaisesRegex(ValueError, 'at least 2'):
            centres.gaps(RING[:1])
