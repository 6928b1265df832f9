"""The online probe: a linear classifier on the frozen features of each training batch, trained
beside the encoder.

It costs one matrix product a step and no extra pass; its accuracy is on augmented training views,
so it shows progress and is not the number to report (see mi_ssl_jax.probe).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mi_ssl_jax import parallel
from mi_ssl_jax.core import linalg

LEARNING_RATE = 3.0  # on features of unit length


class Classifier(NamedTuple):
    """kernel: (F, C). bias: (C,)."""

    kernel: jax.Array
    bias: jax.Array


def init(width: int, classes: int) -> Classifier:
    """Initialise all parameters at zero, as the offline probe does."""
    return Classifier(jnp.zeros((width, classes)), jnp.zeros(classes))


def step(
    classifier: Classifier, features: jax.Array, labels: jax.Array, axis: str | None
) -> tuple[Classifier, jax.Array]:
    """One SGD step on the cross-entropy of features (N, F); returns also the top-1 accuracy in
    percent, before it.

    labels: of N examples, any shape; those below 0 are unknown and left out.
    """
    x, labels = linalg.unit(jax.lax.stop_gradient(features)), labels.reshape(-1)
    known = (labels >= 0).astype(x.dtype)
    weights = known / jnp.maximum(known.sum(), 1)

    def loss(own: Classifier) -> tuple[jax.Array, jax.Array]:
        scores = jax.nn.log_softmax(linalg.matmul(x, own.kernel) + own.bias)
        right = jnp.sum(weights * (jnp.argmax(scores, axis=1) == labels))
        return (
            -jnp.sum(weights * jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]),
            100 * right,
        )

    gradient, accuracy = parallel.mean(jax.grad(loss, has_aux=True)(classifier), axis)
    return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, classifier, gradient), accuracy
