"""What damage, divergence, collapse, a full disk and another configuration do to a run: nothing is
lost, all is said."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mi_ssl_jax.evals import collapse
from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import exits, run, run_folder, signals
from mi_ssl_jax.train import loop
from tests.helpers import runs

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures('own_data_dir')


@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_and_repeats_it(tmp_path):
    """Damage of every kind to every file: tests/runs/test_checkpoint.py."""
    config = runs.small('jmi', checkpoint={'minutes': 0.0})
    run.run(config, tmp_path)
    before = (tmp_path / 'metrics.jsonl').read_bytes()
    newest = sorted((tmp_path / 'checkpoints').glob('[0-9]*'))[-1]
    victim = max(
        (path for path in newest.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size
    )
    victim.write_bytes(victim.read_bytes()[:-7])
    said = []
    run.run(config, tmp_path, say=said.append)
    assert 'set aside' in said[0] and newest.name in said[0] and 'resuming' in said[1]
    assert (
        tmp_path / 'metrics.jsonl'
    ).read_bytes() == before  # trained again from the checkpoint before, to the bit


@pytest.mark.slow
def test_force_goes_on_with_another_configuration_where_the_arrays_fit(tmp_path):
    run.run(runs.small('jmi'), tmp_path)
    said = []
    ready = run.run(runs.small('jmi', lr=0.05, epochs=5), tmp_path, force=True, say=said.append)
    assert 'another configuration: lr (0.1 there, 0.05 here)' in said[0] and 'resuming' in said[1]
    population, progress = run.restore(ready, tmp_path)
    assert progress['epoch'] == 5
    np.testing.assert_array_equal(build.stacked(population).hyper['lr'], np.float32([0.05, 0.05]))
    assert run_folder.read_config(tmp_path).lr == 0.05
    assert json.loads((tmp_path / 'config-0.json').read_text())['lr'] == 0.1
    for changes, reason in (
        ({'batch_size': 25}, 'counts its epochs in other steps'),
        ({'log_every': 5}, 'counts its epochs in other steps'),
        ({'net': {'options': {'mlp': {'widths': (7, 3)}}}}, 'of another network or optimizer'),
    ):
        with pytest.raises(ValueError, match=reason):
            run.run(
                runs.small('jmi', lr=0.05, epochs=6, **changes),
                tmp_path,
                force=True,
                say=said.append,
            )
    assert (
        run_folder.read_config(tmp_path).epochs == 5 and not (tmp_path / 'config-1.json').exists()
    )


@pytest.mark.slow
def test_the_best_evaluation_is_kept_also_by_a_run_that_was_stopped(tmp_path, monkeypatch):
    config = runs.small('jmi', lr=0.5, checkpoint={'epochs': 3})
    run.run(config, tmp_path / 'whole')
    with monkeypatch.context() as patch:
        runs.stop_after(7, patch)
        with pytest.raises(signals.Interrupted):
            run.run(config, tmp_path / 'parts')
    ready = run.run(config, tmp_path / 'parts')
    lines = [
        json.loads(line) for line in (tmp_path / 'whole' / 'metrics.jsonl').read_text().splitlines()
    ]
    values = {line['epoch']: np.mean(line['mi']['cos_dv']) for line in lines if 'mi' in line}
    found = [run.restore(ready, tmp_path / name, best=True) for name in ('whole', 'parts')]
    assert all(progress['epoch'] == max(values, key=values.get) for _, progress in found)
    states = [build.stacked(population) for population, _ in found]
    for a, b in zip(*map(build.jax.tree.leaves, states), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'checkpoint': {'best': 'loss'}},
            "checkpoint.best='loss': use 'mi', 'online_top1', 'rankme', 'lidar', 'alpha_req',"
            " 'alignment', 'uniformity' or 'none'",
        ),
        (
            {'checkpoint': {'best': 'lidar'}, 'mi': {'label_free': ('rankme',)}},
            r"set mi.label_free=\('rankme', 'lidar'\)",
        ),
        (
            {'mi': {'label_free': ('rank',)}},
            "mi.label_free: 'rank' is none of rankme, lidar, alpha_req, alignment, uniformity",
        ),
        ({'mi': {'label_free': ('alpha_req',)}}, 'needs 5 features, but mlp has 3: leave it out'),
        ({'checkpoint': {'best': 'online_top1'}}, 'set probe.online=True'),
        ({'checkpoint': {'keep': 0}}, 'checkpoint.keep=0 must be at least 1'),
        ({'rollback': {'factor': 0.0}}, 'rollback.factor=0.0 must be above 0'),
    ],
)
def test_settings_of_saving_that_cannot_work_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run.run(runs.small('jmi', **changes), tmp_path)


def diverge_once(at, monkeypatch):
    """Make the first line of epoch `at` not finite, once."""
    check, done = loop.check_finite, []

    def fake(line, remedy):
        if line['epoch'] == at and not done:
            done.append(line)
            raise loop.Diverged(f'the loss is nan at epoch {at}: {remedy}')
        check(line, remedy)

    monkeypatch.setattr(loop, 'check_finite', fake)


@pytest.mark.slow
def test_a_divergence_goes_back_with_a_lower_learning_rate_and_resumes_exactly(
    tmp_path, monkeypatch
):
    config = runs.small('jmi', checkpoint={'epochs': 2}, rollback={'times': 1, 'factor': 0.5})
    said = []
    for name in ('whole', 'parts'):
        with monkeypatch.context() as patch:
            diverge_once(3, patch)
            if name == 'parts':
                runs.stop_after(11, patch)
                with pytest.raises(signals.Interrupted):
                    run.run(config, tmp_path / name)
                patch.undo()
            ready = run.run(config, tmp_path / name, say=said.append)
    assert 'back to epoch 2 with 0.5 times the learning rate (roll-back 1 of 1)' in said[0]
    (text, whole), (other, parts) = runs.files(tmp_path / 'whole'), runs.files(tmp_path / 'parts')
    assert text == other
    for a, b in zip(*map(build.jax.tree.leaves, (whole, parts)), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(whole.hyper['lr'], np.float32([0.05, 0.05]))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line.get('lr_factor', 1) for line in lines] == [
        0.5 if line['epoch'] > 2 else 1 for line in lines
    ]
    (note,) = json.loads((tmp_path / 'whole' / 'rollbacks.json').read_text())
    assert note['epoch'] == 2 and note['lr_factor'] == 0.5 and 'nan at epoch 3' in note['reason']
    with monkeypatch.context() as patch:  # the one roll-back is used up
        diverge_once(5, patch)
        with pytest.raises(loop.Diverged):
            run.run(runs.small('jmi', epochs=6, rollback={'times': 1}), tmp_path / 'whole')
    assert run.restore(ready, tmp_path / 'whole')[1]['epoch'] == 4


def test_divergence_names_the_term_and_keeps_the_last_good_checkpoint(tmp_path):
    config = runs.small('vicreg', lr=1e6, checkpoint={'minutes': 0.0}, log_every=1)
    with pytest.raises(
        loop.Diverged, match='(the (joint|marginal|loss) of phase|the parameters of) .* lower lr'
    ):
        run.run(config, tmp_path)
    ready = build.setup(config)
    population, progress = run.restore(ready, tmp_path)
    leaves = build.jax.tree.leaves(build.stacked(population))
    assert progress['chunk'] >= 1 and all(np.isfinite(leaf).all() for leaf in leaves)


def test_a_collapse_is_told_when_it_shows_and_ends_the_run_if_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(collapse, 'LOW_GAP', 180.0)
    said = []
    with pytest.raises(
        exits.Stopped,
        match='stopped at epoch 2 with a checkpoint.*collapse: the classes have merged',
    ) as stop:
        run.run(runs.small('jmi', collapse={'stop': 2}), tmp_path, say=said.append)
    assert stop.value.status == exits.COLLAPSED and len(said) == 1
    named = f'{tmp_path.name}, epoch 1: theta: '  # a command may train several methods
    assert said[0].startswith(f'{named}collapse: the classes have merged: their means are ')
    run.run(runs.small('jmi'), tmp_path, say=said.append)  # goes on where it does not matter
    assert json.loads((tmp_path / 'metrics.jsonl').read_text().splitlines()[-1])['epoch'] == 4


@pytest.mark.slow
@pytest.mark.parametrize('room', ['for lines', 'for nothing'])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, room):
    """Room for lines: checkpoints fail and training goes on. Room for nothing: the line that fails
    ends it."""
    disk, config = tmp_path / 'disk', runs.small('jmi', seeds=1, checkpoint={'epochs': 1})
    run.run(config, tmp_path / 'whole')
    disk.mkdir()
    if subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk], capture_output=True, check=False
    ).returncode:
        pytest.skip('needs to mount a small file system, which only root may')
    try:
        train, said = loop.train, []

        def filling(*args, **kwargs):
            for now in train(*args, **kwargs):
                if now.epoch == 2 and not (disk / 'filler').exists():
                    while not (
                        disk / 'run' / 'checkpoints' / '00000004' / 'manifest.json'
                    ).exists():
                        time.sleep(0.01)  # the checkpoint of epoch 1 is written meanwhile
                    free = shutil.disk_usage(disk).free - (
                        40 * 1024 if room == 'for lines' else 0
                    )  # a checkpoint takes 70
                    (disk / 'filler').write_bytes(bytes(free))
                yield now

        with monkeypatch.context() as patch:
            patch.setattr(loop, 'train', filling)
            with pytest.raises(
                exits.Stopped, match='the last checkpoint is of epoch 1; .*same command to continue'
            ) as stop:
                run.run(config, disk / 'run', say=said.append)
        assert stop.value.status == exits.UNWRITABLE
        text = (disk / 'run' / 'metrics.jsonl').read_text()
        assert text.endswith('\n') and (
            tmp_path / 'whole' / 'metrics.jsonl'
        ).read_text().startswith(text)
        if room == 'for lines':
            failed = [line for line in said if 'could not be saved' in line]
            assert (
                len(failed) == 3
                and 'checkpoint 7 ' in failed[0]
                and 'training goes on' in failed[0]
            )
            assert json.loads(text.splitlines()[-1])[
                'epoch'
            ] == 4 and 'the end of the training' in str(stop.value)
        else:
            assert 'cannot write' in str(
                stop.value
            ) and 'metrics.jsonl: No space left on device' in str(stop.value)
        (disk / 'filler').unlink()
        run.run(config, disk / 'run')
        whole, parts = runs.files(tmp_path / 'whole'), runs.files(disk / 'run')
        assert whole[0] == parts[0]
        for a, b in zip(
            *(build.jax.tree.leaves(state) for _, state in (whole, parts)), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    finally:
        subprocess.run(['umount', disk], check=True)


ON_TWO = """
import pathlib, sys, pytest
from mi_ssl_jax.runs import run, signals
from tests.helpers import runs
with pytest.MonkeyPatch.context() as patch, pytest.raises(signals.Interrupted):
    runs.stop_after(8, patch)
    run.run(runs.small(), pathlib.Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_run_on_two_devices_goes_on_on_one(tmp_path):
    """Interrupted after 8 of 25 chunks; as the run on one device alone, to rounding."""
    two = {
        **os.environ,
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
    }
    subprocess.run(
        [sys.executable, '-c', ON_TWO, tmp_path / 'parts'], cwd=ROOT, env=two, check=True
    )
    assert len(json.loads((tmp_path / 'parts' / 'environment.json').read_text())['devices']) == 2
    said = []
    run.run(runs.small(), tmp_path / 'parts', say=said.append)
    assert said[0].startswith('resuming')
    run.run(runs.small(), tmp_path / 'whole')
    (text, parts), (other, whole) = runs.files(tmp_path / 'parts'), runs.files(tmp_path / 'whole')
    epochs, others = (
        [json.loads(line)['epoch'] for line in lines.splitlines()] for lines in (text, other)
    )
    assert epochs == others
    for a, b in zip(
        *(build.jax.tree.leaves(state.variables) for state in (parts, whole)), strict=True
    ):
        np.testing.assert_allclose(
            a, b, atol=1e-4
        )  # rounding, amplified by the steps; another order of data is 1e-1
