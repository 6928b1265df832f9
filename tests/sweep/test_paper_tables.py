"""configs/sweep_cifar.py against Tables 3, 4 and 5 (tests/paper.json)."""

import importlib
import itertools
import json
import pathlib

import pytest
from ml_collections import ConfigDict

from configs import sweep_cifar

PAPER = json.loads((pathlib.Path(__file__).parents[1] / 'paper.json').read_text())
RUNS = list(itertools.product(sweep_cifar.METHODS, sweep_cifar.DATA))


def load(name: str) -> ConfigDict:
    return importlib.import_module(f'configs.{name}').get_config()


def applied(flags: dict) -> ConfigDict:
    config = load(pathlib.Path(flags['config']).stem)
    config.update_from_flattened_dict(flags, 'config.')
    return config


@pytest.mark.parametrize('name', sweep_cifar.DATA)
def test_sweep_has_the_counts_of_table_4(name):
    assert {method: len(sweep_cifar.grid(method, name)) for method in sweep_cifar.METHODS} == PAPER[
        'table4_configurations'
    ]
    assert sum(PAPER['table4_configurations'].values()) == 192


@pytest.mark.parametrize('method, name', RUNS)
def test_sweep_visits_every_combination_of_table_3_once(method, name):
    table = PAPER['table3_sweep1']
    axes = [table['lr'], table['weight_decay'], table['projection_dim']]
    tempered = method in table['temperature']['methods']
    axes += [table['temperature']['values']] if tempered else []
    visited = []
    for config in map(applied, sweep_cifar.grid(method, name)):
        assert (config.epochs, config.seed) == (table['epochs'], table['seed'])
        assert config.net.projector[:-1] == (table['feature_dim'],) * (
            table['projection_layers'] - 1
        )
        assert (config.method.name, config.data.name) == (method, name)
        point = (config.lr, config.weight_decay, config.net.projector[-1])
        visited.append((*point, config.method.temperature) if tempered else point)
    assert sorted(visited) == sorted(itertools.product(*axes))


@pytest.mark.parametrize('method, name', RUNS)
def test_sweep_ends_in_table_5(method, name):
    """Its row is a point of the grid, with the second stage or without; the last one is the
    configuration."""
    row, goal = PAPER['table5_best'][method][name], load(f'{method}_{name}')
    best = [
        flags
        for flags in sweep_cifar.grid(method, name)
        if (flags['config.lr'], flags['config.weight_decay']) == (row['lr'], row['weight_decay'])
        and flags['config.net.projector'][-1] == row['projection_dim']
        and flags.get('config.method.temperature') == row['temperature']
    ]
    assert len(best) == 1
    winner = sweep_cifar.second_stage(best[0]) if row['projection_layers'] == 3 else best[0]
    assert applied(sweep_cifar.final(winner)).to_dict() == goal.to_dict()
