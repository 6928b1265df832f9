"""Fine-tuning: a backbone and a linear classifier on it, trained together on labelled examples.

SGD with momentum 0.9, no weight decay, a cosine to 0. All labels, and whatever starts from random
weights: 30 epochs, both at 0.05 x batch / 256. Few labels: 20 epochs, or as many as make 1,000
steps (20 epochs of 1 % of ImageNet do), the backbone at 0.005, the classifier at 10 or, from 3 % of
the labels on, at 20. Such rates suit features whose rows have norm 1, so that this classifier sees
features standardised and divided by sqrt(F), as the probe's does; the constants are those of the
labelled examples before training. Its weights begin at 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.types import Batch, Key, Tree, Variables

EPOCHS, FEW_EPOCHS, FEW_STEPS = 30, 20, 1000
LEARNING_RATE, BASE_BATCH = 0.05, 256
BACKBONE_RATE = 0.005  # few labels
HEAD_RATES = (10.0, 20.0)  # of the classifier below and from FEW_SHARE of the labels on
FEW_SHARE = 0.03
MOMENTUM = 0.9


class Protocol(NamedTuple):
    """How a fine-tuning goes.

    steps: of an epoch. backbone_lr, head_lr: where their cosines begin. standardised: whether the
    classifier sees standardised features.
    """

    epochs: int
    steps: int
    batch_size: int
    backbone_lr: float
    head_lr: float
    standardised: bool

    @property
    def total(self) -> int:
        """Steps of the whole fine-tuning."""
        return self.epochs * self.steps


class Scale(NamedTuple):
    """What is subtracted from each feature, and what it is multiplied by: (F,) each."""

    mean: jax.Array
    factor: jax.Array


class State(NamedTuple):
    """params: {'backbone', 'head'}. statistics: running ones of the backbone's batch norms. step:
    those taken.
    """

    params: dict[str, Tree]
    statistics: Tree
    optimiser: Tree
    step: jax.Array
    scale: Scale


class Programs(NamedTuple):
    """Compiled functions of a fine-tuning.

    step: (state, key, x, y) -> (state, loss), on augmented examples. features, scores: (state, x)
    -> (N, F), (N, classes), un-augmented.
    """

    start: Callable[[Variables, Scale], State]
    step: Callable[[State, Key, Batch, jax.Array], tuple[State, jax.Array]]
    features: Callable[[Variables, Batch], jax.Array]
    scores: Callable[[State, Batch], jax.Array]


def protocol(
    count: int,
    total: int,
    *,
    scratch: bool,
    batch_size: int = BASE_BATCH,
    epochs: int | None = None,
    backbone_lr: float | None = None,
    head_lr: float | None = None,
) -> Protocol:
    """The protocol with `count` labels of `total` training examples.

    Args:
        count: labelled examples.
        total: training examples of the data set.
        scratch: whether the backbone begins with random weights.
        batch_size: at most; all labels where there are fewer.
        epochs: instead of the protocol's.
        backbone_lr: instead of the protocol's.
        head_lr: instead of the protocol's.

    Returns:
        The protocol.

    Raises:
        ValueError: fewer than two labelled examples, or a batch below two.
    """
    if min(count, batch_size) < 2:
        raise ValueError(
            f'{count} labelled examples in batches of {batch_size}: fine-tuning needs two of both'
        )
    steps = -(-count // min(batch_size, count))
    size = count // steps
    few = count < total
    if epochs is None:
        epochs = max(FEW_EPOCHS, -(-FEW_STEPS // steps)) if few else EPOCHS
    both = LEARNING_RATE * size / BASE_BATCH
    rates = (both, both)
    if few and not scratch:
        rates = (BACKBONE_RATE, HEAD_RATES[count >= FEW_SHARE * total])
    return Protocol(
        epochs,
        steps,
        size,
        rates[0] if backbone_lr is None else backbone_lr,
        rates[1] if head_lr is None else head_lr,
        few and not scratch,
    )


def describe(own: Protocol) -> str:
    """The protocol in one line."""
    of = 'features standardised and / sqrt(F)' if own.standardised else 'features'
    return (
        f'SGD, momentum {MOMENTUM}, no weight decay, batch {own.batch_size}, {own.epochs} epochs'
        f' ({own.total:,} steps), cosine to 0 from {own.backbone_lr:.3g} (backbone) and'
        f' {own.head_lr:.3g} (linear classifier on {of}, from 0); crops and flips, no colours;'
        ' offline, last epoch'
    )


def compile_programs(
    network: nn.Module,
    *,
    view: Callable[[Key, Tree], Tree],
    plain: Callable[[Tree], Tree],
    own: Protocol,
    classes: int,
) -> Programs:
    """The compiled functions of one protocol.

    Args:
        network: (x (N, ...), train) -> features (N, F).
        view: (key, example) -> augmented network input.
        plain: example -> network input.
        own: rates and length.
        classes: to tell apart.
    """
    optimiser = optax.partition(
        {'backbone': _sgd(own.backbone_lr, own), 'head': _sgd(own.head_lr, own)},
        {'backbone': 'backbone', 'head': 'head'},
    )

    def start(variables: Variables, scale: Scale) -> State:
        width = len(scale.mean)
        head = {'kernel': jnp.zeros((width, classes)), 'bias': jnp.zeros(classes)}
        params = {'backbone': jax.tree.map(jnp.asarray, variables['params']), 'head': head}
        statistics = jax.tree.map(jnp.asarray, variables.get('batch_stats', {}))
        return State(params, statistics, optimiser.init(params), jnp.zeros((), jnp.int32), scale)

    def step(state: State, key: Key, x: Batch, y: jax.Array) -> tuple[State, jax.Array]:
        keys = jax.random.split(jax.random.fold_in(key, state.step), len(y))
        inputs = jax.vmap(view)(keys, x)

        def objective(params: dict[str, Tree]) -> tuple[jax.Array, Tree]:
            variables = {'params': params['backbone'], 'batch_stats': state.statistics}
            features, moved = network.apply(variables, inputs, train=True, mutable=['batch_stats'])
            scores = _classify(params['head'], features, state.scale)
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, y)
            return jnp.mean(losses), moved.get('batch_stats', {})

        (loss, statistics), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, moments = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, statistics, moments, state.step + 1, state.scale), loss

    def features(variables: Variables, x: Batch) -> jax.Array:
        found = network.apply(dict(variables), jax.vmap(plain)(x), train=False)
        return linalg.promote(found)

    def scores(state: State, x: Batch) -> jax.Array:
        variables = {'params': state.params['backbone'], 'batch_stats': state.statistics}
        return _classify(state.params['head'], features(variables, x), state.scale)

    return Programs(start, jax.jit(step), jax.jit(features), jax.jit(scores))


def identity(width: int) -> Scale:
    """The scale that leaves features as they are."""
    return Scale(jnp.zeros(width), jnp.ones(width))


def standardising(features: np.ndarray) -> Scale:
    """The scale that standardises features (N, F) and divides them by sqrt(F); constant ones become
    0.
    """
    chex.assert_rank(features, 2)
    mean, sd = features.mean(axis=0), features.std(axis=0)
    varies = sd > 1e-6 * np.abs(features).max(axis=0)
    factor = np.where(varies, 1 / np.where(varies, sd, 1.0), 0.0) / features.shape[1] ** 0.5
    return Scale(jnp.asarray(mean), jnp.asarray(factor, mean.dtype))


def order(count: int, own: Protocol, *, seed: int, epoch: int) -> np.ndarray:
    """The batches of an epoch: indices (steps, batch). What is left over, fewer examples than there
    are batches, changes from epoch to epoch.
    """
    shuffled = np.random.RandomState([seed, epoch]).permutation(count)
    return shuffled[: own.steps * own.batch_size].reshape(own.steps, own.batch_size)


def accuracies(scores: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Top-1 and top-5 in percent; ties, and NaN, count as wrong."""
    own = np.take_along_axis(scores, np.asarray(y)[:, None], axis=1)
    rank = np.sum(~(scores < own), axis=1) - 1
    return 100 * float(np.mean(rank < 1)), 100 * float(np.mean(rank < 5))


def _classify(head: dict[str, Any], features: jax.Array, scale: Scale) -> jax.Array:
    return (
        linalg.matmul((linalg.promote(features) - scale.mean) * scale.factor, head['kernel'])
        + (head['bias'])
    )


def _sgd(rate: float, own: Protocol) -> optax.GradientTransformation:
    return optax.sgd(optax.cosine_decay_schedule(rate, own.total), momentum=MOMENTUM)
