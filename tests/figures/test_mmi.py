"""Explicit MMI's tables and pictures, from runs as training and probing write them."""

import json

import numpy as np
import pytest

from mi_ssl_jax.figures import style
from mi_ssl_jax.figures.paper import mmi, mmi_costs
from tests.figures.test_pictures import check
from tests.helpers import probed

ENTROPIES = {'h_a': 5.0, 'h_b': 4.0, 'h_joint': 7.5}


def write(folder, name, accuracy, *, losses=(5.0, 3.0, 2.0, 2.5, 1.0), diverged=''):
    """A run on digits with losses, entropies where it is MMI, and a probe unless it diverged."""
    probed.write(
        folder, name, accuracy, data='digits', net='digits_conv', epochs=len(losses), batch=256
    )
    seeds = len(accuracy)
    phase = 'e' if name == 'simsiam' else 'joint'
    collapse = {'theta': {'std': [0.1] * seeds, 'effective_rank': [50.0] * seeds}}
    entropies = (
        {key: {phase: [value] * seeds} for key, value in ENTROPIES.items()} if name == 'mmi' else {}
    )
    lines = [
        {
            'epoch': epoch,
            'loss': {phase: [loss] * seeds},
            'mi': {'cos_dv': [0.125] * seeds},
            **entropies,
            'collapse': collapse,
        }
        for epoch, loss in enumerate(losses, 1)
    ]
    (folder / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    tops = {'raw inputs': [96.9], 'untrained encoder (theta)': [94.0] * seeds, 'theta': accuracy}
    rows = [
        probed.row(encoder, values, labels=labels)
        for labels in ('all', '10 a class')
        for encoder, values in tops.items()
    ]
    (folder / 'probe.json').write_text(
        json.dumps({'settings': {'epochs': len(losses)}, 'rows': rows})
    )
    if diverged:
        (folder / 'probe.json').unlink()
        (folder / mmi.DIVERGED).write_text(diverged + '\n')
    return folder


@pytest.fixture
def parts(tmp_path):
    default = write(tmp_path / 'mmi', 'mmi', [98.0, 99.0])
    return {
        'methods': {
            'MMI': default,
            'Barlow Twins': write(tmp_path / 'barlow', 'barlow', [97.0, 97.0]),
        },
        'order': {
            'order 4': default,
            'order 6': write(tmp_path / 'six', 'mmi', [90.0, 91.0]),
            'order 6, learning rate × 10': write(
                tmp_path / 'hard', 'mmi', [1.0, 1.0], diverged='the loss is nan at epoch 3'
            ),
        },
    }


def test_rows_hold_accuracy_entropies_and_the_largest_rise(parts):
    table = mmi.table('methods', parts['methods'])
    own, barlow = (dict(zip(table.header, row)) for row in table.rows)
    assert (
        own['accuracy (%)'] == own['ten labels a class'] == '98.5 ± 0.7'
        and own['untrained'] == '94.0 ± 0.0'
    )
    assert (own['H(Z)'], own['H(Z′)'], own['H(Z, Z′)'], own['sum (nats)']) == (
        '5.0',
        '4.0',
        '7.5',
        '1.5',
    )
    assert barlow['H(Z)'] == barlow['sum (nats)'] == '–' and barlow['accuracy (%)'] == '97.0 ± 0.0'
    assert own['largest rise (%)'] == '12.5'  # from 2.0 to 2.5 of a range of 4
    assert own['cos-DV (nats)'] == '0.125' and own['effective rank'] == '50.0'


def test_a_diverged_run_is_a_row_and_says_what_happened(parts):
    table = mmi.table('order', parts['order'])
    assert table.rows[-1][1:] == ('diverged', *('–',) * (len(table.header) - 2))
    assert 'order 6, learning rate × 10: the loss is nan at epoch 3.' in table.notes


def test_a_run_that_has_not_ended_is_refused(parts):
    (parts['methods']['Barlow Twins'] / 'probe.json').unlink()
    with pytest.raises(ValueError, match='has not been probed: python -m mi_ssl_jax.probe'):
        mmi.table('methods', parts['methods'])


def test_the_papers_number_stands_in_the_report():
    assert '81.1 % on ImageNet-100' in mmi.paper() and 'mi_benchmark' in mmi.paper()


@pytest.fixture
def drawn(monkeypatch):
    figures, save = [], style.save
    monkeypatch.setattr(
        style, 'save', lambda figure, to: (figures.append(figure), save(figure, to))[1]
    )
    return figures


def test_picture_of_all_parts_and_of_one(parts, drawn, tmp_path):
    check(mmi.draw(parts, tmp_path / 'all.png'), drawn[0])
    check(mmi.draw({'order': parts['order']}, tmp_path / 'one.png'), drawn[1])


def cost(batch):
    def own(scale):
        return {
            'arguments': 10e6,
            'temporaries': scale * batch * 1e5,
            'wall': [0.01 * scale, 0.02 * scale],
            'cpu': [0.02 * scale, 0.03 * scale],
        }

    machine = {'processor': 'a CPU', 'cores': 2, 'devices': '1 x cpu', 'load': '0.10 to 0.90'}
    scales = {'mmi': 3, 'barlow': 1, 'vicreg': 1, 'simclr': 2}
    methods = {name: own(scale) for name, scale in scales.items()}
    return {'batch': batch, 'machine': machine, 'dimension': 1024, 'methods': methods}


def test_costs_beside_barlow_twins(drawn, tmp_path):
    rows = [cost(batch) for batch in (128, 256)]
    table = mmi_costs.table(rows)
    assert table.rows[0] == (
        'MMI, batch 128',
        '48.4',
        '38.4',
        '45.0',
        '30.0 to 60.0',
        '75.0',
        '3.00',
    )
    assert (
        table.title.endswith('dimension 1024')
        and table.rows[1][-1] == '1.00'
        and len(table.rows) == 8
    )
    assert 'a CPU, 2 cores' in table.notes[0] and '0.10 to 0.90' in table.notes[0]
    check(mmi_costs.draw(rows, tmp_path / 'costs.png'), drawn[0])
    np.testing.assert_allclose(drawn[0].axes[0].lines[0].get_ydata(), [38.4, 76.8])
