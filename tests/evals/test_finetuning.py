"""The protocol's numbers, the steps against plain numpy, and what counts as right."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from mi_ssl_jax.evals import finetuning, linear

RNG = np.random.default_rng(3)


class Plane(nn.Module):
    """A backbone of one matrix."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(3, use_bias=False, name='w')(x)


def test_all_labels_have_one_rate_that_grows_with_the_batch():
    own = finetuning.protocol(50_000, 50_000, scratch=False)
    assert own.epochs == 30 and own.steps == 196 and own.batch_size == 255
    assert own.backbone_lr == own.head_lr == pytest.approx(0.05 * 255 / 256)
    assert not own.standardised and own.total == 30 * 196
    assert own == finetuning.protocol(50_000, 50_000, scratch=True)


def test_few_labels_have_a_rate_each_and_enough_steps():
    one = finetuning.protocol(12_811, 1_281_167, scratch=False)  # 1 % of ImageNet
    assert (one.epochs, one.backbone_lr, one.head_lr) == (20, 0.005, 10.0) and one.standardised
    ten = finetuning.protocol(128_116, 1_281_167, scratch=False)
    assert (ten.epochs, ten.backbone_lr, ten.head_lr) == (20, 0.005, 20.0)
    tiny = finetuning.protocol(100, 50_000, scratch=False)
    assert (tiny.steps, tiny.batch_size, tiny.epochs) == (1, 100, 1000)


def test_random_weights_learn_as_with_all_labels_but_as_long():
    own = finetuning.protocol(1000, 50_000, scratch=True)
    assert own.backbone_lr == own.head_lr == pytest.approx(0.05 * 250 / 256)
    assert not own.standardised and own.epochs == 250


def test_numbers_that_are_given_replace_the_protocols():
    own = finetuning.protocol(
        100, 200, scratch=False, batch_size=32, epochs=3, backbone_lr=0.1, head_lr=0.2
    )
    assert own == finetuning.Protocol(3, 4, 25, 0.1, 0.2, True)
    assert '3 epochs (12 steps)' in finetuning.describe(own) and '0.1 (b' in finetuning.describe(
        own
    )


@pytest.mark.parametrize('count, batch', [(1, 256), (100, 1)])
def test_one_example_is_refused(count, batch):
    with pytest.raises(ValueError, match='needs two of both'):
        finetuning.protocol(count, 1000, scratch=False, batch_size=batch)


def test_an_epoch_shows_every_example_once_in_equal_batches():
    own = finetuning.protocol(103, 103, scratch=False, batch_size=20)
    first, second = (finetuning.order(103, own, seed=0, epoch=epoch) for epoch in (0, 1))
    assert first.shape == (6, 17) and len(np.unique(first)) == 102
    assert (first != second).any()
    np.testing.assert_array_equal(first, finetuning.order(103, own, seed=0, epoch=0))
    assert (first != finetuning.order(103, own, seed=1, epoch=0)).any()


def test_the_scale_is_that_of_the_probe():
    x = (3 + 2 * RNG.normal(size=(50, 4))).astype(np.float32)
    x[:, 2] = 1.5  # constant
    scale = finetuning.standardising(x)
    expected, _ = linear.standardise(x, x)
    np.testing.assert_allclose((x - scale.mean) * scale.factor, expected, atol=1e-6)


def test_steps_equal_numpy():
    """Two rates, momentum, a cosine: PyTorch's SGD by hand, in float64."""
    own = finetuning.Protocol(2, 2, 4, backbone_lr=0.3, head_lr=0.7, standardised=True)
    x = RNG.normal(size=(4, 5)).astype(np.float32)
    y = np.array([0, 1, 1, 2], np.int32)
    network = Plane()
    variables = network.init(jax.random.PRNGKey(0), x, train=False)
    scale = finetuning.Scale(np.float32([0.1, 0.2, 0.3]), np.float32([1.0, 2.0, 0.5]))
    programs = finetuning.compile_programs(
        network, view=lambda key, example: example, plain=lambda e: e, own=own, classes=3
    )
    state, key = programs.start(variables, scale), jax.random.PRNGKey(1)
    weights = np.float64(variables['params']['w']['kernel'])
    head, bias = np.zeros((3, 3)), np.zeros(3)
    moments = [np.zeros_like(leaf) for leaf in (weights, head, bias)]
    for number in range(own.total):
        features = (x @ weights - scale.mean) * scale.factor
        scores = features @ head + bias
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(4), y]).mean()
        error = (p - np.eye(3)[y]) / 4
        gradients = [
            x.T @ ((error @ head.T) * scale.factor),
            features.T @ error,
            error.sum(axis=0),
        ]
        factor = (1 + np.cos(np.pi * number / own.total)) / 2
        moments = [0.9 * old + new for old, new in zip(moments, gradients)]
        weights = weights - 0.3 * factor * moments[0]
        head, bias = head - 0.7 * factor * moments[1], bias - 0.7 * factor * moments[2]
        state, found = programs.step(state, key, x, y)
        np.testing.assert_allclose(found, loss, rtol=1e-5)
    params = state.params
    np.testing.assert_allclose(params['backbone']['w']['kernel'], weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(params['head']['kernel'], head, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(params['head']['bias'], bias, rtol=1e-4, atol=1e-6)
    expected = (x @ weights - scale.mean) * scale.factor @ head + bias
    np.testing.assert_allclose(programs.scores(state, x), expected, rtol=1e-4, atol=1e-5)


def test_accuracies_count_ties_and_nan_as_wrong():
    scores = np.float32(
        [
            [3, 2, 1, 0, -1, -2],  # right
            [2, 3, 1, 0, -1, -2],  # second
            [-9, 3, 1, 0, -1, -2],  # sixth
            [1, 1, 0, 0, 0, 0],  # a tie for the first place
            [np.nan] * 6,
        ]
    )
    top1, top5 = finetuning.accuracies(scores, np.zeros(5, np.int32))
    assert (top1, top5) == (20.0, 60.0)
