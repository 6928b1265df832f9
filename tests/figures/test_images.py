"""Tables and pictures of runs on images: Table 1, Figures 2 and 4, information against accuracy,
views."""

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import scipy.stats

from mi_ssl_jax.figures import methods, probes, run_files, statistics, views
from mi_ssl_jax.figures.paper import figure2, figure4, scatter, table1
from tests.figures import test_pictures
from tests.figures.test_pictures import check, words
from tests.helpers import probed

SPEC = Path(__file__).parents[1] / 'paper.json'
drawn = test_pictures.drawn


def read(folder, *args, **changes):
    return probes.read(probed.write(folder, *args, **changes))


def every_method(folder, **changes):
    """{method: workdir} of the eight methods."""
    return {
        name: probed.write(
            folder / name,
            name,
            (
                {'f': [88.0, 89.0], 'g': [87.0, 88.0]}
                if name == 'sdmi'
                else [80.0 + index, 82.0 + index]
            ),
            mi=[0.5 + 0.01 * index, 0.6],
            **changes,
        )
        for index, name in enumerate(methods.METHODS)
    }


def ablated(folder):
    """Runs of all six variants of Figure 4 but SimSiam-SDMI."""
    sdmi = {'f': [80.0, 84.0], 'g': [70.0, 74.0]}
    return [
        read(folder / 'sdmi', 'sdmi', {'f': [90.0], 'g': [88.0]}),
        read(folder / 'nodv', 'sdmi', {'f': [30.0], 'g': [20.0]}, method={'marginal': 'none'}),
        read(folder / 'pred', 'sdmi', sdmi, method={'marginal': 'none', 'predictor': True}),
        read(folder / 'simsiam', 'simsiam', [89.0]),
        read(folder / 'nopred', 'simsiam', [25.0], method={'predictor': False}),
    ]


# The paper's numbers
# --------------------------------------------------------------------------------------------------


def test_the_papers_numbers_are_those_of_its_tables():
    spec, ours = json.loads(SPEC.read_text()), run_files.paper()
    names = {'sdmi (f_theta)': 'sdmi f', 'sdmi (g_xi)': 'sdmi g'}
    assert {
        names.get(key, key): row for key, row in spec['table1_linear_probe_percent'].items()
    } == ours['table1']['rows']
    figure = spec['figure4_linear_probe_cifar10']
    assert ours['figure4']['rows'] == {
        'SimSiam': figure['simsiam'],
        'SimSiam-SDMI': figure['simsiam_sdmi'],
    }
    settings, table6 = ours['table1']['settings'], spec['table6']
    for name in ('cifar10', 'cifar100'):
        assert settings[name] == {
            'network': spec['table3_sweep1']['encoder'],
            'epochs': 1000,
            'batch_size': spec['table3_sweep1']['batch_size'],
        }
    for name in ('tiny_imagenet', 'imagenet100'):
        pairs = {'network': 'encoder', 'epochs': 'epochs', 'batch_size': 'batch_size'}
        assert {key: settings[name][key] for key in pairs} == {
            key: table6[name][own] for key, own in pairs.items()
        }
    assert settings['imagenet100']['batch_size_sdmi'] == table6['imagenet100']['batch_size_sdmi']


# Table 1
# --------------------------------------------------------------------------------------------------


def test_table1_has_mean_and_deviation_over_all_seeds_beside_the_paper(tmp_path):
    runs = [
        read(tmp_path / 'a', 'sdmi', {'f': [88.0, 89.0], 'g': [70.0, 70.0]}),
        read(tmp_path / 'b', 'sdmi', {'f': [93.0], 'g': [70.0]}, seed=1),
        read(tmp_path / 'c', 'byol', [32.5], data='tiny_imagenet', epochs=100),
    ]
    table = table1.table(probes.pools(runs))
    assert table.header == (
        'Model',
        'CIFAR-10',
        'paper',
        'CIFAR-100',
        'paper',
        'TinyImageNet',
        'paper',
        'ImageNet-100',
        'paper',
    )
    # Of 88, 89, 93: mean 90, deviation sqrt((4 + 1 + 9) / 2) = 2.65.
    assert table.rows[0] == (
        'SDMI f',
        '90.00 ± 2.65 (3)',
        '88.61 ± 0.13',
        'not run',
        '57.37 ± 0.38',
        'not run',
        '33.30 ± 0.58',
        'not run',
        '70.73 ± 0.57',
    )
    assert table.rows[1][:2] == ('SDMI g', '70.00 ± 0.00 (3)')
    assert [row[0] for row in table.rows] == [
        'SDMI f',
        'SDMI g',
        'SimSiam',
        'BYOL',
        'MoCo-v3',
        'JMI',
        'SimCLR',
        'Barlow Twins',
        'VICReg',
    ]
    assert table.rows[3][5] == '32.50 (1) †' and table.rows[3][1] == 'not run'
    assert table.notes[1:] == ('† BYOL on TinyImageNet: 100 of 1000 epochs.',)


def test_table1_of_one_data_set(tmp_path):
    table = table1.table(probes.pools([read(tmp_path / 'a', 'jmi', [88.0])]), ('cifar10',))
    assert table.header == ('Model', 'CIFAR-10', 'paper') and table.rows[5] == (
        'JMI',
        '88.00 (1)',
        '88.01 ± 0.48',
    )


def test_ablations_and_other_data_have_no_place_in_table1(tmp_path):
    pools = probes.pools(
        [
            read(tmp_path / 'a', 'sdmi', {'f': [30.0], 'g': [30.0]}, method={'marginal': 'none'}),
            read(tmp_path / 'b', 'jmi', [99.0], data='digits'),
            read(tmp_path / 'c', 'jmi', [88.0]),
        ]
    )
    assert [table1.inside(pool) for pool in pools] == [False, False, True]
    assert table1.table(pools).rows[0][1] == 'not run'


def test_every_number_has_its_setting_and_protocol(tmp_path):
    runs = [
        read(tmp_path / 'a', 'jmi', [88.0, 87.0]),
        read(tmp_path / 'b', 'byol', [91.0], net='conv4', epochs=5),
    ]
    table = table1.settings(probes.pools([runs[0], runs[1]._replace(protocol='another probe')]))
    assert table.rows == [
        (
            'JMI on CIFAR-10',
            'resnet18',
            '2048-2048-256',
            '1000',
            '512',
            '0.05',
            '0.0005',
            '2',
            '40.00 ± 0.00',
            '1',
            str(tmp_path / 'a'),
        ),
        (
            'BYOL on CIFAR-10',
            'conv4',
            '2048-2048-256',
            '5',
            '512',
            '0.05',
            '0.0005',
            '1',
            '40.00',
            '2',
            str(tmp_path / 'b'),
        ),
    ]
    assert table.notes[1:] == (f'(1) {probed.PROTOCOL}', '(2) another probe')


# Figure 2
# --------------------------------------------------------------------------------------------------


def test_figure2_says_correlation_and_final_value_of_each_curve(tmp_path, drawn):
    workdirs = every_method(tmp_path, net='conv4', epochs=5)
    check(figure2.draw(workdirs, tmp_path / 'a.png'), drawn[0])
    panels = [ax for ax in drawn[0].axes if ax.get_legend()]
    assert [ax.get_title('left') for ax in panels] == ['cos-DV', 'InfoNCE', 'JSD'] * 2
    first = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert first[0] == 'SDMI\nρ 1.00, final 0.550' and [text.split('\n')[0] for text in first] == [
        'SDMI',
        'SimSiam',
        'MoCo-v3',
        'BYOL',
    ]
    np.testing.assert_allclose(
        panels[0].lines[0].get_xdata(), np.arange(1, 11) / 2
    )  # also within an epoch
    assert any('conv4, 5 epochs, batch 512.' in text for text in words(drawn[0]))


def test_figure2_in_numbers(tmp_path):
    folder = probed.write(tmp_path / 'jmi', 'jmi', [88.0])
    lines = [
        probed.line(epoch, np.array([value]), {'': 'theta'}, 'jmi')
        for epoch, value in ((0, 9.0), (0.5, 0.1), (1, 0.3), (1.5, 0.2))
    ]
    (folder / 'metrics.jsonl').write_text('\n'.join(json.dumps(line) for line in lines))
    # Ranks 1, 3, 2 against 1, 2, 3: rho = 1 - 6 * 2 / (3 * 8) = 0.5.
    assert figure2.table({'jmi': folder}).rows[0] == (
        'JMI',
        'cos-DV',
        '3',
        '0.500',
        '0.100',
        '0.200',
        '0.300',
    )


def test_a_run_that_has_not_been_trained_has_no_curve(tmp_path):
    folder = probed.write(tmp_path / 'jmi', 'jmi', [88.0], done=0)
    with pytest.raises(ValueError, match='evaluated before training only'):
        figure2.table({'jmi': folder})


# Figure 4
# --------------------------------------------------------------------------------------------------


def test_figure4_draws_bars_lines_and_the_papers_numbers(tmp_path, drawn):
    pools = probes.pools(ablated(tmp_path))
    check(figure4.draw(pools, tmp_path / 'a.png'), drawn[0])
    left, right = drawn[0].axes
    assert [bar.get_height() for bar in left.patches] == [30, 20, 82, 72]
    assert [bar.get_height() for bar in right.patches] == [89, 25]
    assert [text.get_text() for text in right.texts] == ['not run']
    dashed = {
        line.get_ydata()[0]
        for line in left.lines
        if line.get_color() == methods.METHODS['sdmi'].colour
    }
    assert dashed == {90, 88}
    marked = [line.get_ydata()[0] for line in right.lines if line.get_marker() == 'D']
    assert marked == [89.68, 88.43]
    assert any(line.get_ydata()[0] == 40 for line in left.lines)  # the untrained encoder


def test_figure4_in_numbers_says_what_is_missing(tmp_path):
    table = figure4.table(probes.pools(ablated(tmp_path)))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['SDMI-NoDV-Pred f'] == (
        '82.00 ± 2.83 (2)',
        '40.00 ± 0.00',
        '–',
        'does not collapse',
    )
    assert rows['SimSiam'] == ('89.00 (1)', '40.00', '89.68 ± 0.35', 'does not collapse')
    assert rows['SimSiam-SDMI'] == ('not run', '–', '88.43 ± 0.78', 'does not collapse')
    assert table.notes[-1] == 'Not run: SimSiam-SDMI.'


def test_figure4_of_other_data_has_no_numbers_of_the_paper(tmp_path, drawn):
    pools = probes.pools([read(tmp_path / 'a', 'simsiam', [98.0], data='digits')])
    check(figure4.draw(pools, tmp_path / 'a.png'), drawn[0])
    assert not [line for line in drawn[0].axes[1].lines if line.get_marker() == 'D']
    assert {row[3] for row in figure4.table(pools).rows} == {'–'}


def test_figure4_needs_one_of_its_variants_and_one_data_set(tmp_path):
    jmi = read(tmp_path / 'a', 'jmi', [88.0])
    with pytest.raises(ValueError, match='none of these runs is in Figure 4'):
        figure4.variants(probes.pools([jmi]))
    two = [read(tmp_path / data, 'simsiam', [88.0], data=data) for data in ('cifar10', 'cifar100')]
    with pytest.raises(ValueError, match='runs on cifar10, cifar100'):
        figure4.variants(probes.pools(two))


# Information against accuracy
# --------------------------------------------------------------------------------------------------


def test_scatter_has_a_point_a_seed_and_the_rank_correlation(tmp_path, drawn):
    runs = [
        read(tmp_path / 'a', 'sdmi', {'f': [80.0, 60.0], 'g': [84.0, 62.0]}, mi=[0.5, 0.6]),
        read(tmp_path / 'b', 'jmi', [70.0, 90.0], mi=[0.2, 0.9]),
        read(tmp_path / 'c', 'jmi', [75.0], mi=[0.3], seed=1),
        read(tmp_path / 'd', 'simsiam', [30.0], mi=[0.1], method={'predictor': False}),
    ]
    x, y = [0.5, 0.6, 0.2, 0.9, 0.3, 0.1], [82, 61, 70, 90, 75, 30]
    rho = scipy.stats.spearmanr(x, y).statistic
    own = scatter.agreement(scatter.points(runs)['cifar10'], 'cos_dv')
    assert own.points == 6 and own.spearman == pytest.approx(rho)
    tau = scipy.stats.kendalltau(x, y).statistic
    rows = scatter.table(runs).rows
    numbers = (f'{rho:.3f}', f'{tau:.3f}', '0.00')  # the run with the most information is the best
    assert rows[0] == ('CIFAR-10', 'cos-DV', 'higher', *numbers, '6', '3')
    assert [row[1] for row in rows] == ['cos-DV', 'InfoNCE', 'JSD']  # nothing else was measured
    check(scatter.draw(runs, tmp_path / 'a.png'), drawn[0])
    ax = drawn[0].axes[0]
    spots = np.concatenate([own.get_offsets() for own in ax.collections])
    np.testing.assert_allclose(spots[np.argsort(spots[:, 0])], sorted(zip(x, y)))
    assert ax.get_title('right') == f'ρ = {rho:.2f}, n = 6'


def test_scatter_keeps_data_sets_apart_and_leaves_out_what_is_not_finite(tmp_path, drawn):
    runs = [
        read(tmp_path / 'a', 'jmi', [1.0, 2.0, 3.0], mi=[0.1, 0.2, 0.3]),
        read(tmp_path / 'b', 'jmi', [3.0, 2.0, 1.0], mi=[0.1, 0.2, 0.3], data='cifar100'),
        read(tmp_path / 'c', 'byol', [5.0], mi=[np.inf]),
    ]
    rows = [row for row in scatter.table(runs).rows if row[1] == 'cos-DV']
    assert rows == [
        ('CIFAR-10', 'cos-DV', 'higher', '1.000', '1.000', '2.00', '3', '2'),
        ('CIFAR-100', 'cos-DV', 'higher', '-1.000', '-1.000', '2.00', '3', '1'),
    ]
    check(scatter.draw(runs, tmp_path / 'a.png'), drawn[0])


def test_two_points_have_no_correlation(tmp_path, drawn):
    runs = [read(tmp_path / 'a', 'jmi', [1.0, 2.0], mi=[0.1, 0.2])]
    assert scatter.table(runs).rows[0][3:7] == ('–', '–', '–', '2')
    check(scatter.draw(runs, tmp_path / 'a.png'), drawn[0])


def test_other_figures_without_labels_have_a_panel_and_a_row_each(tmp_path, drawn):
    """Each is ordered so that the better comes first; a run without them is no point of theirs."""
    figures = {
        'rankme': [10.0, 20.0, 30.0, 40.0],
        'alpha_req': [0.2, 1.9, 0.9, 1.4],
        'alignment': [0.9, 0.4, 0.3, 0.1],
    }
    accuracy = [50.0, 60.0, 90.0, 80.0]
    folder = probed.write(tmp_path / 'a', 'jmi', accuracy, mi=[0.1, 0.2, 0.3, 0.4])
    lines = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    lines[-1]['label_free'] = {'theta': figures}
    (folder / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    runs = [probes.read(folder), read(tmp_path / 'b', 'simclr', [70.0], mi=[0.25])]
    rows = {row[1]: row[2:] for row in scatter.table(runs).rows}
    assert list(rows) == ['cos-DV', 'InfoNCE', 'JSD', 'RankMe', 'α-ReQ', 'alignment']
    assert rows['cos-DV'][-2] == '5' and rows['RankMe'][-2] == '4'
    for name, values, better in (
        ('RankMe', figures['rankme'], 'higher'),
        ('α-ReQ', [-abs(value - 1) for value in figures['alpha_req']], 'near 1'),
        ('alignment', [-value for value in figures['alignment']], 'lower'),
    ):
        rho, tau = (
            correlation(values, accuracy).statistic
            for correlation in (scipy.stats.spearmanr, scipy.stats.kendalltau)
        )
        regret = 90.0 - accuracy[int(np.argmax(values))]
        assert rows[name][:4] == (better, f'{rho:.3f}', f'{tau:.3f}', f'{regret:.2f}')
    check(scatter.draw(runs, tmp_path / 'a.png'), drawn[0])
    titles = [ax.get_title('left') for ax in drawn[0].axes]
    assert titles[:6] == list(rows)


def test_kendall_counts_ties_as_scipy_does():
    x, y = np.array([1.0, 2, 2, 3, 5, 5]), np.array([2.0, 1, 3, 3, 4, 4])
    tau = statistics.kendall(x, y)
    np.testing.assert_allclose(tau, scipy.stats.kendalltau(x, y).statistic)
    assert np.isnan(statistics.kendall(np.ones(3), y[:3]))


# Views
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'count, sizes, channels', [(3, (32, 32), 3), (1, (8, 8), 1), (2, (224, 224, 96, 96, 96), 3)]
)
def test_views_stand_right_of_their_image(tmp_path, drawn, count, sizes, channels):
    rng = np.random.default_rng(0)
    images = [rng.uniform(size=(40, 30, channels)) for _ in range(count)]
    made = [[rng.uniform(size=(size, size, channels)) for size in sizes] for _ in range(count)]
    path = views.draw(images, made, tmp_path / 'a.png', title='views', note='a note')
    assert min(matplotlib.image.imread(path).shape[:2]) > 200
    shown = [ax.images[0].get_array() for ax in drawn[0].axes if ax.images]
    expected = [pixels.squeeze() for image, own in zip(images, made) for pixels in (image, *own)]
    assert len(shown) == count * (1 + len(sizes))
    for here, there in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(here, there)
    names = [ax.get_title('left') for ax in drawn[0].axes if ax.get_title('left')]
    assert names[: len(sizes) + 1] == [
        'image',
        *(f'view {number + 1}' for number in range(len(sizes))),
    ]
