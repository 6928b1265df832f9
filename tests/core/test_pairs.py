"""Joint and marginal samples from scores."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import pairs

SCORES = np.arange(9, dtype=np.float32).reshape(3, 3)


class PairsTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_in_batch_keeps_rows_and_masks_the_diagonal(self):
        result = self.variant(pairs.in_batch)(SCORES)
        np.testing.assert_array_equal(result.joint, [0, 4, 8])
        np.testing.assert_array_equal(result.marginal, SCORES)
        np.testing.assert_array_equal(result.mask, 1 - np.eye(3))

    @chex.variants(with_jit=True, without_jit=True)
    def test_with_negatives_masks_nothing(self):
        result = self.variant(pairs.with_negatives)(SCORES[0], SCORES[:, :2])
        np.testing.assert_array_equal(result.joint, SCORES[0])
        np.testing.assert_array_equal(result.marginal, SCORES[:, :2])
        assert result.mask.all() and result.mask.shape == (3, 2)


@pytest.mark.parametrize(
    'scores, message',
    [
        (SCORES[:1, :1], 'batch of at least 2'),
        (SCORES[:2], 'must be square'),
        (SCORES[:1], 'must be square'),
    ],
)
def test_in_batch_errors(scores, message):
    with pytest.raises(ValueError, match=message):
        pairs.in_batch(scores)


def test_no_negatives_is_an_error():
    with pytest.raises(ValueError, match='at least one negative'):
        pairs.with_negatives(SCORES[0], SCORES[:, :0])


def test_half_scores_are_promoted():
    assert pairs.in_batch(jnp.ones((2, 2), jnp.bfloat16)).marginal.dtype == jnp.float32
