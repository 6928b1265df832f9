"""Convolutions as products against lax's in float64, and what each platform's program holds."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mi_ssl_jax.nets import convolution
from tests.helpers import goldens

# Relative L2 errors of the output and both gradients in float32: about twice the largest that was
# measured over the shapes of ResNets; lax's own are up to 4e-7.
BOUND = {'fast': 1e-5, 'accurate': 1.5e-6}
# name -> (height, width, channels, outputs, window, stride, padding)
SHAPES = {
    'winograd': (8, 8, 16, 20, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'odd sides': (7, 9, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'small sides': (2, 3, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'one pixel': (1, 1, 16, 16, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'other padding': (9, 8, 16, 16, (3, 3), (1, 1), ((0, 2), (3, 1))),
    'few channels': (8, 8, 3, 20, (3, 3), (1, 1), ((1, 1), (1, 1))),
    'strided': (8, 8, 16, 20, (3, 3), (2, 2), ((1, 1), (1, 1))),
    'strided, odd sides': (7, 9, 4, 5, (3, 3), (2, 2), ((1, 1), (1, 1))),
    'one by one': (5, 6, 7, 8, (1, 1), (1, 1), ((0, 0), (0, 0))),
    'strided one by one': (5, 6, 7, 8, (1, 1), (2, 2), ((0, 0), (0, 0))),
    'stem': (14, 15, 3, 8, (7, 7), (2, 2), ((3, 3), (3, 3))),
    'uneven': (9, 8, 3, 4, (2, 5), (3, 2), ((1, 0), (2, 4))),
    'window beyond': (3, 3, 2, 2, (5, 5), (4, 1), ((2, 2), (2, 2))),
}


def draw(shape, images=5):
    height, width, channels, outputs, window, stride, padding = SHAPES[shape]
    x, kernel = (
        np.random.default_rng(0).normal(size=own)
        for own in ((images, height, width, channels), (*window, channels, outputs))
    )
    options = dict(window_strides=stride, padding=padding, dimension_numbers=convolution.LAYOUT)
    return x, kernel, options


def with_gradients(function, x, kernel):
    """The output, and the gradients of its products with fixed numbers."""
    y, pull = jax.vjp(function, x, kernel)
    g = np.random.default_rng(1).normal(size=y.shape)
    return y, *pull(g.astype(y.dtype))


def exact(x, kernel, options):
    """In float64, by lax."""
    with goldens.x64():
        own = functools.partial(lax.conv_general_dilated, **options)
        return [np.asarray(a) for a in with_gradients(own, jnp.asarray(x), jnp.asarray(kernel))]


def fast(choice, options):
    return functools.partial(convolution.load(choice), **options)


def errors(actual, expected):
    return [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(actual, expected, strict=True)]


@pytest.mark.parametrize('choice', BOUND)
@pytest.mark.parametrize('shape', SHAPES)
def test_output_and_gradients(shape, choice):
    x, kernel, options = draw(shape)
    own = jax.jit(functools.partial(with_gradients, fast(choice, options)))
    actual = own(jnp.float32(x), jnp.float32(kernel))
    assert max(errors(actual, exact(x, kernel, options))) < BOUND[choice]
