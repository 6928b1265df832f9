"""Whole runs on graphs: what is measured on which nodes, what is refused, what BGRL learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import bgrl_sbm
from configs.base import digits
from mi_ssl_jax import augment, parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.data.generated import sbm
from mi_ssl_jax.evals import cosine_mi
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.runs import probes, run
from mi_ssl_jax.train import online_probe
from tests.helpers import tiny

NODES = 60


def config(folder, **changes) -> ConfigDict:
    """A block model and an encoder of a few nodes; two epochs."""
    small = bgrl_sbm.get_config()
    small.update(
        {
            'epochs': 2,
            'warmup_epochs': 0,
            'net': {'predictor': (6,)},
            'mi': {'every': 1},
            'probe': {'online': True},
        }
    )
    small.data.update(
        {
            'dir': str(folder),
            'options': {
                'nodes': NODES,
                'communities': 3,
                'within': 0.4,
                'features': 5,
                'train': 0.3,
            },
        }
    )
    small.net.options.gcn.widths = (8, 4)
    small.update(changes)
    return small


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """(setup, the trained variables of the one seed, the last line of metrics)."""
    folder, lines = tmp_path_factory.mktemp('graphs'), []
    with tiny.hardly_optimised():
        ready = run.run(config(folder), folder / 'run')
        population, _ = run.restore(ready, folder / 'run')
        lines = (folder / 'run' / 'metrics.jsonl').read_text().splitlines()
    return ready, population.first().variables, lines[-1]


def encoded(ready, variables, branch, graph):
    """(features, embeddings) of all nodes of one graph."""
    batch = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], graph)
    output = ready.method.branches[branch].net.apply(variables[branch], batch, train=False)
    return np.asarray(output.features), output.z


@pytest.mark.slow
def test_one_epoch_is_one_step_on_the_whole_graph(finished):
    ready, _, line = finished
    assert (ready.spec.steps_per_pass, ready.source.size, ready.source.rows) == (1, 1, NODES)
    assert '"step": {"e": 2}' in line and '"online_top1"' in line


@pytest.mark.slow
def test_probes_learn_from_the_training_nodes_and_are_tested_on_the_others(finished):
    ready, variables, _ = finished
    graph = sbm.draw(**ready.config.data.options)
    features, _ = encoded(ready, variables, 'online', ready.source.example)
    frozen = probes.backbone_features(ready, variables['online'], 'online')
    raw = probes.raw_inputs(ready.source)
    for found, rows in ((frozen, features), (raw, graph.features)):
        for x, y, own in (
            (found.train, found.train_y, graph.train),
            (found.test, found.test_y, ~graph.train),
        ):
            np.testing.assert_allclose(x, rows[own], rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(y, graph.labels[own])
    assert len(frozen.train) == 18


@pytest.mark.slow
def test_mutual_information_is_that_of_the_held_out_nodes(finished):
    ready, variables, _ = finished
    measured = experiments.measure(ready)(parallel.population([variables], ready.layout), {})
    key = jax.random.split(streams.evaluation(streams.VIEWS), 1)[0]
    made = augment.load('graph', **ready.config.views.options)(key, ready.source.example)
    held_out = ~sbm.draw(**ready.config.data.options).train
    za, zb = (
        encoded(ready, variables, branch, view)[1][held_out]
        for branch, view in (('online', made[0]), ('target', made[1]))
    )
    for name, value in cosine_mi.estimates(za, zb).items():
        np.testing.assert_allclose(measured['mi'][name], [value], rtol=1e-4)
    assert np.isfinite(measured['collapse']['online']['nn_gap']['mean']).all()


def test_two_devices_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        parallel, 'choose_devices', lambda count: tuple(jax.local_devices()[:1]) * 2
    )
    with pytest.raises(
        ValueError, match='sbm is one graph, which devices cannot share; set devices=1'
    ):
        experiments.setup(config(tmp_path))


def test_a_batch_of_two_is_refused(tmp_path):
    with pytest.raises(ValueError, match='batch_size=2, but sbm has 1 training examples'):
        experiments.setup(config(tmp_path, batch_size=2))


@pytest.mark.parametrize(
    'changes',
    [{'views': {'name': 'noise', 'options': {}}}, {'net': {'name': 'mlp'}}],
    ids=['views of points', 'a network of points'],
)
def test_what_takes_no_graphs_says_so(tmp_path, changes):
    other = config(tmp_path)
    other.views.options = ConfigDict() if 'views' in changes else other.views.options
    other.update(changes)
    with pytest.raises(ValueError, match=r"name='(noise|mlp)' cannot take what sbm holds"):
        experiments.setup(other)


@pytest.mark.parametrize(
    'field, message',
    [
        ('views', "views.name='graph' cannot take what digits holds"),
        ('net', 'a graph network takes graphs'),
    ],
)
def test_what_takes_graphs_alone_says_so(tmp_path, field, message):
    other = digits.base('jmi')
    other.data.dir, other[field].name = str(tmp_path), {'views': 'graph', 'net': 'gcn'}[field]
    with pytest.raises(ValueError, match=message):
        experiments.setup(other)


def test_the_online_probe_leaves_unknown_labels_out():
    """Nodes of label -1 change neither the classifier nor its accuracy."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(12, 4)).astype(np.float32), rng.integers(0, 3, 12)
    known = np.arange(12) % 3 > 0
    start = online_probe.Classifier(jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), jnp.zeros(3))
    whole = online_probe.step(start, features, jnp.asarray(np.where(known, labels, -1))[None], None)
    part = online_probe.step(start, features[known], jnp.asarray(labels[known]), None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, part)


@pytest.mark.slow
def test_bgrl_finds_the_communities(tmp_path):
    """Where the features say little, 15 points above them after a fifth of the configuration's
    steps."""
    chosen = bgrl_sbm.get_config()
    chosen.update({'epochs': 100, 'warmup_epochs': 10, 'data': {'dir': str(tmp_path)}})
    ready = run.run(chosen, tmp_path / 'run')
    population, _ = run.restore(ready, tmp_path / 'run')
    found = {
        row['encoder']: row['seeds'][0]
        for row in probes.probe(ready, population)['rows']
        if row['probe'] == 'linear'
    }
    assert found['raw inputs'] < 50
    assert (
        found['online'] > found['raw inputs'] + 15
        and found['online'] > found['untrained encoder (online)']
    )
