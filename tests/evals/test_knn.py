"""Weighted kNN against the golden values of DINO's classifier and a float64 oracle."""

import functools

import chex
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax.evals import knn
from tests.helpers import goldens


def unit(x):
    x = x.astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def data(seed=0, n=90, m=31, classes=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n + m).astype(np.int32)
    x = (rng.normal(size=(classes, 8))[y] + rng.normal(size=(n + m, 8))).astype(np.float32)
    return x[:n], y[:n], x[n:], y[n:]


def oracle(train, y, test, classes, k, temperature):
    """Votes of the k nearest, example by example, relative to the nearest one's."""
    votes = np.zeros((len(test), classes))
    for i, cosines in enumerate(unit(test) @ unit(train).T):
        for j in np.argsort(-cosines)[:k]:
            votes[i, y[j]] += np.exp((cosines[j] - cosines.max()) / temperature)
    return votes


@pytest.mark.parametrize('case', list(goldens.cases('evals_knn')), ids=lambda case: case.id)
def test_golden(case):
    with goldens.x64():
        inputs, k, temperature = case.inputs, case.args['k'], case.args['T']
        train, test = inputs['train'], inputs['test']
        options = dict(classes=case.args['num_classes'], k=k, temperature=temperature)
        result = knn.evaluate(train, inputs['train_y'], test, inputs['test_y'], **options)
        votes = np.asarray(knn.scores(train, inputs['train_y'], test, **options))
    goldens.assert_value([result.top1, result.top5], [case.outputs['top1'], case.outputs['top5']])
    np.testing.assert_array_equal(np.argmax(votes, axis=1), case.outputs['pred'])
    # The stored votes are not relative to the nearest neighbour.
    nearest = np.max(unit(test) @ unit(train).T, axis=1)
    goldens.assert_value(
        np.max(votes, axis=1) * np.exp(nearest / temperature), case.outputs['score_max']
    )


class KnnTest(chex.TestCase):
    # float32: cosines to some 2e-7, divided by the temperature.
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.product(k=(1, 7, 90), temperature=(1.0, 0.07), block_size=(4, 1000))
    def test_votes_equal_the_definition(self, k, temperature, block_size):
        train, y, test, _ = data()
        votes = self.variant(
            functools.partial(
                knn.scores, classes=6, k=k, temperature=temperature, block_size=block_size
            )
        )(train, y, test)
        np.testing.assert_allclose(
            votes, oracle(train, y, test, 6, k, temperature), rtol=3e-5, atol=1e-6
        )

    def test_accuracy_equals_the_definition(self):
        train, y, test, test_y = data(classes=12)
        result = knn.evaluate(train, y, test, test_y, classes=12, k=9, temperature=0.1)
        votes = oracle(train, y, test, 12, 9, 0.1)
        order = np.argsort(-votes, axis=1, kind='stable')
        hits = (order == test_y[:, None]) & (np.take_along_axis(votes, order, axis=1) > 0)
        np.testing.assert_allclose(result.top1, 100 * hits[:, 0].mean())
        np.testing.assert_allclose(result.top5, 100 * hits[:, :5].any(axis=1).mean())
        assert result.top1 < result.top5 < 100

    def test_k_above_the_training_set_is_all_of_it(self):
        train, y, test, test_y = data()
        everyone, more = (
            knn.evaluate(train, y, test, test_y, classes=6, k=k, temperature=0.1) for k in (90, 200)
        )
        assert everyone == more and 'k = 90' in more.protocol

    def test_cold_votes_are_finite(self):
        """At temperature 0.001 e^{cos / T} is e^1000; the coldest vote is the nearest
        neighbour's."""
        train, y, test, _ = data()
        votes = knn.scores(train, y, test, classes=6, k=20, temperature=0.001)
        assert np.isfinite(votes).all()
        nearest = np.argmax(unit(test) @ unit(train).T, axis=1)
        np.testing.assert_array_equal(np.argmax(votes, axis=1), y[nearest])

    def test_labels_of_the_test_set_do_not_vote(self):
        train, y, test, _ = data()
        same = knn.evaluate(train, y, train, y, classes=6, k=1, temperature=0.1)
        assert same.top1 == 100
        wrong = knn.evaluate(train, y, train, (y + 1) % 6, classes=6, k=1, temperature=0.1)
        assert wrong.top1 == wrong.top5 == 0

    @parameterized.parameters((0, 0.1), (3, 0.0), (3, float('nan')))
    def test_bad_input(self, k, temperature):
        train, y, test, test_y = data()
        with self.assertRaisesRegex(ValueError, 'at least 1'):
            knn.evaluate(train, y, test, test_y, classes=6, k=k, temperature=temperature)
