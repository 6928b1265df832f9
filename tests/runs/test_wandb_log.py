"""Logging to Weights & Biases, without an account and without a network: by its interface, and with
the library itself, offline, where it is installed."""

import importlib
import json
import subprocess
import sys
import types

import pytest

from mi_ssl_jax.runs import wandb_log
from tests.helpers import subprocesses


def config(project):
    found = importlib.import_module('configs.jmi_gaussian').get_config()
    found.wandb = project
    return found


class Wandb(types.ModuleType):
    """Takes what the library's own interface takes, and notes it."""

    class Error(Exception):
        pass

    def __init__(self):
        super().__init__('wandb')
        self.runs, self.points, self.metrics, self.finished = [], [], [], 0

    def init(self, *, project, id, resume, name, dir, config):
        self.runs.append({'project': project, 'id': id, 'resume': resume, 'config': config})
        return self

    def define_metric(self, name, *, step_metric=None):
        self.metrics.append((name, step_metric))

    def log(self, values):
        self.points.append(values)

    def finish(self):
        self.finished += 1


def test_log_points_go_to_one_run_a_folder(tmp_path, monkeypatch):
    library = Wandb()
    monkeypatch.setitem(sys.modules, 'wandb', library)
    for _ in range(2):  # the second time as a resumed run
        tracker = wandb_log.Tracker(config('mine'), tmp_path)
        tracker.write({'epoch': 1, 'mi': {'cos_dv': [0.25, 0.75]}, 'step': {'joint': 3}}, step=3)
        tracker.close()
    first, second = library.runs
    assert first == second and first['project'] == 'mine' and first['resume'] == 'allow'
    assert first['config']['batch_size'] == config('').batch_size
    assert library.points[0] == {'epoch': 1, 'step': 3, 'mi/cos_dv': 0.5}
    assert library.metrics[:2] == [('step', None), ('*', 'step')] and library.finished == 2


def test_what_wandb_refuses_is_one_line(tmp_path, monkeypatch):
    library = Wandb()
    monkeypatch.setitem(sys.modules, 'wandb', library)

    def refuse(**options):
        raise library.Error('no key\nsomewhere')

    monkeypatch.setattr(library, 'init', refuse)
    with pytest.raises(ValueError, match=r'^wandb cannot begin \(no key\): set WANDB_MODE=offline'):
        wandb_log.Tracker(config('mine'), tmp_path)


def test_without_a_project_nothing_is_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)  # importing it raises ImportError
    wandb_log.check(config(''))
    tracker = wandb_log.Tracker(config(''), tmp_path)
    tracker.write({'epoch': 1}, step=0)
    tracker.close()


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    with pytest.raises(
        ValueError,
        match=r"wandb is not installed: pip install 'mi_ssl_jax\[wandb\]', or set wandb=''",
    ):
        wandb_log.check(config('mine'))


# The library itself
# --------------------------------------------------------------------------------------------------

BLOCK = 32_768  # of an offline run's file, a log of LevelDB's form behind seven bytes


def in_a_process(code, path, **environment):
    """Run code with the real library, in a process of its own: it keeps its first settings."""
    pytest.importorskip('wandb', reason="needs wandb: pip install 'mi_ssl_jax[wandb]'")
    return subprocess.run(
        [sys.executable, '-c', code, str(path)],
        env={**subprocesses.environment(), 'HOME': str(path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def records(path):
    """The records of an offline run, as it would be sent."""
    from wandb.proto import wandb_internal_pb2

    content, at, part = path.read_bytes(), 7, b''
    assert content.startswith(b':W&B')
    while at + 7 <= len(content):
        left = BLOCK - at % BLOCK
        kind = content[at + 6]
        if left < 7 or kind == 0:  # the rest of a block is filled up
            at += left
            continue
        length = int.from_bytes(content[at + 4 : at + 6], 'little')
        part += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            part = b''
            yield record


OFFLINE = """
import importlib, pathlib, sys
from mi_ssl_jax.runs import wandb_log
config = importlib.import_module('configs.jmi_gaussian').get_config()
config.wandb = 'mine'
tracker = wandb_log.Tracker(config, pathlib.Path(sys.argv[1]))
for step in (3, 6, 3, 9):  # after 6 a roll-back
    line = {'epoch': step / 3, 'mi': {'cos_dv': [0.25, step]}, 'step': {'joint': step}}
    tracker.write(line, step=step)
tracker.close()
"""


def test_the_real_library_keeps_every_point_offline(tmp_path):
    done = in_a_process(OFFLINE, tmp_path, WANDB_MODE='offline', WANDB_SILENT='true')
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob('wandb/offline-run-*/run-*.wandb')
    found = list(records(path))
    (run,) = [record.run for record in found if record.HasField('run')]
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert run.project == 'mine' and run.display_name == tmp_path.name
    assert settings['method']['name'] == 'jmi' and settings['lr'] == config('').lr
    points = [
        {'/'.join(item.nested_key) or item.key: json.loads(item.value_json) for item in own.item}
        for own in (record.history for record in found if record.HasField('history'))
    ]
    assert [point['step'] for point in points] == [3, 6, 3, 9]
    assert [point['mi/cos_dv'] for point in points] == [1.625, 3.125, 1.625, 4.625]
    assert [point['epoch'] for point in points] == [1, 2, 1, 3]


def test_the_real_library_without_a_login_is_one_line(tmp_path):
    done = in_a_process(OFFLINE, tmp_path, WANDB_MODE='online', WANDB_API_KEY='')
    assert 'ValueError: wandb cannot begin (No API key configured.' in done.stderr
