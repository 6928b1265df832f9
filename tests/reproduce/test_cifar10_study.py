"""The study on CIFAR-10 at toy size: what it trains, keeps, skips and reports."""

import json

import numpy as np
import pytest

from mi_ssl_jax.figures import probes
from mi_ssl_jax.reproduce import __main__ as command
from mi_ssl_jax.reproduce import cifar10_study as study
from mi_ssl_jax.runs import run_folder
from mi_ssl_jax.train import loop
from tests.helpers import probed

TOY = study.Plan(
    {'jmi': 2, 'simsiam': 1, 'simsiam_nopred': 1},
    {'simsiam_nopred': 'simsiam'},
    lrs=(0.05, 0.5),
    epochs=4,
)


def finish(results, name, **more):
    """Put a finished run's study.json where the study looks for it."""
    (results / name).mkdir(parents=True)
    (results / name / 'study.json').write_text(json.dumps(more))


@pytest.fixture
def trained(monkeypatch):
    """The names of the runs that the study trains; none is trained."""
    names = []

    def do(job, workdir, results, plan):
        names.append(job.name)
        finish(results, job.name, choice=job.config.lr * 10)

    monkeypatch.setattr(study, '_do', do)
    return names


def test_everything_is_trained_once_in_the_order_of_its_worth(trained, tmp_path):
    assert study.train(TOY, tmp_path / 'runs', tmp_path / 'results', say=lambda line: None)
    assert trained == [
        'choice_jmi_0.05',
        'choice_jmi_0.5',
        'jmi_0',
        'choice_simsiam_0.05',
        'choice_simsiam_0.5',
        'simsiam_0',
        'simsiam_nopred_0',
        'jmi_1',
    ]
    assert study.train(TOY, tmp_path / 'runs', tmp_path / 'results', say=lambda line: None)
    assert len(trained) == 8


def test_what_another_process_trains_is_left_to_it(monkeypatch, tmp_path):
    def do(job, workdir, results, plan):
        if job.name == 'choice_simsiam_0.5':
            raise run_folder.InUse('held')
        finish(results, job.name, choice=1.0)

    monkeypatch.setattr(study, '_do', do)
    said = []
    assert not study.train(TOY, tmp_path / 'runs', tmp_path / 'results', say=said.append)
    assert said[-1] == 'choice_simsiam_0.5 is being trained by another process'
    assert 'finished jmi_1' in said and not (tmp_path / 'results' / 'simsiam_0').exists()


def test_the_best_learning_rate_is_chosen_and_a_divergence_is_none(tmp_path):
    finish(tmp_path, 'choice_jmi_0.05', choice=30.0)
    finish(tmp_path, 'choice_jmi_0.5', diverged='the loss is nan')
    assert study.chosen(TOY, 'jmi', tmp_path) == 0.05
    scores = study.choices(TOY, tmp_path)['jmi']
    assert scores[0.05] == 30.0 and np.isnan(scores[0.5])


def test_runs_differ_from_the_papers_configurations_in_the_plans_fields_alone():
    for name in study.STUDY.runs:
        config = study.job(study.STUDY, name, 0.15, 2).config
        assert (config.epochs, config.batch_size, config.lr) == (40, 256, 0.15)
        assert (config.views.options['size'], config.net.options.conv4.width) == (16, 16)
        assert config.seed == 7349 + 2 and config.seeds == 1 and config.net.name == 'conv4'
        plain = study.cifar10.training.config(f'{name}_cifar10')
        assert config.method.to_dict() == plain.method.to_dict()
        assert config.views.name == plain.views.name
    for job in study.searches(study.STUDY, 'jmi'):
        assert job.config.epochs == 5 and not job.config.probe.at_end


def test_a_diverged_run_is_kept_as_one(monkeypatch, tmp_path):
    def diverges(config, workdir):
        workdir.mkdir(parents=True)
        (workdir / 'metrics.jsonl').write_text('{"epoch": 0, "mi": {"cos_dv": [0.0]}}\n')
        (workdir / 'config.json').write_text('{}')
        raise loop.Diverged('the loss of phase m is nan')

    monkeypatch.setattr(study.run, 'run', diverges)
    own = study.searches(TOY, 'jmi')[0]
    study._do(own, tmp_path / 'runs' / own.name, tmp_path / 'results', TOY)
    kept = json.loads((tmp_path / 'results' / own.name / 'study.json').read_text())
    assert kept == {'diverged': 'the loss of phase m is nan'}


def test_kept_numbers_read_like_a_run_and_are_small(tmp_path):
    workdir = probed.write(tmp_path / 'runs' / 'jmi', 'jmi', [60.123456789], net='conv4', epochs=4)
    (workdir / 'checkpoints').mkdir()
    row = {
        'encoder': 'encoder',
        'probe': 'kNN, k = 200',
        'labels': 'all',
        'seeds': [50.0],
        'top5': [90.0],
        'protocol': 'p',
    }
    study.keep(workdir, tmp_path / 'kept', {}, rows=[row])
    assert sorted(path.name for path in (tmp_path / 'kept').iterdir()) == [
        'config.json',
        'metrics.jsonl',
        'probe.json',
        'study.json',
    ]
    (found,), left_out = probes.read_all([tmp_path / 'kept'])
    assert found.accuracy[''] == pytest.approx([60.123]) and not left_out
    rows = json.loads((tmp_path / 'kept' / 'probe.json').read_text())['rows']
    assert rows[-1] == row
    assert sum(path.stat().st_size for path in (tmp_path / 'kept').iterdir()) < 50_000


def test_every_kept_run_is_small_and_complete():
    for folder in study.RESULTS.glob('[a-z]*'):
        files = {path.name: path.stat().st_size for path in folder.iterdir()}
        assert {'config.json', 'metrics.jsonl', 'study.json'} <= set(files)
        assert sum(files.values()) < 50_000


def test_the_report_is_made_of_kept_runs(tmp_path, capsys):
    results = tmp_path / 'results'
    for number, (name, method, accuracy, changes) in enumerate(
        [
            ('jmi_0', 'jmi', [60.0], {}),
            ('simsiam_0', 'simsiam', [55.0], {}),
            ('simsiam_nopred_0', 'simsiam', [20.0], {'predictor': False}),
        ]
    ):
        workdir = probed.write(
            tmp_path / str(number), method, accuracy, net='conv4', epochs=4, method=changes
        )
        study.keep(workdir, results / name, {})
    finish(results, 'choice_jmi_0.05', choice=30.0)
    study.report(TOY, tmp_path / 'out', results)
    text = (tmp_path / 'out' / 'report.md').read_text()
    for title in ('Learning rates', 'Table 1', 'Ranks beside', 'Every run', 'Falls', 'Figure 4'):
        assert title in text
    assert 'Kendall’s tau' in text
    for name in ('figure2', 'scatter', 'figure4'):
        assert (tmp_path / 'out' / 'figures' / f'{name}.png').stat().st_size > 10_000


def test_nothing_finished_is_said(tmp_path, capsys):
    study.report(TOY, tmp_path / 'out', tmp_path / 'none')
    assert 'no run of the study is finished' in capsys.readouterr().out


def test_the_command_offers_the_studys_methods():
    assert set(study.STUDY.runs) - set(study.STUDY.parents) == set(command.METHODS)
