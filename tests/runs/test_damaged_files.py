"""Damaged files of a run: one line that names the file and says what to do, or made anew."""

import importlib
import json
import shutil
import sys

import numpy as np
import pytest

from mi_ssl_jax.cli import guard
from mi_ssl_jax.experiment import build
from mi_ssl_jax.figures import probes as figure_probes
from mi_ssl_jax.figures import report, run_files
from mi_ssl_jax.runs import after_training, run, run_folder
from tests.helpers import probed, runs, synthetic_runs

NO_OBJECT = ['', '{', '[]', 'null', '"x"', '{"seeds": 1}', b'\xff\xfe{}', '[' * 100_000]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def message(call, *arguments):
    with pytest.raises(ValueError) as caught:
        call(*arguments)
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize('content', NO_OBJECT)
@pytest.mark.parametrize('name', ['config.json', 'probe.json'])
def test_a_damaged_description_of_a_run_is_named(tmp_path, name, content):
    folder = synthetic_runs.write(tmp_path / 'run', 'jmi', seeds=1, epochs=2)
    write(folder / name, content)
    said = message(figure_probes.read, folder)
    assert f'{folder}/{name} is ' in said and 'anew' in said
    assert f'{folder}/{name} is ' in message(report.write, folder)
    if name == 'config.json':
        said = message(run_folder.read_config, folder)
        assert str(folder / name) in said


@pytest.mark.parametrize(
    'line',
    [
        '',
        '[]',
        '{"epoch": 1',
        b'\xff',
        '{"epoch": "1"}',
        '{"epoch": 2, "mi": {"cos_dw": [1.0]}}',
        '{"epoch": 2, "mi": {"cos_dv": [1.0], "infonce": [1.0], "jsd": [1.0, 2.0]}}',
        '{"epoch": 2, "loss": {"joint": ["x"]}}',
    ],
)
def test_a_damaged_line_of_the_log_is_named(tmp_path, line):
    folder = synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=2)
    path = folder / 'metrics.jsonl'
    lines = path.read_bytes().splitlines()
    lines[1] = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b'\n'.join(lines))
    for call in (report.write, run_files.read):
        said = message(call, folder)
        assert f'line 2 of {path} is ' in said and 'train it anew in another workdir' in said


def test_a_probe_result_with_rows_of_other_shape_is_damaged(tmp_path):
    folder = probed.write(tmp_path / 'run', 'jmi', [60.0])
    whole = json.loads((folder / 'probe.json').read_text())
    for rows in (
        [],
        [{}],
        [{**whole['rows'][0], 'seeds': []}],
        [{**whole['rows'][0], 'seeds': 'x'}],
    ):
        (folder / 'probe.json').write_text(json.dumps({**whole, 'rows': rows}))
        said = message(figure_probes.read, folder)
        assert said.startswith(f'{folder}/probe.json is damaged: python -m mi_ssl_jax.probe')


@pytest.fixture(scope='module')
def original(tmp_path_factory, own_data_dir):
    """A finished run."""
    folder = tmp_path_factory.mktemp('runs') / 'run'
    run.run(runs.small('jmi', epochs=1, seeds=1, log_every=10), folder)
    return folder


@pytest.fixture
def finished(original, tmp_path):
    shutil.copytree(original, tmp_path / 'run')
    return tmp_path / 'run'


@pytest.mark.parametrize('command', ['probe', 'embed', 'estimate_mi'])
@pytest.mark.parametrize('content', ['', '{"seeds": 1}', b'\xff', '[]'])
def test_commands_name_a_damaged_configuration(finished, monkeypatch, capsys, command, content):
    module = importlib.import_module(f'mi_ssl_jax.{command}')
    write(finished / 'config.json', content)
    monkeypatch.setattr(sys, 'argv', ['command', f'--workdir={finished}'])
    assert guard.guard(module.main) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and f'{finished}/config.json' in line


def test_training_names_a_damaged_configuration(finished):
    config = run_folder.read_config(finished)
    (finished / 'config.json').write_text('{"seeds":')
    said = message(run.run, config, finished)
    assert f'{finished}/config.json is not JSON' in said and 'remove it' in said
    (finished / 'config.json').unlink()
    run.run(config, finished)
    assert run_folder.read_config(finished) == config


def test_a_finished_run_whose_log_was_cut_is_not_drawn_from_the_rest(finished):
    config, path = run_folder.read_config(finished), finished / 'metrics.jsonl'
    path.write_bytes(b''.join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert f'{path} has ' in message(run.run, config, finished)


def test_a_damaged_probe_result_is_told_and_made_anew(finished, monkeypatch, capsys):
    ready = build.setup(run_folder.read_config(finished))
    made = {'settings': {}, 'rows': []}
    monkeypatch.setattr(after_training.probes, 'write', lambda *args, **options: made)
    (finished / 'probe.json').write_text('{"rows": [')
    assert after_training.probed(ready, finished) is made
    assert f'{finished}/probe.json is not JSON' in capsys.readouterr().out


def test_damaged_roll_backs_are_named(finished):
    config = run_folder.read_config(finished)
    (finished / 'rollbacks.json').write_text('{}')
    assert f'{finished}/rollbacks.json is damaged' in message(run.run, config, finished)


@pytest.mark.parametrize('raw', [b'', b'\x93NUMPY', b'\x93NUMPY\x01\x00\x10\x00{"descr": (\xff'])
def test_damaged_arrays_are_named(tmp_path, monkeypatch, capsys, raw):
    path = tmp_path / 'x.npy'
    path.write_bytes(raw)
    np.save(tmp_path / 'y.npy', np.zeros((4, 2)))
    monkeypatch.setattr(sys, 'argv', ['command', str(path), str(tmp_path / 'y.npy')])
    assert guard.guard(importlib.import_module('mi_ssl_jax.estimate_mi').main) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f'{path} holds no plain array of numbers' in line
