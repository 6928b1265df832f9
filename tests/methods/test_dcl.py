"""SimCLR's decoupled objective against lightly's, and what it leaves out.

Its weighted form (DCLW) is no objective of the library, so lightly's two cases of it are not
compared.
"""

import functools

import jax
import numpy as np
import pytest

from mi_ssl_jax.methods import simclr
from tests.helpers import goldens, tiny

CASES = {case.id: case for case in goldens.cases('methods_dcl')}


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('dcl_')])
def test_golden(case_id):
    case = CASES[case_id]
    with goldens.x64():
        loss = functools.partial(simclr.dcl_loss, temperature=case.args['temperature'])
        value, gradients = jax.jit(jax.value_and_grad(loss, (0, 1)))(*case.inputs.values())
    goldens.assert_value(value, case.outputs['loss'])
    for name, gradient in zip(case.inputs, gradients, strict=True):
        goldens.assert_grad(gradient, case.grads[name])


def test_without_the_positive_the_denominator_is_smaller():
    case = next(case for case in CASES.values())
    arrays = [np.float32(z) for z in case.inputs.values()]
    whole = simclr.nt_xent_terms(*arrays, temperature=0.5)
    decoupled = simclr.dcl_terms(*arrays, temperature=0.5)
    assert decoupled.marginal < whole.marginal and decoupled.joint == whole.joint


def test_chosen_by_name_and_not_in_blocks():
    assert tiny.method('simclr', objective='dcl').objective == 'explicit'
    with pytest.raises(ValueError, match='block_size'):
        tiny.method('simclr', objective='dcl', block_size=4)
    with pytest.raises(ValueError, match='batch of at least 2'):
        simclr.dcl_terms(np.ones((1, 3), np.float32), np.ones((1, 3), np.float32), temperature=1.0)
