"""What tests hand the processes that they start."""

import os
import pathlib

from tests.helpers import subprocesses

ROOT = pathlib.Path(__file__).parents[1]


def test_the_callers_path_is_kept(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/mine')
    found = subprocesses.environment(MORE='1')
    assert found['PYTHONPATH'] == f'{ROOT}{os.pathsep}/mine' and found['MORE'] == '1'
    monkeypatch.delenv('PYTHONPATH')
    assert subprocesses.environment()['PYTHONPATH'] == str(ROOT)


def test_no_test_overwrites_it():
    overwriting = "'PYTHONPATH': " + 'str('
    assert not [p for p in (ROOT / 'tests').rglob('*.py') if overwriting in p.read_text()]
