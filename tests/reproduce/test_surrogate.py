"""`reproduce surrogate`: its numbers against float64 oracles, and a short run of the whole
command."""

import json

import jax
import numpy as np
import pytest

from mi_ssl_jax.figures.paper import surrogate as figures
from mi_ssl_jax.methods import barlow
from mi_ssl_jax.reproduce import surrogate
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(3)
ZA = RNG.standard_normal((12, 3)) * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0]
ZB = ZA + 0.3 * RNG.standard_normal((12, 3))


def test_dot_critic_equals_oracle():
    """Eqs. 12, 13, 23 and Barlow Twins' loss by loops, on features standardised over the batch."""
    with goldens.x64():
        actual = jax.tree.map(float, surrogate.with_dot(ZA, ZB))
    a, b = (oracles.standardise(z, 1e-5) for z in (ZA, ZB))
    scores, between = a @ b.T, a.T @ b / len(a)
    negatives = oracles.off_diagonal(scores)
    mean = oracles.mean(negatives)
    variance = oracles.mean([(s - mean) ** 2 for s in negatives])
    redundant = sum(s * s for s in oracles.off_diagonal(between))
    expected = {
        'joint': oracles.mean(np.diagonal(scores)),
        'exact': oracles.log_mean_exp(negatives),
        'mean': mean,
        'variance': variance,
        'second_order': mean + variance / 2,
        'eq13': oracles.eq13(a, b),
        'squares': redundant,
        'barlow': sum((1 - np.diagonal(between)) ** 2) + 0.005 * redundant,
        'barlow_1': sum((1 - np.diagonal(between)) ** 2) + redundant,
        'chi_squared': 2 * oracles.mean(np.diagonal(scores))
        - oracles.mean([2 * s + s * s for s in negatives]),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(actual['exact'] - actual['joint'], -oracles.dv(scores), rtol=1e-9)


@pytest.mark.parametrize('temperature', surrogate.TEMPERATURES)
def test_cosine_critic_equals_oracle(temperature):
    with goldens.x64():
        actual = jax.tree.map(float, surrogate.with_cosine(ZA, ZB)[f'cosine {temperature:g}'])
    scores = oracles.cosine(ZA, ZB, temperature)
    np.testing.assert_allclose(actual['joint'] - actual['exact'], oracles.dv(scores), rtol=1e-9)
    np.testing.assert_allclose(
        actual['joint'] - actual['second_order'], oracles.taylor_dv(scores), rtol=1e-9
    )
    assert abs(actual['exact'] - actual['second_order']) <= actual['bound'] <= actual['range_bound']


def test_chi_squared_is_barlow_twins_at_weight_one_where_views_agree():
    """D - barlow = 2 tr C - |C|^2; E T^2 over all N^2 pairs, the joint ones too, is |C|^2 then."""
    with goldens.x64():
        found = jax.tree.map(float, surrogate.with_dot(ZA, ZA))
        other = jax.tree.map(float, surrogate.with_dot(ZA, ZB))
    n, width = ZA.shape
    a = (ZA - ZA.mean(0)) / np.sqrt(ZA.var(0) + 1e-5)
    own = np.sum(a * a, axis=1)
    # From off-diagonal means to means over all pairs.
    lost = np.mean(2 * own + own**2) / (n - 1)
    squares = np.sum((a.T @ a / n) ** 2)
    assert found['barlow_1'] == pytest.approx(width - 2 * np.trace(a.T @ a / n) + squares, rel=1e-9)
    expected = 2 * own.mean() - squares * n / (n - 1) + lost
    assert found['chi_squared'] == pytest.approx(expected, rel=1e-9)
    assert other['chi_squared'] != pytest.approx(width - other['barlow_1'], rel=1e-3)


def test_the_loss_is_the_one_that_is_trained():
    with goldens.x64():
        expected = barlow.barlow_loss(ZA, ZB, redundancy_weight=0.005)
        np.testing.assert_allclose(surrogate.with_dot(ZA, ZB)['barlow'], expected, rtol=1e-12)


@pytest.mark.slow
def test_a_short_run_measures_draws_and_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(surrogate, 'POINTS', 40)
    monkeypatch.setattr(surrogate, 'TILTS', 3)
    with tiny.hardly_optimised():
        surrogate.reproduce(workdir=tmp_path, seeds=2, epochs=2)
    found = json.loads((tmp_path / 'surrogate.json').read_text())
    assert [row['epoch'] for row in found['runs']['jmi']] == [0, 1, 2]
    first, last = (found['runs']['barlow'][place]['dot 0.1']['barlow'] for place in (0, -1))
    assert len(first) == 2 and np.mean(last) < np.mean(
        first
    )  # it is trained, and measured after each epoch
    assert figures.text(tmp_path / 'surrogate.json') in capsys.readouterr().out
    assert (tmp_path / 'figures' / 'surrogate.png').stat().st_size > 10_000
