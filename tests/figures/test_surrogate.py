"""From DV to Barlow Twins: the tables say what the numbers say, the picture is whole."""

import json
import re

import numpy as np
import pytest

from mi_ssl_jax.figures import style
from mi_ssl_jax.figures.paper import surrogate
from tests.figures.test_pictures import check

EPOCHS = (0, 4, 8)


def record(epoch, rng):
    """A record whose numbers tell where they come from."""
    made = {'epoch': epoch}
    for critic in ('cosine 0.1', 'cosine 1', 'dot 0.1', 'dot 1'):
        names = (
            'joint',
            'exact',
            'second_order',
            'mean',
            'variance',
            'bound',
            'range_bound',
            'auto',
            'auto_off',
            'cross',
            'squares',
            'eq13',
            'barlow',
            'barlow_1',
            'chi_squared',
            'width',
        )
        made[critic] = {name: list(rng.uniform(0.1, 1.0, 2)) for name in names}
        exact = np.array(made[critic]['exact'])
        made[critic].update(bound=[0.5, 0.5], second_order=list(exact + 0.25))
    made['dot 0.1'].update(
        variance=[3.0, 3.2], auto=[3.1, 3.1], auto_off=[0.2, 0.2], squares=[0.1, 0.3]
    )
    made['dot 1'].update(auto_off=[0.4, 0.4], squares=[0.1, 0.1])
    made['dot 0.1'].update(width=[3.0, 3.0], barlow_1=[epoch, epoch], chi_squared=[-epoch, epoch])
    made['dot 1'].update(width=[3.0, 3.0], barlow_1=[0.5, 0.5], chi_squared=[1.0, 1.5])
    return made


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    runs = {name: [record(epoch, rng) for epoch in EPOCHS] for name in ('barlow', 'jmi')}
    target = tmp_path / 'surrogate.json'
    target.write_text(json.dumps({'points': 500, 'seeds': 2, 'epochs': 8, 'runs': runs}))
    return target


def test_report_draws_and_tabulates(path, monkeypatch):
    figures, save = [], style.save
    monkeypatch.setattr(
        style, 'save', lambda figure, to: (figures.append(figure), save(figure, to))[1]
    )
    picture, page = surrogate.report(path)
    check(picture, figures[0])
    assert '## Where the steps differ' in page.read_text() and 'surrogate.png' in page.read_text()


def test_tables_hold_the_means_over_seeds(path):
    steps, temperature, noise = surrogate.tables(path)
    found = {row[0]: row[1:] for row in steps.rows}
    assert (
        found['Var[T]'] == ('3.100',) * 4
        and found['sum over i ≠ j of C_ij² (Eq. 13)'] == ('0.200',) * 4
    )
    loss, exact = (
        np.array(found[name], float) for name in ('−DV, second order (Eq. 24)', '−DV, exact')
    )
    np.testing.assert_allclose(loss - exact, 0.25, atol=2e-3)
    assert [row[0] for row in temperature.rows[:2]] == [
        'Barlow Twins, temperature 1',
        'Barlow Twins, temperature 0.1',
    ]
    assert {row[3] for row in temperature.rows} == {'0.250'}
    assert noise.rows[-1] == ('JMI, view noise 1', '0.4000', noise.rows[-1][2], '0.1000', '0.25')


def test_findings_notice_a_remainder_beyond_its_bound(path):
    assert len(re.findall('never exceeded: yes', '\n'.join(surrogate.findings(path)))) == 2
    found = json.loads(path.read_text())
    found['runs']['jmi'][1]['cosine 0.1']['bound'] = [0.5, 0.2]
    path.write_text(json.dumps(found))
    lines = '\n'.join(surrogate.findings(path))
    assert len(re.findall('never exceeded: no', lines)) == 1
    assert 'with view noise 1 they are 25 % of them' in lines


def test_chi_squared_is_compared_with_barlow_twins_of_weight_one(path):
    """3 + epoch and 3 - epoch of the two seeds: one rises with Barlow Twins' loss, one falls."""
    steps, *_ = surrogate.tables(path)
    assert {row[0]: row[1:] for row in steps.rows}['D − chi-squared bound'] == ('3.000',) * 4
    (line, _) = [line for line in surrogate.findings(path) if 'chi-squared' in line]
    assert line.startswith('Barlow Twins, D minus the chi-squared bound is Barlow Twins’ loss')
    assert '3.000 for 8.000 at the end, rank correlation 0.00 along training' in line
    assert line.endswith('with view noise 1 1.750 for 0.500.')


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(ValueError, match='run python -m mi_ssl_jax.reproduce surrogate'):
        surrogate.text(tmp_path / 'none.json')
