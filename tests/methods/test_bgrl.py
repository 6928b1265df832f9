"""BGRL's loss against the reference code's, and where the method stands."""

import jax
import numpy as np

from mi_ssl_jax.methods import bgrl, byol, table7
from tests.helpers import goldens, tiny

CASE = {case.id: case for case in goldens.cases('graphs')}['bgrl_symmetric_corr_8_16']


def symmetric(a, b, z1, z2):
    return bgrl.bgrl_loss(a, z2) + bgrl.bgrl_loss(b, z1)


def test_golden():
    with goldens.x64():
        inputs = [CASE.inputs[name] for name in ('a', 'b', 'z1', 'z2')]
        value, gradients = jax.value_and_grad(symmetric, (0, 1, 2, 3))(*inputs)
    goldens.assert_value(value, CASE.outputs['loss'])
    for name, actual in zip(('a', 'b'), gradients):
        goldens.assert_grad(actual, CASE.grads[name])
    for target in gradients[2:]:
        np.testing.assert_array_equal(target, 0)


def test_one_direction_is_half_of_byols():
    p, z = CASE.inputs['a'].astype(np.float32), CASE.inputs['z2'].astype(np.float32)
    np.testing.assert_allclose(2 * bgrl.bgrl_loss(p, z), byol.byol_loss(p, z), rtol=1e-6)


def test_table_7_calls_it_joint_and_its_structure_is_byols():
    rows = {row['method']: row for row in table7.rows(tiny.arguments)}
    assert (rows['bgrl']['update'], rows['bgrl']['objective'], rows['bgrl']['paradigm']) == (
        'Joint',
        'MI surrogate',
        'JMI',
    )
    devices = ('ema', 'stop_gradient', 'predictor', 'queue')
    assert [rows['bgrl'][name] for name in devices] == [rows['byol'][name] for name in devices]
