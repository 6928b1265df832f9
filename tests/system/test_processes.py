"""Several processes on this machine: they reach what one reaches, and lose nothing when one of them
dies."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from launch import local
from tests.helpers import devices, subprocesses, tiny, two_processes

ROOT = pathlib.Path(__file__).parents[2]
CPU = subprocesses.environment(JAX_PLATFORMS='cpu')
pytestmark = pytest.mark.slow


def test_two_processes_equal_one(tmp_path):
    """In float64, after 6 steps of each phase, over the whole state."""
    environment = CPU | {'JAX_ENABLE_X64': '1', 'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}
    port = str(local.free_port())
    command = [sys.executable, '-m', 'tests.helpers.two_processes', port]
    running = [
        subprocess.Popen(
            [*command, str(process), str(tmp_path)],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for process in range(2)
    ]
    output = [process.communicate(timeout=900)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], '\n'.join(
        text[-2000:] for text in output
    )
    for name, _ in two_processes.CASES:
        with np.load(tmp_path / f'{name}.npz') as arrays:
            two = [arrays[key] for key in arrays.files]
        with (
            tiny.hardly_optimised()
        ):  # as the two: the start is float32, and BYOL amplifies its rounding
            one = devices.one_device(name)[-1]
        assert devices.disagreement(two, jax.tree.leaves(one)) <= 1e-5, name


def launched(workdir, processes):
    """launch/local.py with a run of 20 epochs, a checkpoint after each; with one process, the
    command by itself."""
    arguments = [
        '--config=configs/sdmi_gaussian.py',
        '--config.epochs=20',
        '--config.data.limit=250',
        '--config.batch_size=50',
        '--config.checkpoint.minutes=0',
        '--config.lr=0.1',
        f'--workdir={workdir}',
    ]
    command = (
        [sys.executable, 'launch/local.py', f'--processes={processes}', '--', *arguments]
        if processes > 1
        else [sys.executable, '-m', 'mi_ssl_jax.main', *arguments]
    )
    data = CPU | {'TFDS_DATA_DIR': str(workdir.parent / 'tfds')}
    return subprocess.Popen(
        command, cwd=ROOT, env=data, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finished(process):
    output = process.communicate(timeout=900)[0]
    assert process.returncode == 0, output[-3000:]
    return output


def lines_of(workdir):
    path = workdir / 'metrics.jsonl'
    return path.read_bytes().splitlines() if path.exists() else []


def interrupted(workdir, end):
    """A run of two processes that `end` ends after five log points; its status and output."""
    process = launched(workdir, 2)
    while len(lines_of(workdir)) < 5:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    end(process)
    output = process.communicate(timeout=300)[0]
    assert len(lines_of(workdir)) < 41, 'the run was over too soon'
    return process.returncode, output


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """metrics.jsonl of two processes that nothing disturbs."""
    workdir = tmp_path_factory.mktemp('whole') / 'run'
    finished(launched(workdir, 2))
    return lines_of(workdir)


def kill_the_second(process):
    children = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)


def test_killed_and_started_again_they_resume_to_the_byte(whole, tmp_path):
    status, output = interrupted(tmp_path / 'run', kill_the_second)
    assert status == 128 + signal.SIGKILL, output[-3000:]
    assert 'resuming' in finished(launched(tmp_path / 'run', 2))
    assert lines_of(tmp_path / 'run') == whole


def test_a_signal_to_one_of_them_stops_all_with_a_checkpoint(whole, tmp_path):
    def end_the_second(process):
        children = (
            pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
        )
        os.kill(int(children[1]), signal.SIGTERM)

    status, output = interrupted(tmp_path / 'run', end_the_second)
    assert status == 128 + signal.SIGTERM, output[-3000:]
    assert output.count('stopped by SIGTERM with a checkpoint; run the same command to resume') == 2
    assert 'resuming' in finished(launched(tmp_path / 'run', 2))
    assert lines_of(tmp_path / 'run') == whole


def test_one_process_measures_the_same(whole, tmp_path):
    finished(launched(tmp_path / 'run', 1))
    last, other = json.loads(lines_of(tmp_path / 'run')[-1]), json.loads(whole[-1])
    # float32, 200 steps: rounding, amplified; a wrong share of the data differs in the first
    # digits.
    np.testing.assert_allclose(last['loss']['m'], other['loss']['m'], rtol=1e-2)
    np.testing.assert_allclose(last['mi']['cos_dv'], other['mi']['cos_dv'], rtol=1e-2)


def test_refused_by_all(tmp_path):
    process = subprocess.run(
        [
            sys.executable,
            'launch/local.py',
            '--processes=2',
            '--',
            '--config=configs/jmi_gaussian.py',
            '--config.batch_size=99',
            f'--workdir={tmp_path / "run"}',
        ],
        cwd=ROOT,
        env=CPU | {'TFDS_DATA_DIR': str(tmp_path / 'tfds')},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 2
    assert (
        process.stdout.count('error: batch_size=99 does not divide among 2 devices of 2 processes')
        == 2
    )


def test_slurm_preempts_resumes_and_finishes():
    option = ['--install'] if os.environ.get('MI_SSL_INSTALL_SLURM') else []
    done = subprocess.run(
        ['bash', 'launch/try_slurm.sh', *option],
        cwd=ROOT,
        env=CPU | {'PYTHON': sys.executable},
        capture_output=True,
        text=True,
        timeout=1500,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert 'preempted once, resumed and finished 24 epochs with 2 processes' in done.stdout
