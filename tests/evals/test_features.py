"""Batchwise encoding equals encoding at once, with one compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.evals import features

X = np.random.default_rng(0).integers(0, 256, size=(23, 4, 4, 1), dtype=np.uint8)


def encoder(x):
    x = x.astype(jnp.float32).reshape(len(x), -1) / 255
    return jnp.tanh(x @ jnp.linspace(-1, 1, 16 * 3).reshape(16, 3))


@pytest.mark.parametrize('batch_size', [1, 4, 22, 23, 24, 100])
@pytest.mark.parametrize('on_device', [False, True])
def test_equals_encoding_at_once(batch_size, on_device):
    traced = []

    @jax.jit
    def compiled(x):
        traced.append(x.shape)
        return encoder(x)

    actual = features.encode(compiled, jnp.asarray(X) if on_device else X, batch_size=batch_size)
    assert isinstance(actual, np.ndarray) and actual.dtype == np.float32
    np.testing.assert_allclose(actual, encoder(X), rtol=1e-6, atol=1e-6)
    assert traced == [(min(batch_size, 23), 4, 4, 1)]


@pytest.mark.parametrize(
    'x, batch_size, message', [(X[:0], 4, 'no examples'), (X, 0, 'batch_size')]
)
def test_bad_input(x, batch_size, message):
    with pytest.raises(ValueError, match=message):
        features.encode(encoder, x, batch_size=batch_size)
