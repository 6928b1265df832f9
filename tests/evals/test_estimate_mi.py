"""The command estimate_mi: two files, a run's folder, and bad input in one line."""

import json
import re
import sys

import jax
import numpy as np
import pytest

from configs import jmi_gaussian
from mi_ssl_jax.cli import estimates, guard
from mi_ssl_jax.estimate_mi import main
from mi_ssl_jax.evals import estimate
from mi_ssl_jax.evals.estimate import Estimate, estimate_mi
from mi_ssl_jax.runs import data_processing, run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 2))
Y = X + 0.5 * RNG.standard_normal((400, 2))  # 1/2 log(1 + 4) nats a dimension
TRUTH = np.log(5.0)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command in this process: (status, output, errors)."""

    def call(*arguments):
        monkeypatch.setattr(sys, 'argv', ['estimate_mi', *map(str, arguments)])
        try:
            status = guard.guard(main)
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / 'x.npy', X)
    np.save(tmp_path / 'y.npy', Y)
    return tmp_path


def test_as_a_function():
    key = jax.random.PRNGKey(0)
    found = estimate_mi(X, Y, bound='gaussian_mi', critic=None, key=key)
    assert isinstance(found, Estimate) and abs(found.mi - TRUTH) < 0.3


def test_two_files(command, files):
    status, out, _ = command(
        files / 'x.npy', files / 'y.npy', '--bound=gaussian_mi', f'--json={files / "out.json"}'
    )
    kept = json.loads((files / 'out.json').read_text())['estimates']['I(x; y)']
    assert status == 0 and 'I(x; y)' in out and 'exact for Gaussian samples' in out
    assert (
        kept['mi'] == pytest.approx(TRUTH, abs=0.2)
        and kept['interval'][0] < kept['mi'] < kept['interval'][1]
    )


def table(path, rows, header=None):
    lines = [','.join(header)] if header else []
    path.write_text('\n'.join([*lines, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def test_named_columns_of_a_csv_file(command, tmp_path):
    file = table(tmp_path / 'both.csv', np.hstack([X, Y]), ['a', 'b', 'c', 'd'])
    status, out, _ = command(f'{file}:a,b', f'{file}:c,d', '--bound=gaussian_mi')
    found = re.search(r'I\(x; y\) +(\S+)', out).group(1)
    assert status == 0 and float(found) == pytest.approx(TRUTH, abs=0.2)
    np.testing.assert_array_equal(estimates.load(f'{file}:b,a'), X[:, ::-1])
    plain = table(tmp_path / 'plain.csv', X)
    np.testing.assert_array_equal(estimates.load(plain), X)
    np.testing.assert_array_equal(estimates.load(file), np.hstack([X, Y]))


def bad_tables(folder):
    """(argument, what the line must say)"""
    file = table(folder / 't.csv', [[1, 2], [3, 4]], ['age', 'height'])
    yield f'{file}:hight', "no column 'hight'; did you mean 'height'"
    yield f'{file}:zz', "no column 'zz'; it has age, height"
    yield f'{table(folder / "twice.csv", [[1, 2]], ["a", "a"])}:a', "2 columns called 'a'"
    yield f'{table(folder / "bare.csv", [[1, 2]])}:a', 'has no line of names'
    yield table(folder / 'word.csv', [[1, 2], [3, 'x']]), "line 2 of .*word.csv holds 'x'"
    yield (
        table(folder / 'short.csv', [[1, 2], [3]]),
        'line 2 of .*short.csv has 1 cells, the first 2',
    )
    yield table(folder / 'empty.csv', []), 'has no rows of numbers'
    yield folder / 'none.csv', 'cannot read .*none.csv: No such file'
    (folder / 'latin.csv').write_bytes(b'\xff\xfe1')
    yield folder / 'latin.csv', 'is no CSV file in UTF-8'


def test_a_table_that_cannot_be_read_is_one_line(tmp_path):
    for argument, message in bad_tables(tmp_path):
        with pytest.raises(ValueError, match=message) as error:
            estimates.load(argument)
        assert '\n' not in str(error.value)


def bad(folder):
    """(arguments, what the line must say)"""
    x, y, other = folder / 'x.npy', folder / 'y.npy', folder / 'other.npy'
    yield [x], 'give two files'
    yield [x, y, f'--workdir={folder}'], 'give two files'
    yield [x, folder / 'none.npy'], 'cannot read .*none.npy: No such file'
    yield [x, y, '--bound=best'], "unknown bound 'best': use one of dv, mine"
    yield [x, y, '--fits=1'], 'fits=1: an interval needs at least 2'
    yield [x, y, '--json=/nowhere/out.json'], 'there is no folder /nowhere'
    yield [x, y, f'--json={folder}'], 'is a folder: name a file in it'
    for seed in (-1, 2**32, 10**20):
        yield [x, y, f'--seed={seed}'], f'--seed={seed} must be from 0 to 4,294,967,295'
    yield [f'--workdir={folder}'], 'is not the folder of a run'
    np.save(other, np.array([{}], dtype=object), allow_pickle=True)
    yield [x, other], 'pickled objects are not read'
    np.save(other, X[:-1])
    yield [x, other], 'x has 400 rows and y has 399'
    other.write_text('1, 2')
    yield [x, other], 'holds no plain array'
    np.savez(folder / 'two.npz', X, Y)
    yield [x, folder / 'two.npz'], 'holds several arrays'
    other.write_bytes((folder / 'two.npz').read_bytes()[:-30])
    yield [x, other], 'holds no plain array'
    y_of_x = folder / 'twice.npy'
    np.save(y_of_x, 2 * X)
    yield [x, y_of_x, '--bound=gaussian_mi'], 'information is infinite'
    yield [x, y, '--fits=401'], 'fits=401, but there are 400 samples'


def test_an_estimate_that_is_not_finite_is_an_error_after_the_table(command, files, monkeypatch):
    unknown = estimate._summary(np.array([np.nan, 0.1]), 'dv', 'separable', 'lower', None, ['-'])
    monkeypatch.setitem(main.__globals__, 'estimate_mi', lambda *a, **k: unknown)
    status, out, error = command(files / 'x.npy', files / 'y.npy', f'--json={files / "out.json"}')
    assert status == 2 and '1 of 2 fits are not finite' in out
    assert error.startswith('error: no finite estimate of I(x; y)') and error.count('\n') == 1
    assert not (files / 'out.json').exists()


def test_huge_values_are_scaled_first(command, files):
    np.save(files / 'huge.npy', X * 1e300)
    status, out, _ = command(files / 'huge.npy', files / 'y.npy', '--bound=gaussian_mi')
    assert status == 0 and re.search(r'I\(x; y\) +1\.\d', out)
    assert 'spread of fits' in out and 'does not promise to hold the true value' in out


def test_bad_input_is_one_line_with_status_2(command, files):
    for arguments, message in bad(files):
        status, out, error = command(*arguments)
        assert status == 2 and not out, arguments
        assert error.startswith('error: ') and error.count('\n') == 1, error
        assert re.search(message, error), error


@pytest.mark.slow
def test_a_run_is_compared_with_its_input(command, tmp_path, monkeypatch):
    config = jmi_gaussian.get_config()
    config.epochs, config.batch_size, config.data.limit, config.method.block_size = (
        2,
        200,
        200,
        None,
    )
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    run.run(config, tmp_path / 'run')
    own = data_processing.samples(tmp_path / 'run')
    assert own.z1.shape == own.z2.shape == (2500, 3) and own.x.shape == (2500, 2 + 3)
    assert not np.allclose(own.z1, own.z2)  # two views, and neither of them the example itself
    status, out, _ = command(f'--workdir={tmp_path / "run"}', '--bound=gaussian_mi')
    assert status == 0 and 'Eq. 29' in out and 'I(x; z1)' in out and '2500 held-out examples' in out
