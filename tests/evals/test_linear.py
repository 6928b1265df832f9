"""The linear probe: its SGD against float64 numpy, its choice, and real digits."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from sklearn import datasets

from mi_ssl_jax.data import splits
from mi_ssl_jax.evals import linear

FAST = linear.Settings(epochs=12, batch_size=64, lrs=(1.0, 10.0), weight_decays=(0.0, 1e-3))


@functools.cache
def digits():
    """Pixels and labels of scikit-learn's digits: 1437 to train on, 360 held out."""
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(x))
    x, y = np.rint(x[order] * 255 / 16).astype(np.float32), y[order].astype(np.int32)
    return x[:1437], y[:1437], x[1437:], y[1437:]


def blobs(n=200, classes=4, width=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n).astype(np.int32)
    return (rng.normal(size=(classes, width))[y] + rng.normal(size=(n, width))).astype(
        np.float32
    ), y


def few(y, draws):
    return np.stack([splits.few_labels(y, per_class=10, draw=draw) for draw in range(draws)])


def sgd(x, y, own, lr, decay, classes, settings):
    """One classifier on x[own], step by step in float64, on the batches of `linear.fit`."""
    steps = -(-len(own) // settings.batch_size)
    size, total = len(own) // steps, steps * settings.epochs
    weights, velocity = (np.zeros((x.shape[1] + 1, classes)) for _ in range(2))
    x = np.concatenate([x.astype(np.float64), np.ones((len(x), 1))], axis=1)
    for epoch, key in enumerate(
        jax.random.split(jax.random.PRNGKey(settings.seed), settings.epochs)
    ):
        order = np.asarray(jax.random.permutation(key, own))
        for step in range(steps):
            batch, done = order[step * size : (step + 1) * size], (epoch * steps + step) / total
            probabilities = np.exp(x[batch] @ weights)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            gradient = (
                x[batch].T @ (probabilities - np.eye(classes)[y[batch]]) / size + decay * weights
            )
            velocity = settings.momentum * velocity + gradient
            factor = (
                (1 + np.cos(np.pi * done)) / 2
                if settings.schedule == 'cosine'
                else 0.2 ** ((done >= 30 / 60) + (done >= 40 / 60) + (done >= 50 / 60))
            )
            weights = weights - lr * factor * velocity
    return weights


class FitTest(chex.TestCase):
    # Some 100 float32 steps of a contraction: rounding stays near 1e-6 of the weights.
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.product(schedule=('steps', 'cosine'), batch_size=(30, 1000))
    def test_equals_numpy(self, schedule, batch_size):
        x, y = blobs()
        settings = linear.Settings(epochs=18, batch_size=batch_size, schedule=schedule)
        subsets = np.random.default_rng(1).permutation(200)[:140].reshape(2, 70)
        fit = self.variant(functools.partial(linear.fit, classes=4, settings=settings))
        fitted = fit(x, y, subsets, np.array([0.5, 0.1]), np.array([1e-3, 0.1]))
        chex.assert_shape(fitted, [(2, 6, 2, 4), (2, 2, 4)])
        for draw, own in enumerate(subsets):
            for g, (lr, decay) in enumerate([(0.5, 1e-3), (0.1, 0.1)]):
                expected = sgd(x, y, own, lr, decay, 4, settings)
                actual = np.concatenate([fitted.kernel[draw, :, g], fitted.bias[draw, g][None]])
                np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)

    def test_sweep_equals_separate_runs(self):
        """The same accuracies to 0.1 points, learning rate by learning rate and decay by decay."""
        train, y, test, test_y = digits()
        train, test = linear.standardise(train, test)
        grid = np.array([(lr, decay) for lr in (1.0, 10.0, 30.0) for decay in (0.0, 1e-4)])
        everyone = np.arange(len(test))[None]

        def accuracies(rates):
            fitted = linear.fit(
                train, y, np.arange(1437)[None], *rates.T, classes=10, settings=linear.Settings()
            )
            return 100 * np.asarray(linear.score(fitted, test, test_y, everyone)[:2])[:, 0]

        together = accuracies(grid)
        for g in range(len(grid)):
            np.testing.assert_allclose(together[:, g], accuracies(grid[g : g + 1])[:, 0], atol=0.1)
        assert np.ptp(together[0]) > 0.5  # the grid matters, so equality says something


class ScoreTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_numpy(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 9, 50).astype(np.int32)
        kernel, bias = rng.normal(size=(2, 3, 4, 9)), rng.normal(size=(2, 4, 9))
        indices = rng.integers(0, 50, (2, 30))
        classifiers = linear.Classifiers(
            jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32)
        )
        top1, top5, loss = self.variant(linear.score)(classifiers, x, y, indices)
        for draw in range(2):
            for g in range(4):
                logits = x[indices[draw]] @ kernel[draw, :, g] + bias[draw, g]
                order, own = np.argsort(-logits, axis=1), y[indices[draw]]
                np.testing.assert_allclose(top1[draw, g], np.mean(order[:, 0] == own), rtol=1e-6)
                found = (order[:, :5] == own[:, None]).any(axis=1)
                np.testing.assert_allclose(top5[draw, g], np.mean(found), rtol=1e-6)
                losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(30), own]
                np.testing.assert_allclose(loss[draw, g], losses.mean(), rtol=1e-5)

    @parameterized.parameters(0.0, float('nan'))
    def test_undecided_is_wrong(self, weight):
        """All classes equal, or a classifier that diverged."""
        x, y = blobs()
        classifiers = linear.Classifiers(jnp.full((1, 6, 1, 8), weight), jnp.zeros((1, 1, 8)))
        top1, top5, _ = linear.score(classifiers, x, y, np.arange(200)[None])
        assert top1 == 0 and top5 == 0


class StandardiseTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_training_statistics(self):
        rng = np.random.default_rng(0)
        train = (5 + 3 * rng.normal(size=(400, 7))).astype(np.float32)
        train[:, 2] = 4.0
        test = rng.normal(size=(10, 7)).astype(np.float32)
        actual, moved = self.variant(linear.standardise)(train, test)
        np.testing.assert_allclose(actual.mean(axis=0), 0, atol=1e-6)
        # Six of the seven features vary: rows have mean squared norm 6 / 7.
        np.testing.assert_allclose(np.mean(np.sum(np.square(actual), axis=1)), 6 / 7, rtol=1e-5)
        sd = train.std(axis=0)
        expected = (test - train.mean(axis=0)) / np.where(sd > 0, sd, np.inf) / 7**0.5
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6)

    def test_scale_of_the_features_does_not_matter(self):
        train, y, test, test_y = (a[:300] for a in digits())
        results = [
            linear.evaluate(train * scale, y, test * scale, test_y, classes=10, settings=FAST)
            for scale in (1.0, 1024.0)
        ]
        assert results[0] == results[1]


class ChoiceTest(parameterized.TestCase):
    def test_digits(self):
        """Raw pixels: logistic regression reaches 97.5 % on this split with all labels, 89 % with
        10 a class."""
        train, y, test, test_y = digits()
        everything = linear.evaluate(train, y, test, test_y, classes=10)
        little = linear.evaluate(train, y, test, test_y, classes=10, subsets=few(y, draws=5))
        np.testing.assert_allclose(everything.top1, 97.5, atol=1.0)
        np.testing.assert_allclose(little.top1, 89.5, atol=2.0)
        assert little.top1 < little.top5 and everything.top5 > 99
        assert (
            'all 1437 labels' in everything.protocol
            and '100 labels, mean of 5 draws' in little.protocol
        )

    def test_test_labels_have_no_say(self):
        x, y = blobs(300)
        run = functools.partial(
            linear.evaluate, x[:200], y[:200], x[200:], classes=4, settings=FAST
        )
        right, wrong = run(y[200:]), run((y[200:] + 1) % 4)
        assert right[2:] == wrong[2:]
        assert right.top1 > 60 > 40 > wrong.top1

    def test_only_labels_of_the_subsets_are_used(self):
        x, y = blobs(300)
        subsets = few(y[:200], draws=3)
        hidden = np.full(200, 3, np.int32)
        hidden[subsets.ravel()] = y[subsets.ravel()]
        run = functools.partial(
            linear.evaluate,
            x[:200],
            test=x[200:],
            test_y=y[200:],
            classes=4,
            subsets=subsets,
            settings=FAST,
        )
        assert run(train_y=y[:200]) == run(train_y=hidden)

    def test_equal_calls_give_equal_results(self):
        x, y = blobs(300)
        run = functools.partial(
            linear.evaluate, x[:200], y[:200], x[200:], y[200:], classes=4, settings=FAST
        )
        assert run() == run()

    @parameterized.parameters((5, 5), (linear.FEW + 2, 1))
    def test_folds(self, n, rounds):
        """Each class has its share of every fold; each example is held out once, or one fold is
        held out once."""
        y = np.repeat(np.arange(5), -(-n // 5))[:n] if n > 5 else np.arange(5)
        fitted, held = linear._folds(y, np.arange(n)[None], linear.Settings())
        assert len(fitted) == len(held) == rounds
        for inside, outside in zip(fitted, held):
            assert len(np.unique([*inside, *outside])) == n // 5 * 5 and len(outside) == n // 5
        if n > 5:
            assert np.ptp(np.bincount(y[held[0]])) <= 2

    @parameterized.parameters(
        (dict(schedule='linear'), 'steps, cosine'),
        (dict(folds=1), 'folds'),
        (dict(folds=201), 'folds'),
    )
    def test_bad_settings(self, change, message):
        x, y = blobs()
        with self.assertRaisesRegex(ValueError, message):
            linear.evaluate(x, y, x, y, classes=4, settings=FAST._replace(**change))
