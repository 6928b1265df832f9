"""Linear probe on frozen features: learning rates and weight decays trained at once, one chosen,
refitted.

Features are standardised by the mean and standard deviation of all training features and divided by
sqrt(F), so a row has norm 1 on average and the same learning rates suit every width F.
Cross-entropy, SGD with momentum, weight decay added to the gradient (bias included), from zero
weights. The grid is chosen on a part of the training set alone.
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax.core import linalg

Array = np.ndarray | jax.Array

DECAYS = {'steps': 'x0.2 at 1/2, 2/3, 5/6', 'cosine': 'cosine to 0'}
SCORE_ROWS = 1024  # examples scored at a time
FEW = 10_000


class Settings(NamedTuple):
    """Settings of the probes' training. Except for the grid and its selection, the defaults are
    those of Tian et al. 2019.

    schedule: 'steps' (x 0.2 at epochs 30, 40, 50 of 60) or 'cosine'. folds: parts of the labelled
    examples, of which one is held out to choose from the grid; each takes its turn where there are
    at most `FEW` labels (measured on digits: 0.2 points better with all labels, 0.3 to 0.6 with 10
    a class). seed: of the parts and of the batches' order.
    """

    epochs: int = 60
    batch_size: int = 256
    momentum: float = 0.9
    schedule: str = 'steps'
    lrs: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    weight_decays: tuple[float, ...] = (0.0, 1e-5, 1e-4, 1e-3)
    folds: int = 5
    seed: int = 0


class Probe(NamedTuple):
    """Test accuracies in percent after the last epoch, means over label draws, and how they came
    about.
    """

    top1: float
    top5: float
    lr: float
    weight_decay: float
    protocol: str


class Classifiers(NamedTuple):
    """G linear classifiers."""

    kernel: jax.Array  # (F, G, C)
    bias: jax.Array  # (G, C)


def evaluate(
    train: Array,
    train_y: Array,
    test: Array,
    test_y: Array,
    *,
    classes: int,
    subsets: Array | None = None,
    settings: Settings = Settings(),
) -> Probe:
    """Probe of frozen features (N, F), (M, F) with integer labels (N,), (M,).

    Args:
        subsets: indices (draws, n) of the training examples whose labels are used; None for all.
        One
            learning rate and weight decay is chosen for all draws, by their pooled held-out
            accuracy.

    Raises:
        ValueError: an unknown schedule, fewer than two folds, or fewer labelled examples than
        folds.
    """
    chex.assert_rank([train, test, train_y, test_y], [2, 2, 1, 1])
    chex.assert_equal_shape_prefix([train, train_y], 1)
    chex.assert_equal_shape_prefix([test, test_y], 1)
    labelled = np.arange(len(train))[None] if subsets is None else np.asarray(subsets)
    _check(settings, labelled)
    train, test = standardise(train, test)
    train_y, test_y = jnp.asarray(train_y, jnp.int32), jnp.asarray(test_y, jnp.int32)
    grid = np.array([(lr, decay) for lr in settings.lrs for decay in settings.weight_decays])

    def scores(indices, rates, *held_out):
        classifiers = fit(train, train_y, indices, *rates.T, classes=classes, settings=settings)
        return jax.tree.map(np.asarray, score(classifiers, *held_out))

    fitted, held = _folds(np.asarray(train_y), labelled, settings)
    top1, _, loss = scores(fitted, grid, train, train_y, held)
    best = np.lexsort((loss.mean(axis=0), -top1.mean(axis=0)))[
        0
    ]  # of equal accuracy: the lower loss
    everyone = np.broadcast_to(np.arange(len(test)), (len(labelled), len(test)))
    top1, top5, _ = scores(labelled, grid[best : best + 1], test, test_y, everyone)
    draws, n = labelled.shape
    labels = f'all {n} labels' if subsets is None else f'{n} labels, mean of {draws} draws'
    return Probe(
        100 * float(top1.mean()),
        100 * float(top5.mean()),
        float(grid[best][0]),
        float(grid[best][1]),
        f'{describe(settings, n)}; {labels}',
    )


def describe(settings: Settings, n: int) -> str:
    """The protocol with n labelled examples in one line."""
    few = _rounds(settings, n) > 1
    choice = f'by {settings.folds}-fold cross-validation on' if few else f'on 1/{settings.folds} of'
    return (
        'linear probe on frozen features, standardised by training statistics and / sqrt(F);'
        f' cross-entropy, SGD momentum {settings.momentum}, batch {settings.batch_size},'
        f' {settings.epochs} epochs, {DECAYS[settings.schedule]}; {len(settings.lrs)} learning'
        f' rates x {len(settings.weight_decays)} weight decays, chosen {choice} the training'
        ' labels, refitted on all of them; last epoch'
    )


@jax.jit
def standardise(train: chex.Array, test: chex.Array) -> tuple[jax.Array, jax.Array]:
    """Standardise features by the training features' mean and standard deviation, divided by
    sqrt(F); constant features become 0.
    """
    train, test = linalg.promote(train), linalg.promote(test)
    mean, sd = jnp.mean(train, axis=0), jnp.std(train, axis=0)
    varies = sd > 1e-6 * jnp.max(jnp.abs(train), axis=0)
    scale = jnp.where(varies, 1 / jnp.where(varies, sd, 1.0), 0.0) / train.shape[1] ** 0.5
    return (train - mean) * scale, (test - mean) * scale


@functools.partial(jax.jit, static_argnames=('classes', 'settings'))
def fit(
    x: chex.Array,
    y: chex.Array,
    indices: chex.Array,
    lrs: chex.Array,
    weight_decays: chex.Array,
    *,
    classes: int,
    settings: Settings,
) -> Classifiers:
    """Classifiers (draws, F, G, C) and (draws, G, C) of each draw, for learning rates and decays
    (G,) each.

    All see the same batches of x[indices[draw]]; indices (draws, n). A pass is cut into equal
    batches of at most `batch_size`; what is left over, fewer examples than there are batches,
    changes from pass to pass.
    """
    n, lrs, weight_decays = (
        indices.shape[1],
        jnp.asarray(lrs, x.dtype),
        jnp.asarray(weight_decays, x.dtype),
    )
    steps = -(-n // settings.batch_size)
    size, total = n // steps, settings.epochs * steps
    grid = (len(lrs), classes)
    zeros = Classifiers(jnp.zeros((x.shape[1], *grid), x.dtype), jnp.zeros(grid, x.dtype))

    def step(carry, inputs):
        weights, momentum = carry
        batch, factor = inputs
        gradient = jax.grad(_total_loss)(weights, x[batch], y[batch])
        decayed = jax.tree.map(lambda g, w: g + weight_decays[:, None] * w, gradient, weights)
        momentum = jax.tree.map(lambda m, g: settings.momentum * m + g, momentum, decayed)
        return (
            jax.tree.map(lambda w, m: w - factor * lrs[:, None] * m, weights, momentum),
            momentum,
        ), None

    def epoch(own, carry, inputs):
        key, factors = inputs
        batches = jax.random.permutation(key, own)[: steps * size].reshape(steps, size)
        return jax.lax.scan(step, carry, (batches, factors))

    keys = jax.random.split(jax.random.PRNGKey(settings.seed), settings.epochs)
    factors = (
        _schedule(jnp.arange(total) / total, settings)
        .reshape(settings.epochs, steps)
        .astype(x.dtype)
    )

    def one(own):
        return jax.lax.scan(functools.partial(epoch, own), (zeros, zeros), (keys, factors))[0][0]

    return jax.vmap(one)(indices)


def _schedule(progress: jax.Array, settings: Settings) -> jax.Array:
    if settings.schedule == 'cosine':
        return (1 + jnp.cos(jnp.pi * progress)) / 2
    marks = jnp.asarray([1 / 2, 2 / 3, 5 / 6])
    return 0.2 ** jnp.sum(progress[..., None] >= marks, axis=-1)


def _logits(weights: Classifiers, x: jax.Array) -> jax.Array:
    """(B, G, C), as one matrix product for the whole grid."""
    features, grid, classes = weights.kernel.shape
    flat = linalg.matmul(x, weights.kernel.reshape(features, -1))
    return flat.reshape(-1, grid, classes) + weights.bias


def _total_loss(weights: Classifiers, x: jax.Array, y: jax.Array) -> jax.Array:
    """Sum over the grid of the mean cross-entropies: its gradient is each classifier's own."""
    logits = jax.nn.log_softmax(_logits(weights, x))
    return -jnp.sum(jnp.mean(jnp.take_along_axis(logits, y[:, None, None], axis=2), axis=0))


@jax.jit
def score(
    classifiers: Classifiers, x: chex.Array, y: chex.Array, indices: chex.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Shares right in the first 1 and 5, and loss, (draws, G) each, on each draw's
    x[indices[draw]].
    """

    def example(weights, index):
        logits = jax.nn.log_softmax(_logits(weights, x[index][None])[0])
        own = logits[:, y[index]]
        # Classes not below the right one: ties, and the NaN of a diverged classifier, count as
        # wrong.
        rank = jnp.sum(~(logits < own[:, None]), axis=1) - 1
        return rank < 1, rank < 5, -own

    def one(weights, own):
        results = jax.lax.map(
            functools.partial(example, weights), own, batch_size=min(SCORE_ROWS, len(own))
        )
        return tuple(jnp.mean(result, axis=0, dtype=x.dtype) for result in results)

    return jax.vmap(one)(classifiers, indices)


def _folds(
    y: np.ndarray, labelled: np.ndarray, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """(draws, n) -> indices to fit on and indices held out, (rounds * draws, ...) each.

    Every `folds`-th of the shuffled and then class-sorted examples is held out, so each class has
    its share.
    """
    rng, folds = np.random.RandomState(settings.seed), settings.folds
    fitted, held = [], []
    for own in labelled:
        own = rng.permutation(own)[
            : len(own) // folds * folds
        ]  # equal folds: at most folds - 1 sit out
        own = own[np.argsort(y[own], kind='stable')]
        for turn in range(_rounds(settings, labelled.shape[1])):
            out = np.arange(len(own)) % folds == turn
            fitted.append(own[~out])
            held.append(own[out])
    return np.stack(fitted), np.stack(held)


def _rounds(settings: Settings, n: int) -> int:
    return settings.folds if n <= FEW else 1


def _check(settings: Settings, labelled: np.ndarray) -> None:
    if settings.schedule not in DECAYS:
        raise ValueError(f'unknown schedule {settings.schedule!r}: use one of {", ".join(DECAYS)}')
    if settings.folds < 2 or labelled.shape[1] < settings.folds:
        raise ValueError(
            f'{labelled.shape[1]} labelled examples cannot be cut into {settings.folds} folds: '
            'use at least 2 folds and at least that many labels'
        )
