"""Which variant a run is, which runs are averaged, and in what they fall short of the paper's."""

import json

import numpy as np
import pytest

from mi_ssl_jax.figures import probes, run_files
from tests.helpers import probed


@pytest.mark.parametrize(
    'name, arguments, expected',
    [
        ('sdmi', {}, 'SDMI'),
        ('sdmi', {'marginal': 'none'}, 'SDMI-NoDV'),
        ('sdmi', {'marginal': None}, 'SDMI-NoDV'),
        ('sdmi', {'marginal': 'none', 'predictor': True}, 'SDMI-NoDV-Pred'),
        ('sdmi', {'predictor': True}, 'SDMI (predictor = True)'),
        ('sdmi', {'temperature': 0.05, 'block_size': 64}, 'SDMI'),
        ('simsiam', {}, 'SimSiam'),
        ('simsiam', {'predictor': False}, 'SimSiam, no predictor'),
        ('simsiam', {'predictor': False, 'objective': 'dv', 'temperature': 0.1}, 'SimSiam-SDMI'),
        ('simsiam', {'objective': 'dv'}, 'SimSiam (objective = dv)'),
        ('mocov3', {'predictor': False}, 'MoCo-v3, no predictor'),
        ('jmi', {'objective': 'jsd'}, 'JMI (objective = jsd)'),
        ('byol', {'momentum': 0.99}, 'BYOL'),
        ('my_method:build', {'strength': 2}, 'my_method:build'),
    ],
)
def test_variants_are_told_by_the_methods_arguments(name, arguments, expected):
    assert (
        probes.variant({'method': {'name': name, **probed.PLAIN.get(name, {}), **arguments}})
        == expected
    )


def test_a_run_has_the_accuracy_of_each_encoder_and_of_the_untrained_one(tmp_path):
    run = probes.read(
        probed.write(tmp_path / 'a', 'sdmi', {'f': [88.0, 89.0], 'g': [87.0, 86.0]}, untrained=41.5)
    )
    assert (run.variant, run.method, run.data, run.epochs) == ('SDMI', 'sdmi', 'cifar10', 1000)
    assert {letter: values.tolist() for letter, values in run.accuracy.items()} == {
        'f': [88, 89],
        'g': [87, 86],
    }
    assert run.untrained['g'].tolist() == [41.5, 41.5] and run.protocol == probed.PROTOCOL
    byol = probes.read(probed.write(tmp_path / 'b', 'byol', [91.0]))
    assert list(byol.accuracy) == [''] and byol.accuracy[''].tolist() == [91]


def test_only_the_linear_probe_on_all_labels_counts(tmp_path):
    folder = probed.write(tmp_path / 'a', 'jmi', [88.0])
    found = json.loads((folder / 'probe.json').read_text())
    found['rows'] += [
        probed.row('theta', [99.0], probe='kNN'),
        probed.row('theta', [98.0], labels='10%'),
        probed.row('raw inputs', [97.0]),
    ]
    (folder / 'probe.json').write_text(json.dumps(found))
    assert probes.read(folder).accuracy[''].tolist() == [88]


def damage(folder, kind):
    path = folder / 'probe.json'
    found = json.loads(path.read_text())
    if kind == 'missing':
        path.unlink()
    elif kind == 'of fewer epochs':
        path.write_text(json.dumps({**found, 'settings': {'epochs': 500}}))
    else:
        rows = [{**row, 'labels': '10%'} for row in found['rows']]
        path.write_text(json.dumps({**found, 'rows': rows}))


@pytest.mark.parametrize(
    'kind, words',
    [
        ('missing', 'has not been probed: python -m mi_ssl_jax.probe --workdir='),
        ('of fewer epochs', 'was probed for 500 epochs, but is a run of 1000'),
        ('of few labels', 'has no linear probe on all labels'),
    ],
)
def test_unprobed_runs_are_left_out_with_the_reason(tmp_path, kind, words):
    good, bad = (probed.write(tmp_path / name, 'jmi', [88.0]) for name in 'ab')
    damage(bad, kind)
    found, left_out = probes.read_all([good, bad, good, tmp_path / 'b' / '..' / 'a'])
    assert [run.folder for run in found] == [good]  # and the same folder counts once
    assert len(left_out) == 1 and words in left_out[0]
    with pytest.raises(ValueError, match='b '):
        probes.read_all([bad])


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(ValueError, match='config.json is missing'):
        probes.read_all([probed.write(tmp_path / 'a', 'jmi', [88.0]), tmp_path])


def read(folder, *args, **changes):
    return probes.read(probed.write(folder, *args, **changes))


def test_seeds_of_like_runs_are_pooled_and_variants_and_data_sets_kept_apart(tmp_path):
    runs = [
        read(tmp_path / 'a', 'jmi', [88.0, 87.0]),
        read(tmp_path / 'b', 'jmi', [86.0], seed=7351),
        read(tmp_path / 'c', 'jmi', [57.0], data='cifar100'),
        read(tmp_path / 'd', 'jmi', [80.0], method={'objective': 'jsd'}),
    ]
    pools = probes.pools(runs)
    assert [(pool.variant, pool.data, pool.accuracy('').tolist()) for pool in pools] == [
        ('JMI', 'cifar10', [88, 87, 86]),
        ('JMI', 'cifar100', [57]),
        ('JMI (objective = jsd)', 'cifar10', [80]),
    ]
    assert pools[0].untrained().tolist() == [40, 40, 40]


@pytest.mark.parametrize(
    'change, words',
    [
        ({'net': 'conv4'}, 'net.name is resnet18 in'),
        ({'lr': 0.03}, 'lr is 0.05 in'),
        ({'done': 300}, 'epochs trained is 1000 in'),
        ({'method': {'temperature': 0.05}}, 'method.temperature is 0.1 in'),
    ],
)
def test_runs_that_differ_are_not_averaged(tmp_path, change, words):
    runs = [
        read(tmp_path / 'a', 'sdmi', {'f': [1.0], 'g': [1.0]}),
        read(tmp_path / 'b', 'sdmi', {'f': [1.0], 'g': [1.0]}, seed=1, **change),
    ]
    with pytest.raises(ValueError, match=f'runs of SDMI on cifar10 have no common mean: {words}'):
        probes.pools(runs)


def test_what_changes_no_accuracy_may_differ(tmp_path):
    one = read(tmp_path / 'a', 'jmi', [88.0])
    other = read(
        tmp_path / 'b', 'jmi', [87.0], seed=1, method={'block_size': 64}, devices=2, log_every=10
    )
    other.run.config['net']['options']['conv4'] = {'width': 99}  # of a network that is not used
    other.run.config['mi']['every'] = 1
    assert len(probes.pools([one, other])[0].accuracy('')) == 2


def test_another_probe_is_another_number(tmp_path):
    runs = [read(tmp_path / 'a', 'jmi', [88.0]), read(tmp_path / 'b', 'jmi', [88.0], seed=1)]
    with pytest.raises(ValueError, match="the probe is 'linear probe, 60 epochs"):
        probes.pools([runs[0], runs[1]._replace(protocol='linear probe, 100 epochs')])


def test_a_seed_counts_once(tmp_path):
    runs = [
        read(tmp_path / 'a', 'jmi', [88.0, 88.0]),
        read(tmp_path / 'b', 'jmi', [88.0], seed=7350),
    ]
    with pytest.raises(ValueError, match='seed 7350 of JMI on cifar10 is in .*a and in .*b'):
        probes.pools(runs)


@pytest.mark.parametrize(
    'name, change, expected',
    [
        ('jmi', {}, []),
        (
            'jmi',
            {'net': 'conv4', 'epochs': 5, 'batch': 256},
            ['conv4 instead of resnet18', '5 of 1000 epochs', 'batch size 256 instead of 512'],
        ),
        ('jmi', {'done': 300}, ['300 of 1000 epochs']),
        ('sdmi', {'data': 'imagenet100', 'net': 'resnet50', 'epochs': 800, 'batch': 64}, []),
        (
            'jmi',
            {'data': 'imagenet100', 'net': 'resnet50', 'epochs': 800, 'batch': 64},
            ['batch size 64 instead of 256'],
        ),
        ('jmi', {'data': 'digits', 'net': 'conv4'}, []),  # the paper has no such run
    ],
)
def test_in_what_a_run_is_not_the_papers(tmp_path, name, change, expected):
    accuracy = {'f': [1.0], 'g': [1.0]} if name == 'sdmi' else [1.0]
    assert probes.shortfalls(read(tmp_path / 'a', name, accuracy, **change)) == expected


def test_training_on_a_part_of_the_data_is_said(tmp_path):
    run = read(tmp_path / 'a', 'jmi', [1.0])
    run.run.config['data']['limit'], run.run.config['mi']['examples'] = 500, 100
    assert probes.shortfalls(run) == ['trained on 500 examples only']
    run.run.config['data']['streamed'] = True
    assert probes.shortfalls(run) == ['trained on 500 examples only']


def test_conditions_in_short(tmp_path):
    runs = {
        'JMI': read(tmp_path / 'a', 'jmi', [1.0]).run,
        'BYOL': read(tmp_path / 'b', 'byol', [1.0]).run,
    }
    assert run_files.conditions(runs) == 'resnet18, 1000 epochs, batch 512.'
    runs['BYOL'] = read(tmp_path / 'c', 'byol', [1.0], net='conv4', done=3).run
    assert (
        run_files.conditions(runs)
        == 'JMI: resnet18, 1000 epochs, batch 512; BYOL: conv4, 3 epochs, batch 512.'
    )


def test_the_final_epoch_is_that_of_the_log(tmp_path):
    run = read(tmp_path / 'a', 'jmi', [88.0], done=250)
    assert run.epochs == 250 and np.isclose(run.run.lines[-1]['epoch'], 250)
