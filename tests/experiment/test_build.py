"""From a configuration to an experiment: shares of a batch, batch norm, learning rates."""

import jax
import pytest

from configs.base import common, methods
from mi_ssl_jax import parallel
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.train import state
from tests.helpers import tiny


@pytest.mark.parametrize('rule, factor', [('none', 1), ('linear', 4), ('sqrt', 2)])
def test_learning_rates_scale_with_the_batch(rule, factor):
    config = common.base()
    config.lr, config.batch_size, config.lr_scaling = 0.3, 1024, rule
    assert experiments.learning_rate(config) == pytest.approx(0.3 * factor, rel=1e-15)
    config.batch_size = 256
    assert experiments.learning_rate(config) == 0.3


def small(method='mocov2', **changes):
    """Points, a network with batch norm, a batch of 16."""
    config = common.base()
    config.data.name, config.data.limit, config.views.name = 'gaussian', 64, 'noise'
    config.batch_size, config.epochs, config.net.name, config.net.projector = 16, 2, 'mlp', (4,)
    own = {'temperature': 0.2, 'queue_size': 32}
    config.method = common.method(method, **methods.arguments(method) | own)
    config.update_from_flattened_dict(changes)
    return config


def on(devices, monkeypatch):
    """As if this machine had so many devices; nothing is placed on them."""
    monkeypatch.setattr(
        experiments.parallel, 'choose_devices', lambda count: tuple(jax.devices()[:1] * devices)
    )


BAD = [
    (1, {'lr_scaling': 'log'}, "lr_scaling='log': use 'none', 'linear' or 'sqrt'"),
    (1, {'accumulate': 0}, 'accumulate=0 must be at least 1'),
    (
        1,
        {'accumulate': 3},
        (
            'accumulate=3 does not divide the 16 examples that each of 1 devices has of'
            ' batch_size=16: choose a divisor of 16'
        ),
    ),
    (4, {'accumulate': 8}, 'accumulate=8 does not divide the 4 examples .* choose a divisor of 4'),
    (3, {}, 'batch_size=16 does not divide among 3 devices'),
    (1, {'net.batch_norm': 'local'}, "net.batch_norm='local': use 'global' or 'device'"),
    (1, {'accumulate': 16}, 'batch norm would see one example at a time'),
    (
        8,
        {'accumulate': 2, 'net.batch_norm': 'device'},
        'batch norm would see one example at a time',
    ),
]


@pytest.mark.parametrize('devices, changes, message', BAD)
def test_what_cannot_be_shared_out_is_one_line(devices, changes, message, monkeypatch):
    on(devices, monkeypatch)
    with pytest.raises(ValueError, match=message) as error:
        experiments.setup(small(**changes))
    assert '\n' not in str(error.value)


def test_fields_reach_the_step(monkeypatch):
    """Statistics of each device: networks know of no axis, the layout does; keys are shuffled
    between devices."""
    on(2, monkeypatch)
    changes = {
        'net.batch_norm': 'device',
        'accumulate': 4,
        'lr_scaling': 'linear',
        'check_replicas': True,
    }
    ready = experiments.setup(small(**changes))
    own = ready.spec
    assert (own.accumulate, own.local_statistics, own.check_replicas) == (4, True, True)
    assert own.hyper[0]['lr'] == pytest.approx(0.05 / 16) and own.layout.axis is not None
    assert own.method.branches['target'].net.backbone.axis_name is None
    assert state.moving(own.method, own.method.phases[0]) == ['online', 'target']
    together = experiments.setup(small())
    assert together.method.branches['target'].net.backbone.axis_name == together.layout.axis


def test_the_initialisation_is_traced_once(monkeypatch):
    """For the mode, for the shapes of a checkpoint and for the first state."""
    traced, init = [], state._init
    monkeypatch.setattr(state, '_init', lambda *own: (traced.append(own), init(*own))[1])
    with tiny.quick_compilation():
        ready = experiments.setup(small(devices=1))
        shapes = experiments.abstract(ready)
        first = experiments.stacked(experiments.initial(ready))
    assert len(traced) == 1
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(shapes)] == [
        (leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(first)
    ]


@pytest.mark.parametrize('asked', [False, True])
def test_replicas_are_checked_at_every_line_of_the_log_when_asked(asked, monkeypatch):
    """What the check finds is tested with two devices, in tests/helpers/two_devices.py."""
    seen = []
    monkeypatch.setattr(
        parallel,
        'check_replicas',
        lambda tree, layout: seen.append(int(tree.first().steps['joint'])),
    )
    with tiny.quick_compilation():
        own = tiny.experiment('jmi', tiny.one_device())._replace(check_replicas=asked)
        assert len(list(tiny.chunks(own))) == 1 + tiny.STEPS * tiny.PASSES
    assert seen == (list(range(1, 1 + tiny.STEPS * tiny.PASSES)) if asked else [])
