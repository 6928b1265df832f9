"""Pictures are written whole, show the numbers they are made from; nothing in them is cut off or
overlaps."""

import itertools
import json

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from mi_ssl_jax.figures import curves, methods, one_run, run_files, spheres, style
from mi_ssl_jax.figures.paper import ablations, gaussian, proposition
from tests.helpers import synthetic_runs

ABLATIONS = (
    'SDMI',
    'SDMI-NoDV',
    'SDMI-NoDV-Pred',
    'SimSiam',
    'SimSiam, no predictor',
    'SimSiam-SDMI',
)


@pytest.fixture(scope='module')
def workdirs(tmp_path_factory):
    return synthetic_runs.all_methods(tmp_path_factory.mktemp('runs'), seeds=3, epochs=8)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, in order."""
    figures, save = [], style.save
    monkeypatch.setattr(
        style, 'save', lambda figure, path: (figures.append(figure), save(figure, path))[1]
    )
    return figures


def check(path, figure):
    """A readable picture with ink in it, every word inside, titles, labels and notes free of each
    other."""
    pixels = matplotlib.image.imread(path)[..., :3]
    assert min(pixels.shape[:2]) > 300 and 0.01 < (pixels < 0.9).any(axis=-1).mean() < 0.5
    with matplotlib.rc_context(style.SETTINGS):
        figure.draw_without_rendering()
    prose, ticks = list(figure.texts), []
    for ax in figure.axes:
        legend = ax.get_legend()
        prose += [text for text in ax.texts if not text.get_text().isdigit()]
        prose += [ax.title, ax._left_title] + (legend.get_texts() if legend else [])
        if ax.axison:
            prose += [ax.xaxis.label, ax.yaxis.label]
            ticks += shown_ticks(ax.xaxis) + shown_ticks(ax.yaxis)
    boxes = [
        (text.get_window_extent(), text.get_text()) for text in prose if text.get_text().strip()
    ]
    frame = figure.bbox.padded(1.0)
    for box, words in boxes + [(text.get_window_extent(), text.get_text()) for text in ticks]:
        assert (
            frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        ), words
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not one.padded(-1.0).overlaps(other.padded(-1.0)), (first, second)


def shown_ticks(axis):
    """Labels of the ticks inside the limits; matplotlib keeps others, which it does not draw."""
    low, high = sorted(axis.get_view_interval())
    return [
        tick.label1
        for tick in axis.get_major_ticks()
        if low <= tick.get_loc() <= high and tick.label1.get_text()
    ]


def words(figure):
    """All text of a figure, with its line breaks undone."""
    return [' '.join(text.get_text().split()) for text in figure.findobj(Text)]


@pytest.mark.parametrize('name', ['figure3', 'figure5', 'figure6', 'figure7', 'nn_gaps'])
def test_pictures_of_the_controlled_experiment(workdirs, drawn, tmp_path, name):
    path = tmp_path / 'new' / f'{name}.png'
    assert getattr(gaussian, name)(workdirs, path) == path
    check(path, drawn[0])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # and no temporary file


def test_one_method_is_enough(workdirs, drawn, tmp_path):
    check(gaussian.figure3({'jmi': workdirs['jmi']}, tmp_path / 'a.png'), drawn[0])
    check(gaussian.figure5({'jmi': workdirs['jmi']}, tmp_path / 'b.png'), drawn[1])


def test_figure3_titles_give_the_gap_of_the_seed_shown_and_over_seeds(workdirs, drawn, tmp_path):
    gaussian.figure3({'jmi': workdirs['jmi']}, tmp_path / 'a.png')
    gaps = np.sort(run_files.final_gaps(run_files.read(workdirs['jmi']), 'theta').mean)
    expected = f'NN gap {gaps[1]:.1f}° ({gaps.mean():.1f} ± {gaps.std(ddof=1):.1f})'
    assert expected in words(drawn[0])
    assert any(
        '72° = regular pentagon' in line and '90° = Thomson' in line for line in words(drawn[0])
    )


def test_figure5_marks_the_true_value_where_it_applies_and_correlations(workdirs, drawn, tmp_path):
    gaussian.figure5(workdirs, tmp_path / 'a.png')
    marked = [
        ax
        for ax in drawn[0].axes
        if any((np.array(line.get_ydata()) == 1.6503).all() for line in ax.lines)
    ]
    assert [ax.get_title('left') for ax in marked] == ['cos-DV', 'InfoNCE'] * 2
    legends = [ax.get_legend() for ax in drawn[0].axes if ax.get_legend()]
    first, last = ([text.get_text() for text in legends[index].get_texts()] for index in (0, -1))
    assert first == ['SDMI, ρ = 1.00', 'SimSiam, ρ = 1.00', 'MoCo-v3, ρ = 1.00', 'BYOL, ρ = 1.00']
    assert last == [
        'JMI, ρ = 1.00',
        'SimCLR, ρ = 1.00',
        'Barlow Twins, ρ = 1.00',
        'VICReg, ρ = 1.00',
    ]


def test_curves_are_means_over_seeds_from_epoch_1(workdirs, drawn, tmp_path):
    gaussian.figure5({'simsiam': workdirs['simsiam']}, tmp_path / 'a.png')
    values = run_files.series(run_files.read(workdirs['simsiam']), 'mi', 'cos_dv')[1]
    line = next(line for ax in drawn[0].axes for line in ax.lines if len(line.get_xdata()) == 8)
    np.testing.assert_allclose(line.get_xdata(), np.arange(1, 9))
    np.testing.assert_allclose(line.get_ydata(), values[1:].mean(axis=1))
    assert line.get_color() == methods.METHODS['simsiam'].colour


def test_a_curve_leaves_out_points_that_are_not_finite():
    figure = style.new(3, 3)
    ax = figure.add_subplot()
    values = np.array([[-np.inf, 0.0], [1.0, 2.0], [3.0, 4.0]])
    curves.draw(ax, curves.Curve('', 'black', np.arange(3), values))
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 1.5], [2.0, 3.5]]


def test_figure6_needs_sdmi(workdirs, tmp_path):
    with pytest.raises(ValueError, match='Figure 6 shows SDMI'):
        gaussian.figure6({'jmi': workdirs['jmi']}, tmp_path / 'a.png')


def test_figure6_shows_the_papers_epochs(tmp_path, drawn):
    run = synthetic_runs.write(tmp_path / 'run', 'sdmi', seeds=1, epochs=100)
    gaussian.figure6({'sdmi': run}, tmp_path / 'a.png')
    expected = [f'SDMI {letter}, epoch {epoch}' for letter in 'fg' for epoch in (1, 5, 20, 70, 100)]
    assert [ax.get_title() for ax in drawn[0].axes] == expected


def test_gaps_stand_beside_the_papers(workdirs, drawn, tmp_path):
    gaussian.nn_gaps(workdirs, tmp_path / 'a.png')
    ax = drawn[0].axes[0]
    seeds, paper = [collection.get_offsets() for collection in ax.collections[:2]]
    gaps = run_files.final_gaps(run_files.read(workdirs['sdmi']), 'theta').mean
    np.testing.assert_allclose(np.sort(seeds[:, 0]), np.sort(gaps))
    assert paper.tolist() == [[74.47, 0]]
    assert [line.get_xdata()[0] for line in ax.lines[:2]] == [72, 90]


@pytest.mark.parametrize(
    'name, data, pictures',
    [
        ('sdmi', 'gaussian', ['loss.png', 'mi.png', 'collapse.png', 'trajectory.png']),
        ('jmi', 'gaussian', ['loss.png', 'mi.png', 'collapse.png', 'trajectory.png']),
        ('byol', 'digits', ['loss.png', 'mi.png', 'collapse.png']),
    ],
)
def test_pictures_of_one_run(tmp_path, drawn, name, data, pictures):
    workdir = synthetic_runs.write(tmp_path, name, seeds=2, epochs=4, data=data)
    paths = one_run.draw(workdir)
    assert paths == [workdir / 'figures' / picture for picture in pictures]
    for path, figure in zip(paths, drawn, strict=True):
        check(path, figure)


def test_a_run_before_its_first_evaluation_has_no_pictures(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=1)
    (workdir / 'metrics.jsonl').write_text('')
    assert one_run.draw(workdir) == []


def test_an_even_spread_is_marked(tmp_path, drawn):
    run = run_files.read(synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=2))
    one_run.collapse(run, tmp_path / 'a.png')
    levels = [
        line.get_ydata()[0]
        for ax in drawn[0].axes
        for line in ax.lines
        if line.get_color() == style.GUIDE
    ]
    np.testing.assert_allclose(levels, [3**-0.5, 3, 72, 90])


def test_ablation_bars(tmp_path, drawn):
    def write(index, length):
        return synthetic_runs.write(
            tmp_path / f'{index}-{length}',
            'sdmi' if index < 3 else 'simsiam',
            seeds=2,
            epochs=2,
            key=index + length,
        )

    runs = {
        variant: {length: write(index, length) for length in (1000, 100)}
        for index, variant in enumerate(ABLATIONS)
    }
    check(ablations.draw(runs, tmp_path / 'a.png'), drawn[0])
    means = [ablations.mean_gaps(runs['SDMI'][length]).mean() for length in (100, 1000)]
    left, right = drawn[0].axes
    np.testing.assert_allclose([bar.get_height() for bar in left.patches[:2]], means)
    assert len(left.patches) == 12 and len(right.patches) == 6
    assert right.get_xticklabels()[1].get_text() == 'SimSiam,\nno predictor'


def write_proposition(folder):
    """Steps of 0.5, half of which fall by 0.25; steps of 0.001 that gain 0.9 of first order;
    probes."""
    rows = [
        {
            'bound': 'dv',
            'phase': phase,
            'step_size': size,
            'kind': kind,
            'changes': changes,
            'first_order': first,
        }
        for phase in 'em'
        for size, kind, changes, first in (
            (0.5, 'walk', [0.5, -0.25, 0.5, -0.25], [1.0] * 4),
            (0.001, 'walk', [9e-4] * 4, [1e-3] * 4),
            (1e-7, 'probe', [1e-9, 1e-9], [1e-9, 1e-9]),
        )
    ]
    path = folder / 'proposition.json'
    path.write_text(json.dumps({'points': 400, 'seeds': 2, 'epochs': 2, 'rows': rows}))
    return path


def test_proposition(tmp_path, drawn):
    path = write_proposition(tmp_path)
    picture, report = proposition.report(path)
    check(picture, drawn[0])
    rows = proposition.table(path).rows
    assert rows[0] == (
        'cos-DV',
        'probe',
        'E-step',
        '1e-07',
        '2',
        '0.0 %',
        '–',
        '–',
        '1.000',
        '1.000 to 1.000',
    )
    assert rows[4] == (
        'cos-DV',
        'walk',
        'E-step',
        '0.5',
        '4',
        '50.0 %',
        '2.5e-01',
        '2.5e-01',
        '0.125',
        '-0.250 to 0.500',
    )
    expected = [
        (
            'cos-DV, step size up to 1e-06: 0 drops in 4 steps, change over first order 1.000 to'
            ' 1.000.'
        ),
        'cos-DV, step size 0.5: 4 drops in 8 steps.',
    ]
    assert proposition.findings(path) == expected
    assert all(line in report.read_text() and line in proposition.text(path) for line in expected)


def test_proposition_without_its_file_names_the_command(tmp_path):
    with pytest.raises(ValueError, match='reproduce proposition'):
        proposition.report(tmp_path / 'proposition.json')


def test_upright_is_a_rotation_that_lays_a_ring_flat():
    rng = np.random.default_rng(0)
    turn = 2 * np.pi * np.arange(5) / 5
    ring = np.stack([np.cos(turn), np.sin(turn), 0.01 * rng.normal(size=5)], axis=1)
    rotation = spheres.upright(ring @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    tilted = ring @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert np.abs((tilted @ spheres.upright(tilted).T)[:, 2]).max() < 0.03


def test_opacity_grows_along_a_way_that_stays_on_the_sphere():
    figure = style.new(3, 3)
    ax = spheres.new(figure, figure.add_gridspec(1, 1)[0], '', '')
    before = len(ax.collections)
    spheres.trajectory(
        ax, spheres.VIEWER + np.zeros((4, 3)) + 0.2 * np.eye(3)[[0, 1, 2, 0]], 'black'
    )
    way = ax.collections[before]
    assert (np.diff(way.get_edgecolor()[:, 3]) > 0).all() and way.get_edgecolor()[-1, 3] == 1
    np.testing.assert_allclose(
        np.linalg.norm(np.array(way._segments3d)[:-1], axis=-1), 1, rtol=1e-12
    )


def test_drawing_leaves_the_callers_settings_alone(workdirs, tmp_path):
    before = dict(matplotlib.rcParams)
    gaussian.nn_gaps({'jmi': workdirs['jmi']}, tmp_path / 'a.png')
    assert dict(matplotlib.rcParams) == before


@style.drawing
def test_a_picture_is_laid_out_and_drawn_once(tmp_path, monkeypatch):
    def new():
        figure = style.new(3, 3)
        figure.add_subplot().set(title='a title', ylabel='a label')
        return figure

    drawn, draw = [], Figure.draw
    monkeypatch.setattr(Figure, 'draw', lambda own, by: (drawn.append(own), draw(own, by)))
    once = style.save(new(), tmp_path / 'a.png')
    assert len(drawn) == 1 + 1  # the fixture draws too, to look at the texts
    drawn.clear()
    twice = tmp_path / 'b.png'
    new().savefig(twice)  # as matplotlib does it
    assert len(drawn) == 2
    np.testing.assert_array_equal(*map(matplotlib.image.imread, (once, twice)))


def test_a_failed_save_leaves_the_old_picture(tmp_path):
    path = style.save(style.new(1, 1), tmp_path / 'a.png')
    old, figure = path.read_bytes(), style.new(1, 1)
    figure.text(0, 0, '$\\frac{$')  # which matplotlib cannot parse
    with pytest.raises(ValueError):
        style.save(figure, path)
    assert path.read_bytes() == old and [entry.name for entry in tmp_path.iterdir()] == ['a.png']
