"""A run in its folder: resuming, finishing, refusing; by the same functions that the command calls."""

import importlib
import json
import shutil
import signal
import subprocess

import numpy as np
import pytest

from mi_ssl_jax import cli, experiment, run, rundir, signals
from mi_ssl_jax.evals import collapse
from mi_ssl_jax.train import loop


@pytest.fixture(scope='module', autouse=True)
def data_dir(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv('TFDS_DATA_DIR', str(tmp_path_factory.mktemp('tfds')))
    yield
    patch.undo()


def small(name='sdmi', on='gaussian', **changes):
    """A configuration that trains in a second or two."""
    config = importlib.import_module(f'configs.{name}_{on}').get_config()
    config.update({'epochs': 4, 'seeds': 2, 'batch_size': 50, 'data': {'limit': 250}, 'log_every': 2})
    config.lr = min(config.lr, 0.1)
    config.update(changes)
    return config


def files(workdir):
    """What must not depend on interruptions: the metrics to the byte, the final state to the bit."""
    ready = experiment.setup(rundir.read_config(workdir))
    population, _ = run.restore(ready, workdir)
    return (workdir / 'metrics.jsonl').read_bytes(), experiment.stacked(population, ready.layout)


def stop_after(chunks, monkeypatch):
    """Make the process receive SIGTERM once `chunks` chunks are done."""
    train = loop.train

    def interrupted(*args, **kwargs):
        for now in train(*args, **kwargs):
            if now.chunk == chunks:
                signal.raise_signal(signal.SIGTERM)
            yield now

    monkeypatch.setattr(loop, 'train', interrupted)


@pytest.mark.parametrize('name, stop', [('sdmi', 6), ('simsiam', 5), ('byol', 9)])
def test_resumed_equals_uninterrupted_to_the_bit(tmp_path, monkeypatch, name, stop):
    config = small(name)
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        stop_after(stop, patch)
        with pytest.raises(signals.Interrupted, match='SIGTERM with a checkpoint'):
            run.run(config, tmp_path / 'parts')
    run.run(config, tmp_path / 'parts')
    whole, parts = files(tmp_path / 'whole'), files(tmp_path / 'parts')
    assert whole[0] == parts[0]
    for a, b in zip(*(experiment.jax.tree.leaves(state) for _, state in (whole, parts)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_lines_written_after_the_last_checkpoint_are_dropped_on_resume(tmp_path, monkeypatch):
    config = small('jmi')
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path)
    with open(tmp_path / 'metrics.jsonl', 'a') as file:
        file.write('{"epoch": 99, "half a li')
    run.run(config, tmp_path)
    epochs = [json.loads(line)['epoch'] for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert epochs == sorted(set(epochs)) and epochs[-1] == 4


def test_finished_run_says_so_and_more_epochs_extend_it(tmp_path):
    run.run(small('jmi'), tmp_path)
    said = []
    run.run(small('jmi'), tmp_path, say=said.append)
    assert 'is finished (4 epochs)' in said[0]
    before = (tmp_path / 'metrics.jsonl').read_text()
    run.run(small('jmi', epochs=6), tmp_path, say=said.append)
    after = (tmp_path / 'metrics.jsonl').read_text()
    assert after.startswith(before) and json.loads(after.splitlines()[-1])['epoch'] == 6


def test_metrics_hold_terms_mutual_information_collapse_and_centres(tmp_path):
    run.run(small('simsiam'), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert lines[0]['epoch'] == 0 and lines[0]['mi']['cos_dv'] == [None, None]  # I(0) = -infinity (section 4.2)
    last = lines[-1]
    assert set(last['mi']) == {'cos_dv', 'infonce', 'jsd'} and len(last['mi']['jsd']) == 2
    assert not any('mi_interval' in line for line in lines[:-1])  # of the end of training alone
    for name, interval in last['mi_interval'].items():
        assert all(np.array(interval['low']) < last['mi'][name]) and all(last['mi'][name] < np.array(interval['high']))
    assert set(last['collapse']['online']) == {'std', 'effective_rank', 'nn_gap'}
    assert np.shape(last['centres']['online']) == (2, 2, 5, 3)
    assert set(last['loss']) == {'e'} and 'marginal' not in last  # SimSiam has no marginal term
    environment = json.loads((tmp_path / 'environment.json').read_text())
    assert environment['packages']['jax'] and environment['mode'] == 'scan'


def test_loop_and_scan_reach_the_same_state(tmp_path):
    run.run(small('sdmi', mode='scan'), tmp_path / 'scan')
    run.run(small('sdmi', mode='loop'), tmp_path / 'loop')
    _, scan = files(tmp_path / 'scan')
    _, looped = files(tmp_path / 'loop')
    for a, b in zip(*(experiment.jax.tree.leaves(state.variables) for state in (scan, looped)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # rounding, amplified by 40 steps; a wrong order of data is 1e-1


def test_alternating_by_minibatch_takes_the_same_number_of_steps(tmp_path):
    run.run(small('sdmi', period=1), tmp_path)
    last = json.loads((tmp_path / 'metrics.jsonl').read_text().splitlines()[-1])
    assert last['step'] == {'e': 20, 'm': 20} and set(last['loss']) == {'e', 'm'}


def evaluations(lines):
    """Steps of all phases at each line that holds an evaluation."""
    return [sum(line.get('step', {}).values()) for line in lines if 'mi' in line]


def test_evaluations_by_steps_come_at_the_first_log_point_after_them_and_change_nothing_else(tmp_path, monkeypatch):
    by_epochs, by_steps = small('jmi'), small('jmi', mi={'every_steps': 4})
    run.run(by_epochs, tmp_path / 'epochs')
    with monkeypatch.context() as patch:
        stop_after(8, patch)
        with pytest.raises(signals.Interrupted):
            run.run(by_steps, tmp_path / 'steps')
    run.run(by_steps, tmp_path / 'steps')
    (epochs, one), (steps, other) = (files(tmp_path / name) for name in ('epochs', 'steps'))
    epochs, steps = ([json.loads(line) for line in text.splitlines()] for text in (epochs, steps))
    # An epoch of 5 steps has chunks of 2, 2 and 1, which end at 2, 4, 5, 7, 9, 10, 12, 14, ...
    assert evaluations(steps) == [0, 4, 9, 12, 17, 20] and evaluations(epochs) == [0, 5, 10, 15, 20]
    measured = ('mi', 'collapse', 'centres')
    assert [{key: line[key] for key in line if key not in measured} for line in epochs] == \
        [{key: line[key] for key in line if key not in measured} for line in steps]
    assert epochs[-1] == steps[-1]
    for a, b in zip(*(experiment.jax.tree.leaves(state) for state in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluations_between_log_points_are_refused(tmp_path):
    with pytest.raises(ValueError, match='mi.every_steps=1 must be 0 or at least log_every=2'):
        run.run(small('jmi', mi={'every_steps': 1}), tmp_path)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_and_repeats_it(tmp_path):
    """Damage of every kind to every file: tests/train/test_checkpoint.py."""
    config = small('jmi', checkpoint={'minutes': 0.0})
    run.run(config, tmp_path)
    before = (tmp_path / 'metrics.jsonl').read_bytes()
    newest = sorted((tmp_path / 'checkpoints').glob('[0-9]*'))[-1]
    victim = max((path for path in newest.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-7])
    said = []
    run.run(config, tmp_path, say=said.append)
    assert 'set aside' in said[0] and newest.name in said[0] and 'resuming' in said[1]
    assert (tmp_path / 'metrics.jsonl').read_bytes() == before  # trained again from the checkpoint before, to the bit


def test_the_mode_is_chosen_for_several_devices_too():
    """On one device twice: nothing is placed, only the trial step is traced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment.parallel, 'choose_devices', lambda count: tuple(experiment.jax.devices()[:1] * 2))
        assert experiment.setup(small('jmi')).layout.mode == 'scan'
        assert experiment.setup(small('jmi', 'digits', warmup_epochs=0)).layout.mode == 'loop'


def test_another_configuration_is_refused_with_the_differing_fields(tmp_path):
    run.run(small('jmi'), tmp_path)
    with pytest.raises(ValueError, match=r'another configuration: lr \(0.1 there, 0.05 here\)'):
        run.run(small('jmi', lr=0.05), tmp_path)


def test_force_goes_on_with_another_configuration_where_the_arrays_fit(tmp_path):
    run.run(small('jmi'), tmp_path)
    said = []
    ready = run.run(small('jmi', lr=0.05, epochs=5), tmp_path, force=True, say=said.append)
    assert 'another configuration: lr (0.1 there, 0.05 here)' in said[0] and 'resuming' in said[1]
    population, progress = run.restore(ready, tmp_path)
    assert progress['epoch'] == 5
    np.testing.assert_array_equal(experiment.stacked(population, ready.layout).hyper['lr'], np.float32([0.05, 0.05]))
    assert rundir.read_config(tmp_path).lr == 0.05
    assert json.loads((tmp_path / 'config-0.json').read_text())['lr'] == 0.1
    for changes, reason in (({'batch_size': 25}, 'counts its epochs in other steps'),
                            ({'log_every': 5}, 'counts its epochs in other steps'),
                            ({'net': {'options': {'mlp': {'widths': (7, 3)}}}}, 'of another network or optimizer')):
        with pytest.raises(ValueError, match=reason):
            run.run(small('jmi', lr=0.05, epochs=6, **changes), tmp_path, force=True, say=said.append)
    assert rundir.read_config(tmp_path).epochs == 5 and not (tmp_path / 'config-1.json').exists()


def test_the_best_evaluation_is_kept_also_by_a_run_that_was_stopped(tmp_path, monkeypatch):
    config = small('jmi', lr=0.5, checkpoint={'epochs': 3})
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path / 'parts')
    ready = run.run(config, tmp_path / 'parts')
    lines = [json.loads(line) for line in (tmp_path / 'whole' / 'metrics.jsonl').read_text().splitlines()]
    values = {line['epoch']: np.mean(line['mi']['cos_dv']) for line in lines if 'mi' in line}
    found = [run.restore(ready, tmp_path / name, best=True) for name in ('whole', 'parts')]
    assert all(progress['epoch'] == max(values, key=values.get) for _, progress in found)
    states = [experiment.stacked(population, ready.layout) for population, _ in found]
    for a, b in zip(*map(experiment.jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('changes, message', [
    ({'checkpoint': {'best': 'loss'}}, "checkpoint.best='loss': use one of mi, online_top1, none"),
    ({'checkpoint': {'best': 'online_top1'}}, 'set probe.online=True'),
    ({'checkpoint': {'keep': 0}}, 'checkpoint.keep=0 must be at least 1'),
    ({'rollback': {'factor': 0.0}}, 'rollback.factor=0.0 must be above 0'),
])
def test_settings_of_saving_that_cannot_work_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run.run(small('jmi', **changes), tmp_path)


def diverge_once(at, monkeypatch):
    """Make the first line of epoch `at` not finite, once."""
    check, done = loop.check_finite, []

    def fake(line, remedy):
        if line['epoch'] == at and not done:
            done.append(line)
            raise loop.Diverged(f'the loss is nan at epoch {at}: {remedy}')
        check(line, remedy)

    monkeypatch.setattr(loop, 'check_finite', fake)


def test_a_divergence_goes_back_with_a_lower_learning_rate_and_resumes_exactly(tmp_path, monkeypatch):
    config = small('jmi', checkpoint={'epochs': 2}, rollback={'times': 1, 'factor': 0.5})
    said = []
    for name in ('whole', 'parts'):
        with monkeypatch.context() as patch:
            diverge_once(3, patch)
            if name == 'parts':
                stop_after(11, patch)
                with pytest.raises(signals.Interrupted):
                    run.run(config, tmp_path / name)
                patch.undo()
            ready = run.run(config, tmp_path / name, say=said.append)
    assert 'back to epoch 2 with 0.5 times the learning rate (roll-back 1 of 1)' in said[0]
    (text, whole), (other, parts) = files(tmp_path / 'whole'), files(tmp_path / 'parts')
    assert text == other
    for a, b in zip(*map(experiment.jax.tree.leaves, (whole, parts)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.hyper['lr'], np.float32([0.05, 0.05]))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get('lr_factor', 1) for line in lines] == [0.5 if line['epoch'] > 2 else 1 for line in lines]
    note, = json.loads((tmp_path / 'whole' / 'rollbacks.json').read_text())
    assert note['epoch'] == 2 and note['lr_factor'] == 0.5 and 'nan at epoch 3' in note['reason']
    with monkeypatch.context() as patch:  # the one roll-back is used up
        diverge_once(5, patch)
        with pytest.raises(loop.Diverged):
            run.run(small('jmi', epochs=6, rollback={'times': 1}), tmp_path / 'whole')
    assert run.restore(ready, tmp_path / 'whole')[1]['epoch'] == 4


def test_a_collapse_is_told_when_it_shows_and_ends_the_run_if_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, 'LOW_GAP', 180.0)
    said = []
    with pytest.raises(cli.Stopped, match='stopped at epoch 2 with a checkpoint.*collapse: the classes have merged') as stop:
        run.run(small('jmi', collapse={'stop': 2}), tmp_path, say=said.append)
    assert stop.value.status == cli.COLLAPSED and len(said) == 1
    assert said[0].startswith('epoch 1: theta: collapse: the classes have merged: their means are ')
    run.run(small('jmi'), tmp_path, say=said.append)  # goes on where it does not matter
    assert json.loads((tmp_path / 'metrics.jsonl').read_text().splitlines()[-1])['epoch'] == 4


@pytest.mark.parametrize('room', ['for lines', 'for nothing'])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, room):
    """Room for lines: checkpoints fail and training goes on. Room for nothing: the line that fails ends it."""
    disk, config = tmp_path / 'disk', small('jmi', seeds=1, checkpoint={'epochs': 1})
    run.run(config, tmp_path / 'whole')
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], capture_output=True, check=False).returncode:
        pytest.skip('needs to mount a small file system, which only root may')
    try:
        train, said = loop.train, []

        def filling(*args, **kwargs):
            for now in train(*args, **kwargs):
                if now.epoch == 2 and not (disk / 'filler').exists():
                    free = shutil.disk_usage(disk).free - (128 * 1024 if room == 'for lines' else 0)
                    (disk / 'filler').write_bytes(bytes(free))
                yield now

        with monkeypatch.context() as patch:
            patch.setattr(loop, 'train', filling)
            with pytest.raises(cli.Stopped, match='the last checkpoint is of epoch 1; .*same command goes on') as stop:
                run.run(config, disk / 'run', say=said.append)
        assert stop.value.status == cli.UNWRITABLE
        text = (disk / 'run' / 'metrics.jsonl').read_text()
        assert text.endswith('\n') and (tmp_path / 'whole' / 'metrics.jsonl').read_text().startswith(text)
        if room == 'for lines':
            assert len(said) == 3 and 'checkpoint 7 could not be saved' in said[0] and 'training goes on' in said[0]
            assert json.loads(text.splitlines()[-1])['epoch'] == 4 and 'the end of the training' in str(stop.value)
        else:
            assert 'cannot write' in str(stop.value) and 'metrics.jsonl: No space left on device' in str(stop.value)
        (disk / 'filler').unlink()
        run.run(config, disk / 'run')
        whole, parts = files(tmp_path / 'whole'), files(disk / 'run')
        assert whole[0] == parts[0]
        for a, b in zip(*(experiment.jax.tree.leaves(state) for _, state in (whole, parts)), strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        subprocess.run(['umount', disk], check=True)


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    with rundir.claim(tmp_path), pytest.raises(ValueError, match='in use by another process'):
        run.run(small('jmi'), tmp_path)


def test_divergence_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path):
    config = small('vicreg', lr=1e6, checkpoint={'minutes': 0.0}, log_every=1)
    with pytest.raises(loop.Diverged, match='(the (joint|marginal|loss) of phase|the parameters of) .* lower lr'):
        run.run(config, tmp_path)
    ready = experiment.setup(config)
    population, progress = run.restore(ready, tmp_path)
    leaves = experiment.jax.tree.leaves(experiment.stacked(population, ready.layout))
    assert progress['chunk'] >= 1 and all(np.isfinite(leaf).all() for leaf in leaves)


def test_digits_run_in_a_host_loop_and_resume(tmp_path, monkeypatch):
    config = small('jmi', 'digits', epochs=2, warmup_epochs=0, batch_size=64, data={'limit': 256}, seeds=1, log_every=2)
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path / 'parts')
    run.run(config, tmp_path / 'parts')
    assert json.loads((tmp_path / 'whole' / 'environment.json').read_text())['mode'] == 'loop'
    assert files(tmp_path / 'whole')[0] == files(tmp_path / 'parts')[0]
    shutil.rmtree(tmp_path)
