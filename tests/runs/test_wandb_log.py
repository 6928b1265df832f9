"""Logging to Weights & Biases, of which only the interface is here: the tests have no account and
no network."""

import importlib
import sys
import types

import pytest

from mi_ssl_jax.runs import wandb_log


def config(project):
    found = importlib.import_module('configs.jmi_gaussian').get_config()
    found.wandb = project
    return found


class Wandb(types.ModuleType):
    """Takes what the library's own interface takes, and notes it."""

    def __init__(self):
        super().__init__('wandb')
        self.runs, self.points, self.finished = [], [], 0

    def init(self, *, project, id, resume, name, dir, config):
        self.runs.append({'project': project, 'id': id, 'resume': resume, 'config': config})
        return self

    def log(self, values, *, step):
        self.points.append((step, values))

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
    assert library.points[0] == (3, {'epoch': 1, 'mi/cos_dv': 0.5}) and library.finished == 2


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
