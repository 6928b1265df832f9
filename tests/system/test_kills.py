"""Kill -9 at twenty random moments of digits runs, several of them in a save: nothing is lost and
nothing is wrong.

A run is killed, resumed, killed again, ... until it ends; then it must equal the uninterrupted one,
and another begins.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from mi_ssl_jax.experiment import build
from mi_ssl_jax.runs import run
from tests.helpers import killed

ROOT = Path(__file__).parents[2]
TRIALS = 20
KINDS = ('any', 'save', 'any', 'save', 'start')  # what is aimed at


def start(workdir):
    return subprocess.Popen(
        [sys.executable, '-m', 'tests.helpers.killed', workdir],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
    )


def size(workdir):
    """Bytes of metrics.jsonl; 0 before it is there."""
    path = workdir / 'metrics.jsonl'
    return path.stat().st_size if path.exists() else 0


def saving(workdir):
    """Whether the newest checkpoint is being written: its manifest, which comes last, is not
    there."""
    return any(
        not (path / 'manifest.json').exists() for path in (workdir / 'checkpoints').glob('[0-9]*')
    )


def kill(workdir, delay, kind):
    """Let a run go on until it has written a line, then for `delay` seconds; kill it, then or in
    its next 'save'. 'start' counts from the start of the process, which loads and compiles.

    Returns None when it ended before, else where it stood: the epoch of its last line, and whether
    it was saving.
    """
    process = start(workdir)
    try:
        before = size(workdir)
        while kind != 'start' and size(workdir) <= before and process.poll() is None:
            time.sleep(0.002)
        moment = time.monotonic() + delay
        while process.poll() is None and (
            time.monotonic() < moment or kind == 'save' and not saving(workdir)
        ):
            time.sleep(0.001)
    finally:
        process.kill()
        _, errors = process.communicate()
    if process.returncode == 0:
        return None
    assert process.returncode == -9, errors
    text = (workdir / 'metrics.jsonl').read_text() if size(workdir) else ''
    epochs = [
        json.loads(line)['epoch'] for line in text.splitlines(keepends=True) if line.endswith('\n')
    ]
    assert epochs == sorted(set(epochs)), 'a step stands twice'
    return max(epochs, default=0), saving(workdir)


def end(workdir):
    """Resume to the end. Returns metrics.jsonl and the final arrays."""
    ready = run.run(killed.config(), workdir, say=lambda line: None)
    population, progress = run.restore(ready, workdir)
    assert progress['epoch'] == killed.EPOCHS
    best, _ = run.restore(ready, workdir, best=True)
    states = [build.stacked(own) for own in (population, best)]
    return (workdir / 'metrics.jsonl').read_bytes(), jax.tree.leaves(states)


def assert_equal(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_run_equals_the_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    whole, chance, table, number = end(tmp_path / 'whole'), random.Random(5), [], 0
    print('\ntrial  run  killed  seconds  epoch  in a save')
    while len(table) < TRIALS:
        workdir = tmp_path / f'run{number}'
        kind = KINDS[len(table) % len(KINDS)]
        delay = chance.uniform(0, 4 if kind == 'start' else 1.5)
        found = kill(workdir, delay, kind)
        if found is not None:
            table.append(found)
            equal = 'yes' if found[1] else 'no'
            print(
                f'{len(table):5d} {number:4d}  {kind:6} {delay:8.2f} {found[0]:6.1f}  {equal}',
                flush=True,
            )
        if found is None or len(table) == TRIALS:
            assert_equal(whole, end(workdir))
            shutil.rmtree(workdir)
            number += 1
    assert sum(during for _, during in table) >= TRIALS // 4
