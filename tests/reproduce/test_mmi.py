"""`reproduce mmi`: what its parts train, that ended runs are not repeated, divergence as a result,
costs."""

import json

import pytest

from mi_ssl_jax.figures.paper import mmi as figures
from mi_ssl_jax.reproduce import mmi, mmi_costs, training
from mi_ssl_jax.runs import run
from mi_ssl_jax.train import loop
from tests.figures.test_mmi import cost, write
from tests.helpers import tiny
from tests.reproduce.test_reproduce import reproduce  # noqa: F401


def configs(part, data):
    return {
        variant.label: mmi.configuration(variant, data, epochs=7, seeds=2)
        for variant in mmi.parts(data)[part]
    }


@pytest.mark.parametrize('data', ['digits', 'cifar10'])
def test_parts_change_what_they_are_named_after(data):
    plain = next(iter(configs('methods', data).values()))
    assert plain.method.name == 'mmi' and (plain.epochs, plain.seeds, plain.data.name) == (
        7,
        2,
        data,
    )
    methods = configs('methods', data)
    assert [config.method.name for config in methods.values()] == [
        'mmi',
        'corinfomax',
        'barlow',
        'simsiam',
    ]
    assert (
        len({config.net.projector[-1] for config in methods.values()}) == 1
    )  # compared at one width
    widths = [config.net.projector[-1] for config in configs('projector', data).values()]
    assert widths == ([64, 256, 512, 1024] if data == 'digits' else [256, 512, 1024, 2048])
    difference, joint = (config.method.to_dict() for config in configs('form', data).values())
    assert difference['form'] == 'difference' and {**difference, 'form': 'joint'} == joint
    off, on = (config.method.to_dict() for config in configs('momentum', data).values())
    assert not off['momentum_encoder'] and {**off, 'momentum_encoder': True} == on
    order = list(configs('order', data).values())
    assert [config.method.order for config in order] == [2, 4, 6, 2, 4, 6, 4]
    assert [config.lr / plain.lr for config in order] == pytest.approx([1, 1, 1, 10, 10, 10, 1])
    assert [config.method.rescale for config in order] == [True] * 6 + [False]


@pytest.mark.parametrize('data', ['digits', 'cifar10'])
def test_runs_of_one_folder_are_one_run(data):
    found = {}
    for part in mmi.parts(data).values():
        for variant in part:
            config = mmi.configuration(variant, data, epochs=7, seeds=2).to_json()
            assert found.setdefault(variant.folder, config) == config
    assert len(set(found.values())) == len(found)


def test_a_divergence_is_a_result_and_not_repeated(tmp_path, monkeypatch):
    config, asked = training.config('mmi_digits'), []

    def diverge(config, workdir):
        asked.append(workdir)
        workdir.mkdir()
        (workdir / 'config.json').write_text(config.to_json())
        raise loop.Diverged('the loss is nan at epoch 2')

    monkeypatch.setattr(run, 'run', diverge)
    for _ in range(2):
        mmi.train(config, tmp_path / 'order-6')
    assert len(asked) == 1 and mmi.done(tmp_path / 'order-6')
    assert (tmp_path / 'order-6' / figures.DIVERGED).read_text() == 'the loss is nan at epoch 2\n'
    config.lr = 1.0
    with pytest.raises(ValueError, match='belongs to another configuration: lr'):
        mmi.train(config, tmp_path / 'order-6')


def test_parts_are_chosen_and_all_that_are_there_reported(reproduce, monkeypatch, tmp_path):
    trained = []

    def train(config, workdir):
        trained.append(workdir.name)
        if not workdir.exists():
            bad = config.method.name == 'simsiam'
            write(workdir, config.method.name, [98.0], diverged='nan' if bad else '')

    monkeypatch.setattr(mmi, 'train', train)
    monkeypatch.setattr(
        mmi_costs,
        'at',
        lambda batch, configuration: {
            name: value for name, value in cost(batch).items() if name != 'batch'
        },
    )
    status, out, _ = reproduce('mmi', '--only=momentum')
    assert status == 0 and trained == ['mmi', 'momentum'] and 'Momentum encoder' in out
    assert not (tmp_path / 'out' / 'figures' / 'costs.png').exists()
    status, out, _ = reproduce('mmi', '--only=methods,costs')
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert status == 0 and trained[2:] == ['mmi', 'corinfomax', 'barlow', 'simsiam']
    for words in (
        '**Momentum encoder**',
        '**Against Barlow Twins and SimSiam**',
        '81.1 % on ImageNet-100',
        'diverged',
        '**Memory and time of a training step, embeddings of dimension 1024**',
        'costs.png',
        'accuracy.png',
    ):
        assert words in report, words
    assert '**Order of the Taylor series**' not in report


@pytest.mark.parametrize(
    'argument, words',
    [
        ('--only=momentum,oder', "no part 'oder' in this experiment; it has methods, projector"),
        ('--data=mnist', 'invalid choice'),
        ('--epochs=0', '--epochs must be at least 1'),
    ],
)
def test_bad_input_is_one_line(reproduce, argument, words):
    status, _, error = reproduce('mmi', argument)
    assert status == 2 and words in error and len(error.strip().splitlines()) == 1


@pytest.mark.slow
def test_costs_are_measured_once_and_in_alternation(tmp_path, monkeypatch):
    for name, value in (
        ('METHODS', ('mmi', 'barlow')),
        ('BATCHES', (8,)),
        ('STEPS', 1),
        ('ROUNDS', 2),
    ):
        monkeypatch.setattr(mmi_costs, name, value)

    def configuration(name):
        config = training.config(f'{name}_gaussian')
        config.data.limit = 64
        return config

    with tiny.hardly_optimised():
        mmi_costs.measure(tmp_path, configuration)
    (row,) = mmi_costs.found(tmp_path)
    assert (row['batch'], row['dimension']) == (8, 3) and row['machine']['cores'] >= 1
    assert list(row['methods']) == ['mmi', 'barlow']
    for own in row['methods'].values():
        assert len(own['wall']) == len(own['cpu']) == 2 and min(own['wall']) > 0
        assert own['temporaries'] > 0 and own['arguments'] > 64 * 2 * 4  # the data alone
    before = json.dumps(mmi_costs.found(tmp_path))
    mmi_costs.measure(tmp_path, None)  # all there: no configuration is asked for
    assert json.dumps(mmi_costs.found(tmp_path)) == before
