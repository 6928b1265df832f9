"""The commands that put finished runs together, and what `reproduce cifar10` trains; nothing is
trained here."""

import importlib
import signal
import sys

import pytest

from mi_ssl_jax.cli import cpu_tuning, guard
from mi_ssl_jax.figures import methods
from mi_ssl_jax.reproduce import __main__ as command
from mi_ssl_jax.reproduce import cifar10
from mi_ssl_jax.runs import signals
from mi_ssl_jax.train import loop
from tests.helpers import probed

PLAIN = {'net': 'conv4', 'epochs': 5, 'seeds': 1, 'batch_size': None, 'mi_every_steps': None}


@pytest.fixture
def reproduce(monkeypatch, capsys, tmp_path):
    """-> reproduce(*arguments): the exit status and what was printed."""

    def call(*arguments):
        monkeypatch.setattr(
            sys, 'argv', ['reproduce', *map(str, arguments), f'--workdir={tmp_path}/out']
        )
        monkeypatch.setattr(cpu_tuning, 'use_compilation_cache', lambda: None)
        try:
            status = guard.guard(command.main)
        except SystemExit as stop:  # the parser's own way out
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def runs(tmp_path):
    return [
        probed.write(tmp_path / 'sdmi', 'sdmi', {'f': [88.0, 89.0], 'g': [87.0, 88.0]}),
        probed.write(
            tmp_path / 'nodv', 'sdmi', {'f': [30.0], 'g': [20.0]}, method={'marginal': 'none'}
        ),
        probed.write(tmp_path / 'byol', 'byol', [60.0], net='conv4', epochs=5),
    ]


def test_table1(reproduce, runs, tmp_path):
    (probed.write(tmp_path / 'jmi', 'jmi', [88.0]) / 'probe.json').unlink()
    status, out, _ = reproduce('table1', *runs, tmp_path / 'jmi')
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert status == 0
    assert '| SDMI f | 88.50 ± 0.71 (2) | 88.61 ± 0.13 | not run |' in report
    for text in (out, report):
        assert '† BYOL on CIFAR-10: conv4 instead of resnet18, 5 of 1000 epochs.' in text
        assert f'(1) {probed.PROTOCOL}' in text
        assert f'{tmp_path}/nodv: SDMI-NoDV on cifar10 is not in Table 1' in text
        assert (
            f'{tmp_path}/jmi has not been probed: python -m mi_ssl_jax.probe'
            f' --workdir={tmp_path}/jmi' in text
        )


def test_figure4(reproduce, runs, tmp_path):
    status, out, _ = reproduce('figure4', *runs)
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert status == 0 and (tmp_path / 'out' / 'figures' / 'figure4.png').stat().st_size > 10_000
    assert '| SDMI-NoDV f | 30.00 (1) |' in report and '![figure4](figures/figure4.png)' in report
    assert 'Not run: SDMI-NoDV-Pred, SimSiam, SimSiam, no predictor, SimSiam-SDMI.' in out
    assert 'byol: BYOL on cifar10 is not in Figure 4' in out


def test_scatter(reproduce, runs, tmp_path):
    other = probed.write(
        tmp_path / 'other', 'byol', [70.0], seed=1
    )  # of another setting, which is no mean here
    status, out, _ = reproduce('scatter', *runs, other)
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert status == 0 and (tmp_path / 'out' / 'figures' / 'scatter.png').stat().st_size > 10_000
    assert '| BYOL on CIFAR-10 | resnet18 |' in report and '| BYOL on CIFAR-10 | conv4 |' in report
    assert 'Mutual information and other figures without labels' in out and 'regret' in report


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['table1'], 'the following arguments are required: RUN'),
        (['table1', '{tmp}'], 'config.json is missing: give the workdir of a run'),
        (['figure4', '{tmp}/byol'], 'none of these runs is in Figure 4'),
        (['table1', '{tmp}/nodv'], 'SDMI-NoDV on cifar10 is not in Table 1'),
        (['cifar10', '--methods=jmi,dino'], "no method 'dino' in this experiment; it has sdmi"),
        (['cifar10', '--epochs=0'], '--epochs must be at least 1'),
        (['cifar10', '--batch_size=1'], '--batch_size must be at least 2'),
        (['proposition', '--seeds=99999999'], '--seeds must be at most 10,000'),
        (['ablations', '--epochs', '9', '9999999999'], '--epochs must be at most 1,000,000,000'),
        (['cifar10', '--mi_every_steps=-1'], '--mi_every_steps must be at least 0'),
    ],
)
def test_bad_input_is_one_line(reproduce, runs, tmp_path, arguments, words):
    status, _, error = reproduce(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert status == 2 and words in error and len(error.strip().splitlines()) == 1


def test_collecting_needs_no_jax():
    """So that tables and pictures are drawn where the runs are not trained."""
    module = importlib.import_module('mi_ssl_jax.reproduce.finished_runs')
    imported = {value.__name__ for value in vars(module).values() if hasattr(value, '__file__')}
    assert imported and all(name.startswith('mi_ssl_jax.figures.') for name in imported)


# What Figure 2 trains
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', command.METHODS)
def test_small_networks_get_narrow_projectors_of_the_same_depth(name):
    config = cifar10.configuration(name, **PLAIN)
    paper = importlib.import_module(f'configs.{name}_cifar10').get_config()
    assert len(config.net.projector) == len(paper.net.projector)
    assert max(config.net.projector[:-1]) == 256 and config.net.projector[-1] == 128
    assert (config.net.name, config.epochs, config.seeds, config.batch_size) == ('conv4', 5, 1, 512)
    assert 'name conv4, was resnet18' in cifar10.changed(name, config)
    assert f'projector {config.net.projector}, was {paper.net.projector}' in cifar10.changed(
        name, config
    )
    assert config.method.to_dict() == paper.method.to_dict() and config.lr == paper.lr


def test_the_papers_network_keeps_its_projector():
    paper = importlib.import_module('configs.sdmi_cifar10').get_config()
    config = cifar10.configuration(
        'sdmi', net='resnet18', epochs=1000, seeds=3, batch_size=None, mi_every_steps=None
    )
    assert config.net.to_dict() == paper.net.to_dict() and config.epochs == paper.epochs == 1000
    assert (config.mi.every, config.mi.every_steps) == (10, 0)
    assert cifar10.changed('sdmi', config) == 'seeds 3, was 1; mutual information every 10 epochs'


@pytest.mark.parametrize(
    'epochs, asked, every_steps, every, log_every',
    [
        (5, None, 50, 1, 50),
        (5, 0, 0, 1, 50),
        (5, 20, 20, 1, 20),
        (300, None, 0, 3, 50),
        (6, 200, 200, 1, 50),
    ],
)
def test_when_mutual_information_is_measured(epochs, asked, every_steps, every, log_every):
    config = cifar10.configuration('jmi', **{**PLAIN, 'epochs': epochs, 'mi_every_steps': asked})
    assert (config.mi.every_steps, config.mi.every, config.log_every) == (
        every_steps,
        every,
        log_every,
    )


def test_cifar10_draws_tabulates_and_says_what_it_changed(reproduce, monkeypatch, tmp_path):
    trained = {}

    def train(config, workdir):
        trained[workdir.name] = config
        accuracy = {'f': [50.0], 'g': [49.0]} if config.method.name == 'sdmi' else [60.0]
        return probed.write(
            workdir,
            config.method.name,
            accuracy,
            net=config.net.name,
            epochs=config.epochs,
            batch=config.batch_size,
        )

    monkeypatch.setattr(cifar10, '_train', train)
    status, out, _ = reproduce('cifar10', '--batch_size=64', '--methods=sdmi,vicreg,jmi')
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert status == 0 and list(trained) == ['sdmi', 'vicreg', 'jmi']
    assert trained['jmi'].batch_size == 64 and trained['jmi'].data.name == 'cifar10'
    for text in (out, report):
        assert (
            'jmi: epochs 5, was 1000; batch_size 64, was 512; name conv4, was resnet18; projector '
            in text
        )
        assert 'conv4 instead of resnet18, 5 of 1000 epochs, batch size 64 instead of 512' in text
    assert all(name in report for name in ('figure2', 'scatter', methods.METHODS['vicreg'].label))
    assert {path.name for path in (tmp_path / 'out' / 'figures').iterdir()} == {
        'figure2.png',
        'scatter.png',
    }


@pytest.mark.parametrize(
    'error, status',
    [
        (loop.Diverged('lower lr'), 3),
        (signals.Interrupted(signal.SIGTERM, 'with a checkpoint'), 143),
    ],
)
def test_a_training_that_ends_early_says_so_by_its_status(reproduce, monkeypatch, error, status):
    def train(config, workdir):
        raise error

    monkeypatch.setattr(cifar10, '_train', train)
    ended, _, words = reproduce('cifar10', '--methods=jmi')
    assert ended == status and str(error) in words and len(words.strip().splitlines()) == 1
