"""A run in its folder: resuming, finishing, refusing; by the same functions that the command
calls."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from configs import jmi_gaussian
from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import run, run_folder, signals
from mi_ssl_jax.train import loop
from tests.helpers import runs

pytestmark = pytest.mark.usefixtures('own_data_dir')


@pytest.mark.parametrize(
    'name, stop',
    [
        ('sdmi', 6),
        pytest.param('simsiam', 5, marks=pytest.mark.slow),
        pytest.param('byol', 9, marks=pytest.mark.slow),
    ],
)
def test_resumed_equals_uninterrupted_to_the_bit(tmp_path, monkeypatch, name, stop):
    config = runs.small(name)
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        runs.stop_after(stop, patch)
        with pytest.raises(signals.Interrupted, match='SIGTERM with a checkpoint'):
            run.run(config, tmp_path / 'parts')
    run.run(config, tmp_path / 'parts')
    whole, parts = runs.files(tmp_path / 'whole'), runs.files(tmp_path / 'parts')
    assert whole[0] == parts[0]
    for a, b in zip(*(build.jax.tree.leaves(state) for _, state in (whole, parts)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_chunks_whose_state_is_needed_are_waited_for(tmp_path, monkeypatch):
    """Four epochs of three chunks, evaluated every second epoch, saved at the third."""
    config, held, train = (
        runs.small('jmi', mi={'every': 2}, checkpoint={'epochs': 3}),
        [],
        loop.train,
    )

    def seen(*args, **kwargs):
        for now in train(*args, **kwargs):
            held.append(now.epoch) if now.population is not None else None
            yield now

    monkeypatch.setattr(loop, 'SLOW', np.inf)
    monkeypatch.setattr(loop, 'train', seen)
    run.run(config, tmp_path)
    assert held == [0, 2, 3, 4]


@pytest.mark.slow
def test_lines_written_after_the_last_checkpoint_are_dropped_on_resume(tmp_path, monkeypatch):
    config = runs.small('jmi')
    with monkeypatch.context() as patch:
        runs.stop_after(3, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path)
    with open(tmp_path / 'metrics.jsonl', 'a') as file:
        file.write('{"epoch": 99, "half a li')
    run.run(config, tmp_path)
    epochs = [
        json.loads(line)['epoch'] for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()
    ]
    assert epochs == sorted(set(epochs)) and epochs[-1] == 4


def test_without_a_terminal_every_evaluation_is_a_line_that_names_the_run(tmp_path, capsys):
    run.run(runs.small('jmi'), tmp_path / 'mine')
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(':')[0] for line in lines] == [f'mine, epoch {n} of 4' for n in range(5)]
    assert all('MI ' in line and line.endswith(' nats') for line in lines)


def test_finished_run_says_so_and_more_epochs_extend_it(tmp_path):
    run.run(runs.small('jmi'), tmp_path)
    said = []
    run.run(runs.small('jmi'), tmp_path, say=said.append)
    assert 'is finished (4 epochs)' in said[0]
    before = (tmp_path / 'metrics.jsonl').read_text()
    run.run(runs.small('jmi', epochs=6), tmp_path, say=said.append)
    after = (tmp_path / 'metrics.jsonl').read_text()
    assert after.startswith(before) and json.loads(after.splitlines()[-1])['epoch'] == 6


def test_metrics_hold_terms_mutual_information_collapse_and_centres(tmp_path):
    run.run(runs.small('simsiam'), tmp_path)
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert lines[0]['epoch'] == 0 and lines[0]['mi']['cos_dv'] == [
        None,
        None,
    ]  # I(0) = -infinity (section 4.2)
    last = lines[-1]
    assert set(last['mi']) == {'cos_dv', 'infonce', 'jsd'} and len(last['mi']['jsd']) == 2
    assert not any('mi_interval' in line for line in lines[:-1])  # of the end of training alone
    for name, interval in last['mi_interval'].items():
        assert all(np.array(interval['low']) < last['mi'][name]) and all(
            last['mi'][name] < np.array(interval['high'])
        )
    assert set(last['collapse']['online']) == {'std', 'effective_rank', 'nn_gap'}
    assert np.shape(last['centres']['online']) == (2, 2, 5, 3)
    assert set(last['loss']) == {'e'} and 'marginal' not in last  # SimSiam has no marginal term
    environment = json.loads((tmp_path / 'environment.json').read_text())
    assert environment['packages']['jax'] and environment['mode'] == 'scan'


@pytest.mark.slow
def test_loop_and_scan_reach_the_same_state(tmp_path):
    run.run(runs.small('sdmi', mode='scan'), tmp_path / 'scan')
    run.run(runs.small('sdmi', mode='loop'), tmp_path / 'loop')
    _, scan = runs.files(tmp_path / 'scan')
    _, looped = runs.files(tmp_path / 'loop')
    for a, b in zip(
        *(build.jax.tree.leaves(state.variables) for state in (scan, looped)), strict=True
    ):
        np.testing.assert_allclose(
            a, b, atol=1e-4
        )  # rounding, amplified by 40 steps; a wrong order of data is 1e-1


def test_alternating_by_minibatch_takes_the_same_number_of_steps(tmp_path):
    run.run(runs.small('sdmi', period=1), tmp_path)
    last = json.loads((tmp_path / 'metrics.jsonl').read_text().splitlines()[-1])
    assert last['step'] == {'e': 20, 'm': 20} and set(last['loss']) == {'e', 'm'}


def evaluations(lines):
    """Steps of all phases at each line that holds an evaluation."""
    return [sum(line.get('step', {}).values()) for line in lines if 'mi' in line]


@pytest.mark.slow
def test_evaluations_by_steps_come_at_the_first_log_point_after_them_and_change_nothing_else(
    tmp_path, monkeypatch
):
    by_epochs, by_steps = runs.small('jmi'), runs.small('jmi', mi={'every_steps': 4})
    run.run(by_epochs, tmp_path / 'epochs')
    with monkeypatch.context() as patch:
        runs.stop_after(8, patch)
        with pytest.raises(signals.Interrupted):
            run.run(by_steps, tmp_path / 'steps')
    run.run(by_steps, tmp_path / 'steps')
    (epochs, one), (steps, other) = (runs.files(tmp_path / name) for name in ('epochs', 'steps'))
    epochs, steps = ([json.loads(line) for line in text.splitlines()] for text in (epochs, steps))
    # An epoch of 5 steps has chunks of 2, 2 and 1, which end at 2, 4, 5, 7, 9, 10, 12, 14, ...
    assert evaluations(steps) == [0, 4, 9, 12, 17, 20] and evaluations(epochs) == [0, 5, 10, 15, 20]
    measured = ('mi', 'collapse', 'centres')
    assert [{key: line[key] for key in line if key not in measured} for line in epochs] == [
        {key: line[key] for key in line if key not in measured} for line in steps
    ]
    assert epochs[-1] == steps[-1]
    for a, b in zip(*(build.jax.tree.leaves(state) for state in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluations_between_log_points_are_refused(tmp_path):
    with pytest.raises(ValueError, match='mi.every_steps=1 must be 0 or at least log_every=2'):
        run.run(runs.small('jmi', mi={'every_steps': 1}), tmp_path)


def test_the_mode_is_chosen_for_several_devices_too():
    """On one device twice: nothing is placed, only the trial step is traced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            build.parallel,
            'choose_devices',
            lambda count: tuple(build.jax.devices()[:1] * 2),
        )
        assert build.setup(runs.small('jmi')).layout.mode == 'scan'
        assert build.setup(runs.small('jmi', 'digits', warmup_epochs=0)).layout.mode == 'loop'


def test_another_configuration_is_refused_with_the_differing_fields(tmp_path):
    run.run(runs.small('jmi'), tmp_path)
    with pytest.raises(ValueError, match=r'another configuration: lr \(0.1 there, 0.05 here\)'):
        run.run(runs.small('jmi', lr=0.05), tmp_path)


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    with run_folder.claim(tmp_path), pytest.raises(ValueError, match='in use by another process'):
        run.run(runs.small('jmi'), tmp_path)


@pytest.mark.slow
def test_digits_run_in_a_host_loop_and_resume(tmp_path, monkeypatch):
    config = runs.small(
        'jmi',
        'digits',
        epochs=2,
        warmup_epochs=0,
        batch_size=64,
        data={'limit': 256},
        seeds=1,
        log_every=2,
    )
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        runs.stop_after(3, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path / 'parts')
    run.run(config, tmp_path / 'parts')
    assert json.loads((tmp_path / 'whole' / 'environment.json').read_text())['mode'] == 'loop'
    assert runs.files(tmp_path / 'whole')[0] == runs.files(tmp_path / 'parts')[0]
    shutil.rmtree(tmp_path)


def test_a_folder_of_an_earlier_version_has_null_for_an_unset_block_size(tmp_path):
    config = jmi_gaussian.get_config()
    config.method.block_size = 0
    run_folder.keep_config(config, tmp_path)
    stored = json.loads((tmp_path / 'config.json').read_text())
    stored['method']['block_size'] = None
    (tmp_path / 'config.json').write_text(json.dumps(stored))
    assert run_folder.read_config(tmp_path).method.block_size == 0
    run_folder.check_same(config, tmp_path, force=False, say=pytest.fail)
    (tmp_path / 'config.json').write_text('{"method": 3}')
    with pytest.raises(ValueError, match='config.json is damaged'):
        run_folder.read_config(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_convolutions(tmp_path):
    """As it began, and as XLA has them if it began before there was a choice; always told."""
    config, said = runs.small('jmi', epochs=1), []
    run.run(config, tmp_path, say=said.append)
    kept = json.loads((tmp_path / 'config.json').read_text())
    assert kept['net'].pop('convolution') == 'fast'
    run_folder.write_json(tmp_path / 'config.json', kept)
    assert run_folder.read_config(tmp_path).net.convolution == 'xla'
    told = f"continuing in {tmp_path} with net.convolution='xla', as the run began"
    for epochs in (2, 3):
        said.clear()
        run.run(runs.small('jmi', epochs=epochs), tmp_path, say=said.append)
        assert told in said and run_folder.read_config(tmp_path).net.convolution == 'xla'
    run.run(runs.small('jmi', epochs=4), tmp_path, force=True, say=said.append)
    assert run_folder.read_config(tmp_path).net.convolution == 'fast'
    assert 'net.convolution (xla there, fast here)' in str(said)


def test_auto_is_decided_when_a_run_is_created_and_kept(tmp_path, monkeypatch):
    config = runs.small('jmi', epochs=1)
    config.net.dtype = 'auto'
    ready = run.run(config, tmp_path, say=lambda line: None)
    assert ready.config.net.dtype == 'float32'
    assert json.loads((tmp_path / 'config.json').read_text())['net']['dtype'] == 'float32'
    monkeypatch.setattr(build.jax, 'default_backend', lambda: 'gpu')
    assert build.decided(config).net.dtype == 'bfloat16'
    monkeypatch.undo()
    own = run_folder.begun(config, tmp_path, say=pytest.fail)
    assert own == {'net.dtype': 'float32'}
    run_folder.check_same(config, tmp_path, force=False, say=pytest.fail)


def forget_streams(folder):
    """Make a checkpoint one of a version that did not write which streams it draws from."""
    progress = json.loads((folder / 'progress.json').read_text())
    del progress['streams']
    text = json.dumps(progress)
    (folder / 'progress.json').write_text(text)
    manifest = json.loads((folder / 'manifest.json').read_text())
    manifest['progress.json'] = hashlib.sha256(text.encode()).hexdigest()
    (folder / 'manifest.json').write_text(json.dumps(manifest))


def test_a_run_that_drew_other_random_numbers_is_read_but_not_continued(tmp_path):
    run.run(runs.small('jmi'), tmp_path)
    newest = max((tmp_path / 'checkpoints').glob('[0-9]*'))
    forget_streams(newest)
    said = []
    run.run(runs.small('jmi'), tmp_path, say=said.append)
    assert 'is finished (4 epochs)' in said[0]
    runs.files(tmp_path)
    before = (tmp_path / 'metrics.jsonl').read_bytes()
    for force in (False, True):
        with pytest.raises(ValueError, match='drew other random numbers'):
            run.run(runs.small('jmi', epochs=6), tmp_path, force=force)
    assert (tmp_path / 'metrics.jsonl').read_bytes() == before
