"""Tables against numbers worked out by hand."""

import json

import pytest

from mi_ssl_jax.figures import methods, run_files, tables
from tests.helpers import synthetic_runs


def write(folder, name, gaps, *, mi=((0.1, 0.2, 0.3),), std=0.57, rank=2.5):
    """A run with these last mean gaps, one a seed, min 1 below, max 2 above, SD 3; mi: a curve a
    seed."""
    branches = synthetic_runs.BRANCHES.get(name, ('theta',))
    figures = {
        'std': [std] * len(gaps),
        'effective_rank': [rank] * len(gaps),
        'nn_gap': {
            'mean': gaps,
            'min': [gap - 1 for gap in gaps],
            'max': [gap + 2 for gap in gaps],
            'sd': [3.0] * len(gaps),
        },
    }
    lines = [
        {
            'epoch': epoch,
            'mi': {estimator: [curve[epoch] for curve in mi] for estimator in run_files.ESTIMATORS},
            'collapse': dict.fromkeys(branches, figures),
        }
        for epoch in range(len(mi[0]))
    ]
    synthetic_runs.write(folder, name, seeds=len(gaps), epochs=0)
    (folder / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    return folder


def test_table2_rows(tmp_path):
    table = tables.table2(
        {
            'jmi': write(tmp_path / 'jmi', 'jmi', [88.0, 86.0, 84.0]),
            'sdmi': write(tmp_path / 'sdmi', 'sdmi', [69.0]),
        }
    )
    assert table.rows == [
        (
            'SDMI f',
            '74.47',
            '72.78',
            '77.60',
            '1.76',
            '69.00',
            '68.00',
            '71.00',
            '3.00',
            '–',
            '69 to 69',
            '69.00',
            'no (-5.5)',
        ),
        (
            'SDMI g',
            '73.77',
            '72.16',
            '75.06',
            '1.32',
            '69.00',
            '68.00',
            '71.00',
            '3.00',
            '–',
            '69 to 69',
            '69.00',
            'yes (-4.8)',
        ),
        (
            'JMI',
            '88.26',
            '85.49',
            '94.03',
            '3.36',
            '86.00',
            '85.00',
            '88.00',
            '3.00',
            '2.0',
            '84 to 88',
            '86.00',
            'yes (-2.3)',
        ),
    ]
    assert table.notes[0].startswith('Ours: 1 to 3 seeds.') and len(table.notes) == 1


@pytest.mark.parametrize(
    'jmi, sdmi, words',
    [(88.0, 74.0, ': ordered'), (70.0, 74.0, ': not ordered'), (88.0, 49.0, ': not ordered')],
)
def test_table2_says_whether_the_medians_are_ordered(tmp_path, jmi, sdmi, words):
    gaps = {'jmi': jmi, 'sdmi': sdmi, 'mocov3': 50.0, 'simsiam': 40.0, 'byol': 38.0}
    table = tables.table2({name: write(tmp_path / name, name, [gap]) for name, gap in gaps.items()})
    assert words in table.notes[1].replace(')', '')


def test_all_rows_come_in_the_papers_order(tmp_path):
    table = tables.table2(
        {name: write(tmp_path / name, name, [60.0]) for name in reversed(methods.METHODS)}
    )
    assert [row[0] for row in table.rows] == [
        'SDMI f',
        'SDMI g',
        'SimSiam',
        'MoCo-v3',
        'BYOL',
        'JMI',
        'SimCLR',
        'Barlow Twins',
        'VICReg',
    ]


def test_growth_of_mutual_information(tmp_path):
    # Epoch 0 does not count. Seed 1 rises; seed 2 falls once by 0.0005, so ranks 2, 1, 3, 4: rho =
    # 0.8.
    curves = ((9.0, 0.1, 0.2, 0.3, 0.4), (9.0, 0.2005, 0.2, 0.3, 1.7))
    table = tables.growth({'jmi': write(tmp_path / 'jmi', 'jmi', [88.0, 88.0], mi=curves)})
    assert table.rows[0] == ('JMI', 'cos-DV', '0.900', '0.83', '1.00', '1.050', '1.700', 'no')
    assert table.rows[2][1] == 'JSD' and table.rows[2][-1] == '–'
    below = tables.growth({'jmi': write(tmp_path / 'low', 'jmi', [88.0], mi=((0.0, 0.1, 0.2),))})
    assert below.rows[1] == ('JMI', 'InfoNCE', '1.000', '1.00', '1.00', '0.200', '0.200', 'yes')


def test_ablations_at_two_lengths(tmp_path):
    table = tables.ablations(
        {
            'SDMI': {100: write(tmp_path / 'a', 'sdmi', [70.0, 72.0])},
            'SimSiam': {
                1000: write(tmp_path / 'c', 'simsiam', [36.0], std=0.539, rank=1.9),
                100: write(tmp_path / 'b', 'simsiam', [48.0]),
            },
        }
    )
    assert table.header == (
        'Variant',
        'NN gap (°) 100',
        'NN gap (°) 1000',
        'std 100',
        'std 1000',
        'effective rank 100',
        'effective rank 1000',
    )
    assert table.rows == [
        ('SDMI f', '71.0 ± 1.4', '–', '0.570 ± 0.000', '–', '2.50 ± 0.00', '–'),
        ('SDMI g', '71.0 ± 1.4', '–', '0.570 ± 0.000', '–', '2.50 ± 0.00', '–'),
        ('SimSiam', '48.0', '36.0', '0.570', '0.539', '2.50', '1.90'),
    ]


def test_markdown_and_text():
    table = tables.Table(
        'A title', ('Model', 'gap'), [('SDMI f', '74.47'), ('JMI', '8')], ('A note.',)
    )
    assert (
        tables.markdown(table)
        == '**A title**\n\n| Model | gap |\n| --- | ---: |\n| SDMI f | 74.47 |\n| JMI | 8 |\n\nA'
        ' note.\n'
    )
    assert (
        tables.text(table)
        == 'A title\n\nModel     gap\n------  -----\nSDMI f  74.47\nJMI         8\n\nA note.\n'
    )
