"""Figures without labels: against slow float64 oracles, beside MI at every evaluation, and the
choice of a checkpoint by them."""

import functools
import json

import jax
import numpy as np
import pytest

from mi_ssl_jax.core import sphere, streams
from mi_ssl_jax.evals import label_free, monitor
from mi_ssl_jax.figures.label_free import FIGURES, promise
from mi_ssl_jax.runs import recording
from tests.evals.test_monitor import CENTRES, LABELS, POINTS, views
from tests.helpers import oracles, tiny

NAMES = tuple(FIGURES)


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


def made(count, width, seed):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_each_figure_equals_its_oracle():
    features, pair = made(300, 12, 0), (made(700, 6, 1), made(700, 6, 2))
    draws = made(7 * 10, 12, 3).reshape(7, 10, 12)
    compute = jax.jit(functools.partial(label_free.figures, NAMES))
    found = compute(features=features, pair=pair, draws=draws)
    expected = {
        'rankme': oracles.effective_rank(features),
        'lidar': oracles.lidar(draws),
        'alpha_req': oracles.alpha_req(features),
        'alignment': oracles.alignment(*pair),
        'uniformity': np.mean([oracles.uniformity(z, 2.0) for z in pair]),
    }
    assert found.keys() == expected.keys() == set(NAMES)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)


def test_rankme_takes_as_many_examples_as_it_needs(monkeypatch):
    monkeypatch.setattr(label_free, 'MOST', 50)
    features = made(300, 12, 0)
    compute = jax.jit(functools.partial(label_free.figures, ('rankme',), pair=(), draws=None))
    found = compute(features=features)
    np.testing.assert_allclose(found['rankme'], oracles.effective_rank(features[::6]), rtol=1e-4)


def measured(name, *, names=NAMES, seeds=1, labels=LABELS, batch_size=10):
    """(a line of the monitor, the method, the first seed's variables)."""
    layout = tiny.one_device(seeds=seeds)
    spec = tiny.experiment(name, layout)
    population = tiny.initial(spec)
    held_out = monitor.HeldOut(POINTS, labels, tiny.CLASSES, views, lambda x: x, CENTRES)
    measure = monitor.make(
        spec.method,
        layout,
        held_out,
        temperature=0.5,
        batch_size=batch_size,
        label_free_names=names,
    )
    variables = population.map(lambda state: state.variables)
    line = measure(variables, population.map(lambda state: state.lagged), start=True)
    return line, spec.method, variables.first()


@pytest.mark.parametrize('name', ['sdmi', 'jmi', 'simsiam'])
def test_an_evaluation_holds_the_figures_of_every_branch(name, monkeypatch):
    """Of examples with a label alone; LiDAR of the first and second views of five draws."""
    monkeypatch.setattr(label_free, 'SAMPLES', 20)
    labels = LABELS.copy()
    labels[5] = -1
    known = labels >= 0
    line, method, variables = measured(name, labels=labels)
    branches = {method.tracked.a, method.tracked.b}
    assert line['label_free'].keys() == branches
    keys = jax.random.split(streams.evaluation(streams.VIEWS), len(POINTS))
    first, second, _ = jax.vmap(views)(keys, POINTS)
    chosen = np.arange(20) * len(POINTS) // 20
    keys = jax.random.split(streams.evaluation(streams.VIEWS), 100)
    drawn = jax.vmap(views)(keys, np.tile(POINTS[chosen], (5, 1)))[:2]
    for branch in branches:
        own = variables[branch]

        def encode(x, branch=branch, own=own):
            return method.branches[branch](own, x)

        samples = np.stack([encode(view).features for view in drawn])
        samples = samples.reshape(10, 20, -1).swapaxes(0, 1)[labels[chosen] >= 0]
        pair = [np.asarray(encode(view).z)[known] for view in (first, second)]
        features = np.asarray(encode(POINTS).features)[known]
        expected = {
            'rankme': oracles.effective_rank(features),
            'lidar': oracles.lidar(samples),
            'alpha_req': np.nan,  # a linear layer on the plane: two directions, of ranks 1 and 2
            'alignment': oracles.alignment(*pair),
            'uniformity': np.mean([sphere.uniformity(z) for z in pair]),
        }
        for figure, value in expected.items():
            np.testing.assert_allclose(
                line['label_free'][branch][figure], [value], rtol=1e-3, err_msg=figure
            )


def test_two_seeds_have_each_their_own():
    line, *_ = measured('jmi', seeds=2, names=('rankme', 'alignment'))
    alone, *_ = measured('jmi', names=('rankme', 'alignment'))
    own = line['label_free']['theta']
    assert own.keys() == {'rankme', 'alignment'} and own['rankme'].shape == (2,)
    for name, values in own.items():
        np.testing.assert_allclose(values[:1], alone['label_free']['theta'][name], rtol=1e-5)
        assert values[0] != values[1]


def test_nothing_is_measured_unless_it_is_asked_for():
    line, *_ = measured('jmi', names=())
    assert 'label_free' not in line


@pytest.mark.parametrize(
    'name, values, best',
    [
        ('rankme', [3.0, 9.0, 5.0], 1),
        ('lidar', [3.0, 1.0, 5.0], 2),
        ('alpha_req', [0.4, 1.3, 0.9], 2),
        ('alignment', [0.5, 0.2, 0.9], 1),
        ('uniformity', [-1.0, -3.0, -2.0], 1),
    ],
)
def test_the_best_checkpoint_is_that_of_the_better_figure(name, values, best):
    lines = [{'label_free': {'theta': {name: [value, value]}}} for value in values]
    found = [recording._figure(line, name, ['theta']) for line in lines]
    assert int(np.argmax(found)) == best
    assert np.argmax(promise(FIGURES[name], np.array(values))) == best


def test_only_branches_that_are_trained_choose():
    line = {'label_free': {'online': {'rankme': [4.0]}, 'target': {'rankme': [100.0]}}}
    assert recording._figure(line, 'rankme', ['online']) == 4.0
    assert np.isnan(recording._figure({}, 'rankme', ['online']))


@pytest.mark.usefixtures('own_data_dir')
@pytest.mark.slow
def test_a_run_keeps_the_checkpoint_that_its_figure_chooses(tmp_path):
    from mi_ssl_jax.figures import one_run, report
    from mi_ssl_jax.runs import run
    from tests.helpers import runs

    config = runs.small('jmi', on='digits', epochs=3, warmup_epochs=0)
    config.net.name, config.net.options.mlp = 'mlp', {'widths': (16, 8)}
    config.mi.every, config.mi.examples, config.mi.label_free = 1, 60, NAMES
    config.checkpoint.best = 'alignment'
    ready = run.run(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    values = {
        line['epoch']: np.mean(line['label_free']['theta']['alignment'])
        for line in lines
        if 'label_free' in line
    }
    assert len(values) == 4
    _, progress = run.restore(ready, tmp_path, best=True)
    assert progress['epoch'] == min(values, key=values.get)
    assert tmp_path / 'figures' / 'label_free.png' in one_run.draw(tmp_path)
    text = report.write(tmp_path).read_text()
    assert '| LiDAR | theta |' in text and '| near 1 |' in text
