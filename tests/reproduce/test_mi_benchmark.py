"""reproduce mi_benchmark: its grid, its file of cells, what it says of them; and one small
measurement."""

import json

import numpy as np
import pytest

from mi_ssl_jax.data import known_mi
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.figures.paper import mi_benchmark as figures
from mi_ssl_jax.figures.paper import mi_pictures
from mi_ssl_jax.reproduce import mi_benchmark
from mi_ssl_jax.reproduce.mi_benchmark import Cell
from tests.figures.test_pictures import check, drawn  # noqa: F401
from tests.helpers import tiny
from tests.reproduce.test_reproduce import reproduce  # noqa: F401

GRID = {'tasks': None, 'bounds': None, 'critics': None}


def row(task, bound, values, critic='separable', kind='lower'):
    truth = known_mi.load(task)
    return Cell(task, bound, critic, 1000, len(values))._asdict() | {
        'dims': [truth.dx, truth.dy],
        'truth': truth.mi,
        'truth_error': truth.error,
        'kind': kind,
        'ceiling': None,
        'values': values,
    }


ROWS = [
    row('gaussian_3x3_0.5nats', 'infonce', [0.40, 0.46]),
    row('gaussian_3x3_0.5nats', 'dv', [0.60, 0.62]),
    row('gaussian_3x3_0.5nats', 'club', [0.9, 1.1], 'conditional', 'upper'),
    row('gaussian_3x3_4nats', 'infonce', [3.75, 3.95]),
    row('gaussian_3x3_4nats', 'dv', [3.0, None]),
    row('gaussian_3x3_4nats', 'club', [3.0, 3.1], 'conditional', 'upper'),
    row('independent_5x5', 'infonce', [-0.01, 0.0]),
    row('independent_5x5', 'smile', [0.08, 0.1], kind='neither'),
    *(
        row(f'generalised_{size}_beta{beta}', 'gaussian_mi', [0.9 * beta, 1.0], None, 'neither')
        for size in ('1x1', '5x5')
        for beta in (0.5, 1, 2, 8)
    ),
    row('student_1x1_dof3', 'gaussian_mi', [0.5, 0.52], None, 'neither'),
]


# The grid
# --------------------------------------------------------------------------------------------------


def test_default_grid():
    cells = list(mi_benchmark.cells(**GRID, samples=100, fits=2))
    assert len(set(cells)) == len(cells)
    learned = {cell.task for cell in cells if cell.critic}
    assert learned == set(mi_benchmark.TASKS) <= set(known_mi.NAMES)
    assert [cell.task for cell in cells if cell.bound == 'gaussian_mi'] == list(known_mi.NAMES)
    sizes = {name: known_mi.size(name) for name in known_mi.NAMES}
    small = [name for name in known_mi.NAMES if sizes[name] <= mi_benchmark.MOST_KSG]
    assert [cell.task for cell in cells if cell.bound == 'ksg'] == small
    for task in mi_benchmark.TASKS:
        own = [(cell.bound, cell.critic) for cell in cells if cell.task == task]
        bounds = set(estimate.bounds()) - ({'ksg'} if task not in small else set())
        assert {bound for bound, _ in own} == bounds
        assert {critic for bound, critic in own if bound == 'infonce'} == {
            'separable',
            'concatenated',
            'bilinear',
        }
        assert len(own) == len(bounds) + 2


def test_asked_for_grid():
    cells = list(
        mi_benchmark.cells(
            ('student_5x5_dof5',),
            ('dv', 'club', 'gaussian_mi'),
            ('bilinear', 'separable'),
            samples=100,
            fits=2,
        )
    )
    assert [(cell.bound, cell.critic) for cell in cells] == [
        ('dv', 'separable'),
        ('dv', 'bilinear'),
        ('gaussian_mi', None),
    ]


# Cells
# --------------------------------------------------------------------------------------------------


def test_draws_are_fresh_for_each_fit_and_shared_by_the_bounds():
    cell = Cell('mixture_cross_1x1', 'dv', 'separable', 50, 3)
    x, y = mi_benchmark.draws(cell)
    assert x.shape == y.shape == (3, 50, 1)
    assert len(np.unique(x)) == x.size
    np.testing.assert_array_equal(mi_benchmark.draws(cell._replace(bound='infonce'))[0], x)
    assert not np.intersect1d(mi_benchmark.draws(cell._replace(task='student_1x1_dof3'))[0], x).size


def test_measure_and_resume(reproduce, monkeypatch, tmp_path):
    monkeypatch.setattr(
        mi_benchmark.estimate.estimate_each,
        '__kwdefaults__',
        mi_benchmark.estimate.estimate_each.__kwdefaults__ | {'steps': 40},
    )
    arguments = [
        'mi_benchmark',
        '--tasks=gaussian_3x3_1nats,gaussian_3x3_2nats',
        '--bounds=infonce,gaussian_mi',
        '--critics=bilinear',
        '--samples=300',
        '--fits=2',
    ]
    with tiny.hardly_optimised():
        status, out, _ = reproduce(*arguments)
    path = tmp_path / 'out' / 'cells.jsonl'
    lines = path.read_text().splitlines()
    assert status == 0 and '4 cells, 0 of them found' in out and len(lines) == 4
    assert 'Gaussian, 3x3, 1 nats: the best lower bound' in out
    assert '**Every cell**' in (tmp_path / 'out' / 'report.md').read_text()
    found = {
        (json.loads(line)['task'], json.loads(line)['bound']): json.loads(line) for line in lines
    }
    exact = found['gaussian_3x3_1nats', 'gaussian_mi']
    assert (
        exact['critic'] is None and exact['dims'] == [3, 3] and exact['truth'] == pytest.approx(1.0)
    )
    # Standard error of one fit: rho sqrt(3 / 300); bias 9 / 600.
    np.testing.assert_allclose(exact['values'], 1.0, atol=0.3)

    path.write_text('\n'.join(lines[:2]) + '\n' + lines[2][:40])  # killed while it wrote the third
    with tiny.hardly_optimised():
        status, out, _ = reproduce(*arguments)
    assert status == 0 and '4 cells, 2 of them found' in out
    assert sorted(path.read_text().splitlines()) == sorted(lines)  # the same numbers again
    status, out, _ = reproduce(
        *arguments, '--fits=3', '--bounds=gaussian_mi'
    )  # other settings are other cells
    assert '2 cells, 0 of them found' in out


def test_a_stop_keeps_what_is_done(reproduce, monkeypatch, tmp_path):
    measured = []

    def measure(cell):
        if measured:
            raise KeyboardInterrupt
        measured.append(cell)
        return row(cell.task, cell.bound, [0.1, 0.2], cell.critic)

    monkeypatch.setattr(mi_benchmark, 'measure', measure)
    status, _, error = reproduce('mi_benchmark', '--tasks=independent_1x1', '--bounds=dv,nwj')
    assert status == 130 and 'run the same command to continue' in error
    assert len((tmp_path / 'out' / 'cells.jsonl').read_text().splitlines()) == 1


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--tasks=gaussian'], "no task 'gaussian'; there are gaussian_3x3_0.5nats"),
        (['--bounds=jsd'], "no bound 'jsd'; there are dv"),
        (['--critics=mlp'], "no critic 'mlp'; there are bilinear"),
        (['--bounds=club', '--critics=bilinear'], 'none of these bounds is learned with bilinear'),
        (['--fits=1'], '--fits must be at least 2'),
        (
            ['--samples=50', '--bounds=dv', '--tasks=independent_1x1'],
            '50 samples leave 30 to train on',
        ),
    ],
)
def test_bad_input_is_one_line(reproduce, arguments, words):
    status, _, error = reproduce('mi_benchmark', *arguments)
    assert status == 2 and words in error and len(error.strip().splitlines()) == 1


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / 'cells.jsonl'
    mi_benchmark.append(path, ROWS[4])
    assert json.loads(path.read_text())['values'] == [3.0, None]
    assert list(mi_benchmark.read(path)) == [Cell('gaussian_3x3_4nats', 'dv', 'separable', 1000, 2)]
    with open(path, 'a') as file:
        file.write('{"task": 1}\n')
    with pytest.raises(ValueError, match='line 2 of .*cells.jsonl is damaged: remove that line'):
        mi_benchmark.read(path)


@pytest.mark.slow
def test_gaussians_of_known_information():
    for task in (*(f'gaussian_3x3_{mi:g}nats' for mi in known_mi.TARGETS), 'independent_5x5'):
        rows = [
            mi_benchmark.measure(Cell(task, bound, critic, 10_000, 3))
            for bound, critic in (('infonce', 'separable'), ('club', 'conditional'))
        ]
        lower, upper = map(figures.estimated, rows)
        if lower.truth:
            assert abs(lower.bias) < max(0.1, 0.05 * lower.truth) and not lower.above
            assert upper.mean > upper.truth
        else:
            assert abs(lower.mean) < 0.05


# What is said and drawn
# --------------------------------------------------------------------------------------------------


def test_verdicts():
    assert figures.verdicts([figures.estimated(one) for one in ROWS]) == [
        (
            'Gaussian, 3x3, 0.5 nats: the best lower bound, infonce separable, gives 0.430 ± 0.030:'
            ' within 0.1 nats.'
        ),
        (
            'Gaussian, 3x3, 4 nats: the best lower bound, infonce separable, gives 3.850 ± 0.100:'
            ' within 0.2 nats.'
        ),
        (
            'Lower bounds: 3 of 5 cells have their mean below the truth plus two standard errors of'
            ' their fits; above it: dv separable on gaussian_3x3_0.5nats (0.610 ± 0.010, truth'
            ' 0.500).'
        ),
        (
            'Of cells whose expectation is the truth itself, 15% lie so by chance at 2 fits; more'
            ' --fits tell.'
        ),
        'Not finite: dv separable on gaussian_3x3_4nats (nan ± nan, truth 4.000).',
        (
            'Upper bounds: 1 of 2 cells have their mean above the truth less two standard errors of'
            ' their fits; below it: club on gaussian_3x3_4nats (3.050 ± 0.050, truth 4.000).'
        ),
        (
            'independent_5x5: 1 of 2 estimates within 0.05 nats of zero; further: smile separable'
            ' on independent_5x5 (0.090 ± 0.010, truth 0.000).'
        ),
    ]


def test_a_bound_that_is_far_off_is_said_to_be():
    verdict, *_ = figures.verdicts(
        [figures.estimated(row('gaussian_3x3_2nats', 'dv', [1.8, 1.85]))]
    )
    assert verdict.endswith('gives 1.825 ± 0.025: NOT within 0.1 nats.')


def test_rounding_puts_no_estimate_above_the_truth():
    assert not figures.estimated(row('independent_5x5', 'dv', [2.4e-7, 2.4e-7])).above
    assert figures.estimated(row('independent_5x5', 'dv', [2.4e-5, 2.4e-5])).above


def test_tables():
    found = [figures.estimated(one) for one in ROWS]
    cells = figures.table(found)
    assert cells.rows[1] == (
        'gaussian_3x3_0.5nats',
        'dv separable',
        'lower',
        '0.610',
        '0.010',
        '0.500',
        '+0.110',
    )
    over = figures.overview(found)
    assert over.header == (
        'task',
        'truth',
        'infonce separable',
        'dv separable',
        'club',
        'smile separable',
        'gaussian_mi',
    )
    assert len(over.notes) == 1 and not figures.overview(found[:1]).notes
    assert over.rows[0] == ('gaussian_3x3_0.5nats', '0.50', '0.43', '0.61*', '1.00', '', '')
    assert figures.table([found[0]._replace(truth_error=3e-4)]).rows[0][5] == '0.500 ± 3e-04'


def test_pictures(drawn, tmp_path):
    paths = mi_pictures.draw([figures.estimated(one) for one in ROWS], tmp_path)
    assert [path.name for path in paths] == ['estimates.png', 'gaussian_mi.png']
    for path, figure in zip(paths, drawn, strict=True):
        check(path, figure)
    ax = drawn[0].axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        'independent_5x5',
        'gaussian_3x3_0.5nats',
        'gaussian_3x3_4nats',
    ]
    left, right = drawn[1].axes
    betas, errors = left.containers[0].lines[0].get_xydata().T
    np.testing.assert_allclose(betas, [0.5, 1, 2, 8])
    expected = [
        (0.9 * beta + 1.0) / 2 - known_mi.load(f'generalised_1x1_beta{beta:g}').mi for beta in betas
    ]
    np.testing.assert_allclose(errors, expected)
    assert len(right.containers) == 1
