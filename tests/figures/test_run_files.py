"""Reading a run's files, and the numbers over seeds and epochs made from them."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from mi_ssl_jax.figures import methods, run_files, statistics
from tests.helpers import synthetic_runs


def run_of(*lines, **config):
    return run_files.Run({'method': {'name': 'sdmi'}, 'seeds': 1, **config}, list(lines))


def test_a_run_is_read(tmp_path):
    run = run_files.read(synthetic_runs.write(tmp_path, 'sdmi', seeds=2, epochs=4))
    assert run.config['method']['name'] == 'sdmi' and len(run.lines) == 5
    epochs, values = run_files.series(run, 'mi', 'cos_dv')
    assert epochs.tolist() == [0, 1, 2, 3, 4] and values.shape == (5, 2)
    assert run_files.centres(run, 'theta').shape == (5, 2, 2, 5, 3)
    assert run_files.keys(run, 'loss') == ['e', 'm']
    assert run_files.encoders(run) == {'f': 'theta', 'g': 'xi'}
    assert run_files.width(run) == 3 and run_files.on_gaussian(run)


def test_null_is_minus_infinity_in_mutual_information_and_nan_elsewhere(tmp_path):
    synthetic_runs.write(tmp_path, 'simsiam', seeds=2, epochs=1)
    (tmp_path / 'metrics.jsonl').write_text(
        '{"epoch": 0, "mi": {"cos_dv": [null, 0.5], "jsd": [1, 1]}, "loss": [null]}'
    )
    line = run_files.read(tmp_path).lines[0]
    assert line['mi']['cos_dv'] == [-math.inf, 0.5] and math.isnan(line['loss'][0])


@pytest.mark.parametrize('name', ['config.json', 'metrics.jsonl'])
def test_a_missing_or_damaged_file_is_one_clear_line(tmp_path, name):
    synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=2)
    (tmp_path / name).write_text('{"epoch": 0, ')
    with pytest.raises(ValueError, match='not JSON') as damaged:
        run_files.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f'{name} is missing') as missing:
        run_files.read(tmp_path)
    assert '\n' not in str(damaged.value) + str(missing.value)


def test_series_skips_log_points_without_the_value_and_names_what_no_point_has():
    run = run_of({'epoch': 0.5, 'loss': {'e': [1.0]}}, {'epoch': 1, 'loss': {'m': [2.0]}})
    epochs, values = run_files.series(run, 'loss', 'm')
    assert epochs.tolist() == [1] and values.tolist() == [[2.0]]
    with pytest.raises(ValueError, match="no 'mi/jsd'"):
        run_files.series(run, 'mi', 'jsd')
    with pytest.raises(ValueError, match="no 'collapse'"):
        run_files.encoders(run)


def test_a_branch_that_follows_is_no_encoder_of_its_own(tmp_path):
    run = run_files.read(synthetic_runs.write(tmp_path, 'byol', seeds=1, epochs=1))
    assert run_files.encoders(run) == {'': 'online'}


def test_the_representative_seed_has_the_lower_median_gap():
    gaps = {name: [70.0, 90.0, 60.0, 80.0] for name in ('mean', 'min', 'max', 'sd')}
    run = run_of({'epoch': 1, 'collapse': {'theta': {'nn_gap': gaps}}})
    assert run_files.representative(run, 'theta') == 0
    assert run_files.final_gaps(run, 'theta').max.tolist() == [70.0, 90.0, 60.0, 80.0]


def test_a_centre_lies_midway_between_its_views():
    views = [[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]]
    epochs, way = run_files.paths(run_of({'epoch': 3, 'centres': {'theta': views}}), 'theta')
    np.testing.assert_allclose(way, [[[[0.5**0.5, 0.5**0.5, 0.0]]]])
    assert epochs.tolist() == [3]


def test_runs_come_in_the_papers_order_and_only_its_methods(tmp_path):
    folders = {
        name: synthetic_runs.write(tmp_path / name, name, seeds=1, epochs=1)
        for name in ('vicreg', 'sdmi', 'jmi')
    }
    assert list(run_files.read_all(folders)) == ['sdmi', 'jmi', 'vicreg']
    with pytest.raises(ValueError, match="no method 'dino'"):
        run_files.read_all({'dino': tmp_path})


def test_a_method_of_ones_own_is_drawn_under_its_name():
    assert run_files.look(run_of(method={'name': 'my_package.mine'})).label == 'my_package.mine'


def test_embedding_width_without_centres_is_the_projectors(tmp_path):
    run = run_files.read(synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=1, data='digits'))
    assert run_files.width(run) == 64
    assert run_files.width(run._replace(config={'net': {'projector': []}})) is None


def test_words_for_seeds():
    assert run_files.seeds([run_of()]) == '1 seed'
    assert run_files.seeds([run_of(seeds=12)] * 2) == '12 seeds'
    assert run_files.seeds([run_of(seeds=12), run_of(seeds=3)]) == '3 to 12 seeds'


def test_the_papers_numbers():
    paper = run_files.paper()
    assert paper['table2']['rows']['jmi'] == {'mean': 88.26, 'min': 85.49, 'max': 94.03, 'sd': 3.36}
    assert paper['table1']['rows']['sdmi g']['cifar100'] == {'mean': 57.85, 'std': 0.32}
    assert set(paper['table2']['rows']) == (set(methods.METHODS) - {'sdmi'}) | {'sdmi f', 'sdmi g'}
    assert paper['true_mi']['nats'] == 1.6503
    assert all(paper[name]['source'] for name in ('table1', 'table2', 'true_mi'))


def test_every_method_has_its_own_name_and_colour():
    for field in ('label', 'colour'):
        assert len({getattr(look, field) for look in methods.METHODS.values()}) == len(
            methods.METHODS
        )


def test_spearman_equals_scipy_with_ties_and_infinity():
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(40, 3)), 1)  # rounded: many ties
    values[0, 0] = -np.inf
    epochs = np.arange(40.0)
    expected = [scipy.stats.spearmanr(epochs, column).statistic for column in values.T]
    np.testing.assert_allclose(statistics.spearman(epochs, values), expected, rtol=1e-12)
    rising = np.stack([epochs**3, -epochs], axis=1)
    np.testing.assert_allclose(statistics.spearman(epochs, rising), [1, -1])
    assert np.isnan(statistics.spearman(epochs, np.ones((40, 1)))).all()


def test_share_of_steps_that_do_not_fall():
    values = np.array([[0.0, 0.0], [1.0, -0.0005], [0.9, 0.5], [0.9, 0.4]])
    np.testing.assert_allclose(statistics.rising(values, tolerance=0.0), [2 / 3, 1 / 3])
    np.testing.assert_allclose(statistics.rising(values, tolerance=1e-3), [2 / 3, 2 / 3])
    assert np.isnan(statistics.rising(values[:1], tolerance=0.0)).all()


def test_spread_over_seeds():
    over = statistics.spread(np.array([1.0, 2.0, 6.0]))
    assert over._replace(sd=0) == (3.0, 0, 1.0, 6.0, 2.0, 3)
    assert over.sd == pytest.approx(7**0.5)  # (4 + 1 + 9) / (3 - 1)
    assert math.isnan(statistics.spread(np.array([1.0])).sd)


def test_curves_start_at_the_first_trained_epoch():
    epochs, values = statistics.trained(
        np.array([0, 0.5, 1, 2]), np.array([[-np.inf], [0.1], [0.2], [0.3]])
    )
    assert epochs.tolist() == [1, 2] and values.tolist() == [[0.2], [0.3]]


@pytest.mark.parametrize(
    'value, digits, expected', [(0.1251, 2, '0.13'), (-0.001, 2, '0.00'), (math.nan, 1, '–')]
)
def test_numbers_in_words(value, digits, expected):
    assert statistics.number(value, digits) == expected


def test_synthetic_lines_are_json_as_training_writes_it(tmp_path):
    text = (
        synthetic_runs.write(tmp_path, 'simsiam', seeds=2, epochs=2) / 'metrics.jsonl'
    ).read_text()
    first = json.loads(text.splitlines()[0])
    assert first['mi'] == {'cos_dv': [None, None], 'infonce': [None, None], 'jsd': [None, None]}
