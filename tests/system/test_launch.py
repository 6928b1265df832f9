"""The launchers: what they would run, how local.py ends its processes, and refusals."""

import pathlib
import shlex
import signal
import socket
import subprocess
import sys

import pytest

from launch import local, slurm
from mi_ssl_jax.runs import processes

ROOT = pathlib.Path(__file__).parents[2]


def launch(name, *arguments):
    return subprocess.run(
        [sys.executable, f'launch/{name}.py', *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_local_prints_its_commands():
    done = launch(
        'local',
        '--processes=3',
        '--dry_run',
        '--',
        '--config=configs/jmi_gaussian.py',
        '--config.data.name=a b',
    )
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    assert len(commands) == 3
    for number, command in enumerate(commands):
        assert command[:5] == [
            sys.executable,
            '-m',
            'mi_ssl_jax.main',
            '--config=configs/jmi_gaussian.py',
            '--config.data.name=a b',
        ]
        told = dict(word.lstrip('-').split('=') for word in command[5:])
        here = processes.place(
            {},
            coordinator=told['coordinator'],
            processes=int(told['processes']),
            process=int(told['process']),
        )
        assert here[1:3] == (3, number) and here.coordinator == commands[0][5].partition('=')[2]
        assert here.coordinator.startswith('127.0.0.1:')


def test_local_finds_a_free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', local.free_port()))


def test_each_process_has_a_gpu_unless_told_otherwise():
    assert local.environment({}, 1)['JAX_LOCAL_DEVICE_IDS'] == '1'
    assert local.environment({'JAX_LOCAL_DEVICE_IDS': '3'}, 1)['JAX_LOCAL_DEVICE_IDS'] == '3'
    assert local.environment({'PYTHONPATH': '/mine'}, 0)['PYTHONPATH'] == f'{ROOT}:/mine'


def python(*programs):
    return [[sys.executable, '-c', program] for program in programs]


@pytest.fixture
def signals():
    """The handlers that local.run replaces come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_local_numbers_the_lines(signals, capfd):
    assert local.run(python('print("a\\nb")', 'import sys; print("c", file=sys.stderr)')) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ['[0] a', '[0] b', '[1] c']


def test_one_failure_ends_all(signals, monkeypatch):
    monkeypatch.setattr(local, 'PATIENCE', 0.2)
    endless = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)'
    assert local.run(python(endless, 'raise SystemExit(3)')) == 3
    assert local.run(python('import os; os.abort()', endless)) == 128 + signal.SIGABRT


def test_signals_go_to_all(signals):
    quiet = (
        'import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));'
        ' print(1); time.sleep(60)'
    )
    signalled = (
        'import os, signal, time; time.sleep(1); os.kill(os.getppid(), signal.SIGTERM);'
        ' time.sleep(60)'
    )
    assert local.run(python(quiet, quiet, signalled)) == 143


@pytest.mark.parametrize(
    'name, arguments, message',
    [
        ('local', ['--processes=0', '--', '--config=x.py'], '--processes=0 must be at least 1'),
        ('local', ['--processes=two', '--', '--config=x.py'], "invalid int value: 'two'"),
        ('local', ['--processes=2'], 'arguments'),
        (
            'slurm',
            ['--', '--workdir=x'],
            'no configuration: end the line with -- --config=configs/NAME.py',
        ),
        (
            'slurm',
            ['--nodes=0', '--', '--config=x.py'],
            "--nodes: '0' is not a whole number of at least 1",
        ),
        (
            'slurm',
            ['--gpus=-1', '--', '--config=x.py'],
            "--gpus: '-1' is not a whole number of at least 0",
        ),
        ('slurm', ['--time=tomorrow', '--', '--config=x.py'], "--time: 'tomorrow' is not a time"),
        (
            'slurm',
            ['--partition=a b', '--', '--config=x.py'],
            "--partition: 'a b' has characters that names cannot have",
        ),
    ],
)
def test_bad_arguments_end_in_one_line(name, arguments, message):
    done = launch(name, *arguments)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count('\n') == 1


def directives(text):
    return dict(
        line.removeprefix('#SBATCH --').partition('=')[::2]
        for line in text.splitlines()
        if line.startswith('#SB')
    )


def test_slurm_prints_its_batch_file(tmp_path):
    arguments = ['--config=configs/jmi_digits.py', '--config.data.dir=/my data/$HOME']
    done = launch(
        'slurm',
        '--nodes=2',
        '--gpus=8',
        '--cpus=12',
        '--partition=gpu',
        '--time=1-00:00:00',
        '--notice=300',
        f'--folder={tmp_path}',
        '--dry_run',
        '--',
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    assert directives(done.stdout) == {
        'job-name': 'jmi_digits',
        'nodes': '2',
        'ntasks-per-node': '1',
        'gpus-per-node': '8',
        'cpus-per-task': '12',
        'partition': 'gpu',
        'time': '1-00:00:00',
        'signal': 'TERM@300',
        'open-mode': 'append',
        'requeue': '',
        'output': f'{tmp_path}/%x-%j.out',
    }
    (command,) = (line for line in done.stdout.splitlines() if line.startswith('srun'))
    assert shlex.split(command)[-5:-1] == ['-m', 'mi_ssl_jax.main', *arguments]
    assert not list(tmp_path.iterdir())
    assert subprocess.run(['bash', '-n'], input=done.stdout, text=True).returncode == 0


def batch_ends(tmp_path, step, *, terminate=False):
    """Run a batch file whose srun is `step`; its exit status, and how scontrol was called."""
    options = slurm.parser().parse_args(['--name=x', f'--folder={tmp_path}', '--', '--config=x.py'])
    for name, body in (('srun', step), ('scontrol', f'echo "$@" >>{tmp_path}/calls')):
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\n{body}\n')
        (tmp_path / name).chmod(0o755)
    environment = {'PATH': f'{tmp_path}:/usr/bin:/bin', 'SLURM_JOB_ID': '7'}
    process = subprocess.Popen(
        ['bash', '-c', slurm.batch_file(options, options.arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if terminate:
        assert process.stdout.readline() == 'ready\n'
        process.terminate()
    process.communicate(timeout=60)
    calls = tmp_path / 'calls'
    return process.returncode, calls.read_text() if calls.exists() else ''


@pytest.mark.parametrize('status, calls', [(0, ''), (2, ''), (3, ''), (143, 'requeue 7\n')])
def test_a_job_that_was_stopped_in_time_queues_again(tmp_path, status, calls):
    assert batch_ends(tmp_path, f'exit {status}') == (status, calls)


def test_a_job_that_slurm_ends_waits_for_the_run_and_leaves_the_queue_to_slurm(tmp_path):
    assert batch_ends(tmp_path, 'echo ready; sleep 1; exit 143', terminate=True) == (143, '')


def test_slurm_writes_the_file_and_submits_it(tmp_path):
    (tmp_path / 'sbatch').write_text('#!/bin/sh\necho "Submitted $1"\n')
    (tmp_path / 'sbatch').chmod(0o755)
    command = [
        sys.executable,
        'launch/slurm.py',
        '--name=try',
        f'--folder={tmp_path}/jobs',
        '--',
        '--config=x.py',
    ]
    done = subprocess.run(
        command, cwd=ROOT, env={'PATH': f'{tmp_path}:/usr/bin:/bin'}, capture_output=True, text=True
    )
    path = tmp_path / 'jobs' / 'try.sbatch'
    assert done.stdout == f'wrote {path}\nSubmitted {path}\n'
    assert '--config=x.py' in path.read_text()
    done = subprocess.run(
        command, cwd=ROOT, env={'PATH': str(tmp_path / 'jobs')}, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.startswith('error: there is no sbatch here')
