"""Bad input to the command: one line, status 2, before anything is compiled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mi_ssl_jax.methods import table7
from tests.helpers import subprocesses, tiny

ROOT = Path(__file__).parents[2]


def command(*arguments, module='main', **environment):
    """Run a command of the package; its compilation would show in the log."""
    return subprocess.run(
        [sys.executable, '-m', f'mi_ssl_jax.{module}', *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_LOG_COMPILES': '1', **environment},
    )


CASES = {
    'misspelt field': (['--config.epoch=5'], "no config field 'epoch'; did you mean 'epochs'?"),
    'misspelt nested field': (
        ['--config.method.temperatur=5'],
        "did you mean 'method.temperature'?",
    ),
    'wrong type': (['--config.epochs=many'], 'many'),
    'batch larger than the data': (['--config.batch_size=3000'], 'has 2500 training examples'),
    'unknown method': (['--config.method.name=jmii'], "did you mean 'jmi'?"),
    'unknown objective': (
        ['--config.method.objective=kl'],
        "unknown objective 'kl'; use one of chi_squared, dv",
    ),
    'unknown data set': (['--config.data.name=cifar11'], "unknown data set 'cifar11'"),
    'batch of one': (['--config.batch_size=1'], 'a batch of one has no marginal pairs'),
    'unknown network': (['--config.net.name=resnet1'], "unknown network 'resnet1'"),
    'unknown optimizer': (['--config.optimizer.name=lamb'], "use 'sgd', 'adam', 'adamw' or 'lars'"),
    'too many devices': (['--config.devices=99'], 'this machine has'),
    'unwritable workdir': (['--workdir=/proc/nowhere'], 'cannot write to workdir'),
    'stray argument': (['fast'], "unexpected argument 'fast'"),
}


@pytest.mark.parametrize('case', CASES)
def test_bad_input_is_one_line_with_status_2(case, tmp_path):
    arguments, expected = CASES[case]
    if case != 'unwritable workdir':
        arguments = [*arguments, f'--workdir={tmp_path}/run']
    result = command(
        '--config=configs/jmi_gaussian.py', *arguments, TFDS_DATA_DIR=str(tmp_path / 'tfds')
    )
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1 and expected in lines[0], result.stderr
    assert 'Traceback' not in result.stderr and 'jit(step)' not in result.stderr
    assert not (tmp_path / 'run').exists()


def test_missing_configuration_names_the_nearest_file(tmp_path):
    result = command('--config=configs/jmi_gausian.py')
    assert result.returncode == 2 and 'did you mean configs/jmi_gaussian.py?' in result.stderr
    assert command().stderr.strip() == 'error: no configuration: give --config=configs/NAME.py'


def test_a_file_that_is_no_configuration_is_named():
    result = command('--config=configs/sweep_cifar.py')
    assert result.returncode == 2
    assert (
        result.stderr.strip()
        == 'error: configs/sweep_cifar.py defines no get_config(): it is not the '
        'configuration of a run'
    )


def test_probe_and_reproduce_answer_bad_input_with_one_line(tmp_path):
    for module, arguments in (
        ('probe', [f'--workdir={tmp_path}']),
        ('reproduce', ['gaussian', '--methods=jmmi']),
        ('reproduce', ['gaussian', '--seeds=0']),
    ):
        result = command(*arguments, module=module)
        assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1, (
            result.stderr
        )


def test_list_prints_table_7_as_the_paper_has_it():
    rows = {
        row['method']: (row['update'], row['objective'], row['paradigm'])
        for row in table7.rows(tiny.arguments)
    }
    em, joint = ('EM', 'MI surrogate', 'SDMI'), ('Joint', 'MI surrogate', 'JMI')
    paper = {
        'byol': em,
        'simsiam': em,
        'mocov3': ('EM', 'explicit MI', 'SDMI'),
        'simclr': ('Joint', 'explicit MI', 'JMI'),
        'barlow': joint,
        'vicreg': joint,
    }
    assert {name: rows[name] for name in paper} == paper
    assert rows['mmi'] == ('Joint', 'explicit MI', 'JMI')
    assert rows['mmi, momentum_encoder=True'] == ('EM', 'explicit MI', 'SDMI')
    text = table7.text(tiny.arguments)
    assert all(name in text for name in rows) and 'stop_gradient' in text


def test_compiled_programs_are_kept_for_the_next_command(tmp_path, monkeypatch):
    """JAX may have been imported, and have read the environment, before the command names the
    cache.
    """
    monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
    code = 'import jax, sys; from mi_ssl_jax.cli import cpu_tuning; '
    code += 'cpu_tuning.use_compilation_cache(); jax.jit(lambda x: x + 1)(1.0)'
    environment = subprocesses.environment(JAX_PLATFORMS='cpu')
    subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        check=True,
        env={name: value for name, value in environment.items() if 'CACHE' not in name},
    )
    assert list((tmp_path / '.cache' / 'jax').iterdir())


def test_the_package_says_what_there_is_to_run():
    result = subprocess.run(
        [sys.executable, '-m', 'mi_ssl_jax'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [line.split()[2] for line in result.stdout.splitlines()[1:]]
    for name in names:
        path = ROOT / name.replace('.', '/')
        assert path.with_suffix('.py').exists() or (path / '__main__.py').exists(), name
    assert 'mi_ssl_jax.main' in names and len(names) == 13


def test_print_shows_the_resolved_configuration():
    result = command('--config=configs/sdmi_digits.py', '--print', '--config.lr=0.2')
    assert result.returncode == 0, result.stderr
    assert any(line.startswith('* lr ') and ' 0.2 ' in line for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--config.learning_rate=1'], "no config field 'learning_rate'; did you mean 'lr'?"),
        (['--config.optimizer=adam'], 'set one of them, such as --config.optimizer.name='),
        (['--config=README.md'], 'README.md is not a Python file'),
    ],
)
def test_what_is_meant_is_said(arguments, message):
    given = ['--config=configs/jmi_gaussian.py', *arguments]
    result = command(*(given if 'README' not in arguments[0] else arguments))
    assert result.returncode == 2 and message in result.stderr and 'Traceback' not in result.stderr
