"""Configurations that train together: each one's folder is a run's; interrupts and divergence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.figures import probes
from mi_ssl_jax.runs import after_training, run, run_folder, signals
from mi_ssl_jax.runs import probes as frozen
from mi_ssl_jax.sweep import jobs, plan, results
from mi_ssl_jax.train import loop
from tests.helpers import searches, tiny

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module', autouse=True)
def quick(tmp_path_factory):
    """The data in a folder of their own, and probes that take no time; what they find is tested
    elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TFDS_DATA_DIR', str(tmp_path_factory.mktemp('tfds')))
        patch.setattr(
            frozen,
            '_rows',
            lambda encoder, encoded, ready: [
                {
                    'encoder': encoder,
                    'probe': 'linear',
                    'labels': 'all',
                    'top5': [],
                    'protocol': 'none',
                    'seeds': [float(np.mean(own.test)) for own in encoded],
                }
            ],
        )
        with tiny.hardly_optimised():
            yield


@pytest.fixture(scope='module')
def swept(tmp_path_factory):
    """A finished search: four configurations, two seeds each, in one program."""
    folder = tmp_path_factory.mktemp('swept')
    overrides = [*searches.SMALL, '--config.seeds=2']
    found = searches.search(searches.write(folder), folder, overrides=overrides)
    found = found._replace(jobs=found.jobs[:1])
    plan.write(found)
    jobs.work(found, 0)
    return found


def state(folder: Path):
    ready = experiments.setup(run_folder.read_config(folder))
    population, progress = run.restore(ready, folder)
    return experiments.stacked(population), progress


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]


@pytest.mark.slow
def test_a_member_equals_its_own_run(swept, tmp_path):
    """To rounding: alone, the seeds of another population size are compiled to another program."""
    member = swept.members[2]
    after_training.probed(run.run(member.config, tmp_path), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in member.folder.iterdir()
    }
    (own, progress), (alone, its) = state(member.folder), state(tmp_path)
    apart = {'bytes': 0, 'timing': 0, 'best': None}  # a population keeps no best checkpoints
    assert {**progress, **apart} == {**its, **apart}
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for one, other in zip(lines(member.folder), lines(tmp_path), strict=True):
        assert jax.tree.structure(one) == jax.tree.structure(other)
        np.testing.assert_allclose(
            *(jax.tree.leaves(line) for line in (one, other)), rtol=1e-3, atol=1e-4
        )
    found = [probes.read(folder).accuracy[''] for folder in (member.folder, tmp_path)]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.slow
def test_members_differ_in_what_they_were_given(swept):
    """The same two seeds in each, apart by learning rate and temperature alone."""
    states = [state(member.folder)[0] for member in swept.members]
    for own, member in zip(states, swept.members, strict=True):
        np.testing.assert_array_equal(own.key, states[0].key)
        np.testing.assert_allclose(own.hyper['lr'], [member.config.lr] * 2)
        np.testing.assert_allclose(own.hyper['temperature'], [member.config.method.temperature] * 2)
    kernels = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(own.variables)])
        for own in states
    ]
    assert all(
        np.abs(a - b).max() > 1e-3 for number, a in enumerate(kernels) for b in kernels[:number]
    )


@pytest.mark.slow
def test_a_finished_run_is_known_by_main_and_by_the_sweep(swept, monkeypatch):
    said, member = [], swept.members[0]
    ready = run.run(member.config, member.folder, say=said.append)
    assert 'is finished (3 epochs)' in said[0]
    monkeypatch.setattr(frozen, 'probe', lambda *args, **kwargs: pytest.fail('probed twice'))
    after_training.probed(ready, member.folder)
    monkeypatch.setattr(
        experiments, 'setup', lambda config: pytest.fail('worked on a finished job')
    )
    jobs.work(swept, 0)
    assert [results.status(member) for member in swept.members] == ['finished'] * 4
    assert not list((swept.folder / '.jobs').iterdir())


def small(tmp_path, name: str, **options) -> plan.Search:
    folder = tmp_path / name
    folder.mkdir()
    found = searches.search(searches.write(folder, **options), folder)
    found = found._replace(jobs=found.jobs[:1])
    plan.write(found)
    return found


@pytest.mark.slow
def test_interrupted_equals_uninterrupted_to_the_byte(tmp_path, monkeypatch):
    whole, parts = small(tmp_path, 'whole'), small(tmp_path, 'parts')
    jobs.work(whole, 0)
    train = loop.train

    def interrupted(*args, **kwargs):
        for now in train(*args, **kwargs):
            if now.chunk == 3:
                signal.raise_signal(signal.SIGTERM)
            yield now

    with monkeypatch.context() as patch:
        patch.setattr(loop, 'train', interrupted)
        with pytest.raises(signals.Interrupted, match='SIGTERM'):
            jobs.work(parts, 0)
    assert jobs.unfinished(parts.members) == parts.members
    jobs.work(parts, 0)
    for one, other in zip(whole.members, parts.members, strict=True):
        for name in ('metrics.jsonl', 'probe.json'):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
        for a, b in zip(
            *(jax.tree.leaves(state(member.folder)[0]) for member in (one, other)), strict=True
        ):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_probing_goes_on_where_it_stopped(tmp_path, monkeypatch):
    found, write = small(tmp_path, 'probing'), frozen.write

    def stopped(ready, population, workdir, **options):
        if workdir == found.members[2].folder:
            raise KeyboardInterrupt
        return write(ready, population, workdir, **options)

    with monkeypatch.context() as patch:
        patch.setattr(frozen, 'write', stopped)
        with pytest.raises(KeyboardInterrupt):
            jobs.work(found, 0)
    first = [(member.folder / 'probe.json').stat().st_mtime_ns for member in found.members[:2]]
    monkeypatch.setattr(loop, 'train', lambda *args, **kwargs: pytest.fail('trained again'))
    jobs.work(found, 0)
    assert [
        (member.folder / 'probe.json').stat().st_mtime_ns for member in found.members[:2]
    ] == first
    assert not jobs.unfinished(found.members)


@pytest.mark.slow
def test_a_member_that_diverges_leaves_the_others_as_they_are(tmp_path):
    """Its loss overflows within an epoch; the others' files are what they are beside a harmless
    one."""
    calm, wild = small(tmp_path, 'calm'), small(tmp_path, 'wild', rates=(0.1, 1e38))
    for found in (calm, wild):
        jobs.work(found, 0)
    states = [results.status(member) for member in wild.members]
    assert states == ['finished', 'finished', 'diverged', 'diverged']
    for one, other in zip(calm.members[:2], wild.members[:2], strict=True):
        assert (one.folder / 'metrics.jsonl').read_bytes() == (
            other.folder / 'metrics.jsonl'
        ).read_bytes()
    row = results.rows(wild.members)[-1]
    assert 'lower lr' in row['why'] and row['config.lr'] == 1e38
    assert all(
        np.isfinite(np.concatenate(list(line['loss'].values()))).all()
        for line in lines(wild.members[2].folder)
        if 'loss' in line
    )
    jobs.work(wild, 0, say=lambda line: pytest.fail(line))  # nothing is left to do


@pytest.mark.slow
def test_alone_a_member_that_diverges_is_recorded_too(tmp_path):
    file = searches.write(tmp_path, rates=(0.1, 1e38))
    found = searches.search(file, tmp_path, together=1)
    plan.write(found)
    worst = next(number for number, job in enumerate(found.jobs) if job[0].config.lr == 1e38)
    jobs.work(found, worst)
    assert results.status(found.jobs[worst][0]) == 'diverged'
    jobs.work(found, 0)
    assert results.status(found.jobs[0][0]) == 'finished'


def test_a_folder_in_use_is_refused(tmp_path):
    found = small(tmp_path, 'held')
    with (
        run_folder.claim(found.members[1].folder),
        pytest.raises(ValueError, match='in use by another process'),
    ):
        jobs.work(found, 0)


# The command
# --------------------------------------------------------------------------------------------------


def command(*arguments, **environment) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, ROOT / 'launch' / 'sweep.py', *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', **environment},
    )


def test_dry_run_prints_what_would_run_and_writes_nothing(tmp_path):
    arguments = (
        'configs/sweep_digits.py',
        '--method=jmi,barlow',
        f'--workdir={tmp_path}',
        '--dry_run',
    )
    with command(*arguments) as process:
        out, error = process.communicate()
    assert process.returncode == 0, error
    assert 'jmi on digits, grid: 36 configurations in 2 programs, 0 of them done' in out
    assert 'barlow on digits, grid: 12 configurations in 2 programs' in out
    assert 'unfinished  lr0.01-weight_decay0.0001-projector128x64-temperature0.05' in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'arguments, expected',
    [
        (['configs/sweep_digits.py', '--method=jmmi'], "no method 'jmmi' in this search"),
        (
            ['configs/sweep_digits.py', '--method=jmi', '--stage=second'],
            'run it first (--stage=grid)',
        ),
        (['configs/sweep_digits.py', '--stage=third'], 'invalid choice'),
        (['configs/sweep_digits.py', '--epochs=3'], "unexpected argument '--epochs=3'"),
        (['configs/sweep_digits.py', '--job=0'], '--job needs one --method'),
        (['configs/sweep_digit.py'], 'no file configs/sweep_digit.py'),
    ],
)
def test_bad_input_is_one_line_with_status_2(tmp_path, arguments, expected):
    with command(*arguments, f'--workdir={tmp_path}') as process:
        _, error = process.communicate()
    assert process.returncode == 2 and len(error.strip().splitlines()) == 1 and expected in error


@pytest.mark.slow
def test_killed_on_digits_it_goes_on_and_prints_the_table(tmp_path):
    """Killed outright once a configuration is finished: that one is not touched again. Real
    probes."""
    file = searches.write(tmp_path, data='digits')
    arguments = (
        file,
        f'--workdir={tmp_path}',
        '--config.warmup_epochs=0',
        '--config.data.limit=512',
        '--config.batch_size=128',
        '--together=4',
    )
    folder = tmp_path / 'jmi_digits' / 'grid'
    with command(*arguments) as process:
        deadline = time.monotonic() + 600
        while not list(folder.glob('*/probe.json')) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    done = {path: path.read_bytes() for path in folder.glob('*/probe.json')}
    times = {path: path.stat().st_mtime_ns for path in done}
    assert 1 <= len(done) < 8
    with command(*arguments) as process:
        out, error = process.communicate()
    assert process.returncode == 0, error
    assert {path: path.read_bytes() for path in done} == done
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(list(folder.glob('*/probe.json'))) == 8 and 'jmi on digits, grid: 8 finished' in out
    accuracies = [row['accuracy'] for row in json.loads((folder / 'results.json').read_text())]
    assert accuracies == sorted(accuracies, reverse=True) and accuracies[-1] > 50
