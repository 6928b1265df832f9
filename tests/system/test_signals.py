"""SIGTERM at every moment of a run: the process ends within 30 seconds and says what it leaves."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import run, run_folder, signals

ROOT = Path(__file__).parents[2]
RESUMES = 'stopped by SIGTERM with a checkpoint; run the same command to resume'
# On a machine busy with other things, what usually takes a second may take longer than the grace.
LATE = 'stopped by SIGTERM during an operation that takes longer than 25 s; '
# moment -> (epochs, signals sent, the last line, whether the last line of metrics.jsonl is in a
# checkpoint)
LONG = 10_000  # epochs that are not trained within the seconds a moment takes
MOMENTS = {
    'compilation': (LONG, 1, RESUMES, True),
    'long compilation': (
        LONG,
        1,
        (
            'stopped by SIGTERM during an operation that takes longer than 2 s; no checkpoint'
            ' was due yet; run the same command to continue from there'
        ),
        False,
    ),
    'step': (LONG, 1, RESUMES, True),
    'save': (LONG, 1, RESUMES, True),
    'last save': (1, 1, RESUMES, True),
    'evaluation': (LONG, 1, RESUMES, True),
    'probes': (
        1,
        1,
        'stopped by SIGTERM after training, which is saved; run the same command for the rest',
        True,
    ),
    'second signal': (LONG, 2, '', False),
}


@pytest.mark.slow
@pytest.mark.parametrize('moment', MOMENTS)
def test_a_signal_ends_the_run_within_30_seconds(moment, tmp_path):
    epochs, count, words, kept = MOMENTS[moment]
    marker, workdir = tmp_path / 'reached', tmp_path / 'run'
    command = [
        sys.executable,
        '-m',
        'tests.helpers.interrupted',
        moment,
        marker,
        '--config=configs/jmi_gaussian.py',
        '--config.seeds=1',
        f'--config.epochs={epochs}',
        '--config.data.limit=250',
        '--config.batch_size=50',
        '--config.log_every=2',
        '--config.checkpoint.epochs=1',
        '--config.probe.at_end',
        f'--workdir={workdir}',
    ]
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'TFDS_DATA_DIR': str(tmp_path / 'tfds')}
    if moment == 'compilation':
        environment['JAX_ENABLE_COMPILATION_CACHE'] = 'false'
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not marker.exists() and process.poll() is None:
                time.sleep(0.01)
            time.sleep(0.2)
            for _ in range(count):
                process.send_signal(signal.SIGTERM)
                sent = time.monotonic()
                time.sleep(0.2)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    print(
        f'{moment}: status {process.returncode}, {time.monotonic() - sent:.1f} s after the signal'
    )
    assert process.returncode == 128 + signal.SIGTERM, errors
    last = ''.join(errors.strip().splitlines()[-1:])
    if words == RESUMES and last.startswith(LATE):
        assert 'no checkpoint was due yet' in last or 'the last checkpoint is of epoch' in last
        return
    assert last == words, errors
    checkpoints = sorted((workdir / 'checkpoints').glob('[0-9]*/manifest.json'))
    assert bool(checkpoints) == kept
    if kept:
        _, progress = run.restore(build.setup(run_folder.read_config(workdir)), workdir)
        lines = (workdir / 'metrics.jsonl').read_text().splitlines()
        assert progress['epoch'] == json.loads(lines[-1])['epoch']


def test_signals_are_collected_and_handlers_put_back():
    before = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    with contextlib.suppress(signals.Interrupted), signals.watched(lambda: 'here') as asked:
        signal.raise_signal(signal.SIGTERM)
        assert asked == [signal.SIGTERM]
    assert (signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)) == before
    assert 'signals' not in [thread.name for thread in threading.enumerate()]


def test_a_signal_that_nobody_acted_on_is_told_at_the_end():
    with (
        pytest.raises(
            signals.Interrupted, match='stopped by SIGTERM at the end; all is saved'
        ) as stop,
        signals.watched(lambda: 'all is saved'),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.status == 143


def test_a_signal_at_once_raises_what_stands():
    with (
        pytest.raises(signals.Interrupted, match='stopped by SIGINT here') as stop,
        signals.watched(lambda: 'here', at_once=True),
    ):
        signal.raise_signal(signal.SIGINT)
    assert stop.value.status == 130


def test_outside_the_main_thread_nothing_is_changed():
    found = []

    def work():
        with signals.watched(lambda: 'here') as asked:
            found.append(asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]
