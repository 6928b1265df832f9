"""launch/measure.sh: every part at toy size, results written, a failing part stops no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = 'env,simclr,jmi,sdmi,critic,seeds,r50'


def measured(folder, *arguments, **environment):
    result = subprocess.run(
        ['bash', ROOT / 'launch' / 'measure.sh', '--smoke', *arguments],
        env={
            **os.environ,
            'OUT': str(folder / 'out'),
            'SCRATCH': str(folder / 'scratch'),
            'PYTHON': sys.executable,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=1200,
    )
    lines = (folder / 'out' / 'results.jsonl').read_text().splitlines()
    return result, [json.loads(line) for line in lines]


@pytest.mark.slow
def test_every_part_runs_at_toy_size(tmp_path):
    result, lines = measured(tmp_path, f'--parts={PARTS}')
    assert result.returncode == 0 and 'FAILED OR SKIPPED: none' in result.stdout, result.stdout
    numbers = {line['part'] for line in lines if 'event' not in line}
    assert numbers == set(PARTS.split(','))
    assert all(line['views_s'] > 0 for line in lines if 'views_s' in line)
    assert (tmp_path / 'out' / 'table.txt').read_text() in result.stdout


def test_a_part_that_fails_is_named_and_stops_no_other(tmp_path):
    """Without a pilot there is nothing to probe, and without data there is no pilot."""
    result, lines = measured(tmp_path, '--parts=pilot,probe')
    assert result.returncode == 0
    assert [line['skipped'] for line in lines] == ['no prepared data', 'no pilot']
    assert 'pilot: skipped: no prepared data | probe: skipped: no pilot' in result.stdout


def ran(script, *arguments):
    done = subprocess.run(
        [sys.executable, ROOT / 'launch' / 'measuring' / script, *arguments],
        capture_output=True,
        text=True,
        timeout=1200,
        check=True,
    )
    return [line.strip('| ').split(' | ') for line in done.stdout.splitlines() if line[0] == '|']


@pytest.mark.slow
def test_steps_on_a_cpu_take_turns():
    size = ['--network=conv4', '--size=8', '--batch=2', '--rounds=3', '--steps=1']
    title, _, *rows = ran('on_cpu.py', *size, '--forms=xla,fast')
    assert title[0] == 'form' and [row[0] for row in rows] == ['xla', 'fast']
    assert rows[0][3] == '1.00 (1.00 to 1.00)' and all(float(row[1]) > 0 for row in rows)


@pytest.mark.slow
def test_every_convolution_is_held_against_float64():
    title, _, *rows = ran('convolutions.py', '--network=conv4', '--size=16', '--rounds=1')
    assert len(title) == 9 and [row[0] for row in rows] == [
        '3x3, 3 to 16',
        '3x3, 16 to 32, stride 2',
        '3x3, 32 to 32, stride 2',
        '3x3, 32 to 64, stride 2',
    ]
    errors = [float(own) for row in rows for cell in row[3:6] for own in cell.split(', ')]
    assert 0 < max(errors) < 1e-5
