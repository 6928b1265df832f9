"""Coverage of intervals: counted as its definition says."""

import json

import numpy as np
import pytest

from mi_ssl_jax.evals import estimate
from mi_ssl_jax.reproduce import mi_coverage


def test_a_share_of_the_intervals_holds_the_truth(tmp_path, monkeypatch, capsys):
    """Intervals of width 0.2 around 0.42, 0.5, 0.6, 0.7 in turn; the truth is 0.51, their mean
    0.555."""
    centres = iter(np.tile([0.42, 0.5, 0.6, 0.7], 2))

    def estimated(x, y, *, bound, key, fits, steps):
        assert steps == 7
        centre = next(centres)
        return estimate.Estimate(
            centre, 0.1, (centre - 0.1, centre + 0.1), (), bound, None, 'neither', None, ()
        )

    monkeypatch.setattr(estimate, 'estimate_mi', estimated)
    mi_coverage.reproduce(
        workdir=tmp_path / 'found',
        tasks=('gaussian_sparse_1x1',),
        bounds=('ksg',),
        samples=10,
        fits=2,
        draws=8,
        steps=7,
    )
    (row,) = json.loads((tmp_path / 'found' / 'coverage.json').read_text())
    assert row['coverage'] == 0.75 and row['truth'] == pytest.approx(-0.5 * np.log(1 - 0.8**2))
    assert row['mean'] == pytest.approx(0.555) and row['width'] == pytest.approx(0.2)
    assert row['of_mean'] == 0.5
    assert '75.0 ± 15.3 %, 50.0 ± 17.7 % of 8' in capsys.readouterr().out


def test_unknown_names_are_one_line(tmp_path):
    options = {'workdir': tmp_path, 'samples': 10, 'fits': 2, 'draws': 2, 'steps': None}
    with pytest.raises(ValueError, match="no task 'none'; there are gaussian_3x3"):
        mi_coverage.reproduce(tasks=('none',), bounds=None, **options)
    with pytest.raises(ValueError, match="no bound 'none'; there are dv"):
        mi_coverage.reproduce(tasks=None, bounds=('none',), **options)
