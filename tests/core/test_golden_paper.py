"""The paper's equations and bmi's estimators, in float64, against values computed elsewhere."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import bounds, critics, linalg, pairs
from tests.helpers import goldens

CASES = {case.id: case for case in goldens.cases('core_paper')}
LOSSES = {
    'cosdv': lambda p: -bounds.dv(p),
    'infonce': lambda p: math.log(len(p.joint)) - bounds.infonce(p),
    'jsd': lambda p: -bounds.jsd(p),
    'taylor': lambda p: -bounds.taylor_dv(p, variance_weight=1.0),
}
LOSS_IDS = [
    i for i in CASES if i.split('_')[1] in LOSSES and i.startswith('paper') and 'fd_check' not in i
]
BMI = {'infonce': bounds.infonce, 'donsker': bounds.dv, 'nwj': bounds.nwj}
BMI_IDS = [i for i in CASES if i.startswith('bmi') and i.split('_')[1] in BMI]


def loss(name, temperature, a, b):
    return LOSSES[name](pairs.in_batch(critics.cosine(a, b, temperature=temperature)))


@functools.cache
def value_and_gradient(name):
    # One compilation a loss and shape: the temperature is traced.
    return jax.jit(jax.value_and_grad(functools.partial(loss, name), (1, 2)))


@pytest.mark.parametrize('case_id', LOSS_IDS)
def test_paper_loss_and_gradient(case_id):
    case = CASES[case_id]
    with goldens.x64():
        value, gradients = value_and_gradient(case_id.split('_')[1])(
            case.args['tau'], case.inputs['a'], case.inputs['b']
        )
    goldens.assert_value(value, case.outputs['loss'])
    if 'collapsed' in case_id or 'zerorow' in case_id:
        # Truth 0 with rounding of the peer's own; eps of the normalisation, which differs between
        # sources.
        assert all(np.isfinite(g).all() for g in gradients)
        return
    # The gradient of the cosine between equal views is 0: what is left is rounding of terms of
    # order 1 / tau.
    atol = 1e-12 if 'same' in case_id else 0.0
    for gradient, name in zip(gradients, ('a', 'b'), strict=True):
        goldens.assert_grad(gradient, case.grads[name], atol=atol)


@pytest.mark.parametrize('case_id', [i for i in LOSS_IDS if 'cosdv' in i])
def test_every_estimator_of_one_score_matrix(case_id):
    case = CASES[case_id]
    expected = dict(case.outputs)
    with goldens.x64():
        scores = critics.cosine(case.inputs['a'], case.inputs['b'], temperature=case.args['tau'])
        p, columns = pairs.in_batch(scores), pairs.in_batch(scores.T)
        dv_terms, infonce_columns = bounds.dv_terms(p), bounds.infonce(columns)
        taylor = {w: bounds.taylor_dv_terms(p, variance_weight=w) for w in (0.0, 1.0)}
        actual = {
            'joint': dv_terms.joint,
            'log_mean_exp_off': dv_terms.marginal,
            'I_dv': bounds.dv(p),
            'I_infonce': bounds.infonce(p),
            'I_infonce_cols': infonce_columns,
            'I_infonce_sym': (bounds.infonce(p) + infonce_columns) / 2,
            'I_jsd': bounds.jsd(p),
            'I_jsd_plus_2log2': bounds.jsd(p) + 2 * math.log(2),
            'I_nwj': bounds.nwj(p),
            'mean_off': taylor[0.0].marginal,
            'var_off': taylor[1.0].marginal - taylor[0.0].marginal,
            'I_taylor': bounds.taylor_dv(p, variance_weight=0.5),
            # Eq. 20 read with a mean inside: log N counted twice. Ours plus log N.
            'I_infonce_eq20_literal_mean': bounds.infonce(p) + math.log(len(scores)),
        }
    for name, value in actual.items():
        goldens.assert_value(value, expected[name])


def test_eq13():
    case = CASES['eq13_corr_8_16']
    with goldens.x64():
        za, zb = (linalg.standardise(case.inputs[name], eps=0.0) for name in ('a', 'b'))
        goldens.assert_value(jnp.diag(linalg.cross_correlation(za, zb)), case.outputs['C_diag'])
        goldens.assert_value(bounds.eq13(za, zb), case.outputs['loss'])


def test_gradient_against_differences_at_40_digits():
    case, views = CASES['paper_cosdv_mp_fd_check'], CASES['paper_cosdv_corr_8_16_tau0.1'].inputs
    with goldens.x64():
        gradient = value_and_gradient('cosdv')(0.1, views['a'], views['b'])[1][0]
    entries = [gradient[0, 0], gradient[3, 7], gradient[7, 15]]
    np.testing.assert_allclose(entries, case.outputs['fd'], rtol=1e-9)


@pytest.mark.parametrize('case_id', BMI_IDS)
def test_bmi(case_id):
    case = CASES[case_id]
    bound = BMI[case_id.split('_')[1]]
    with goldens.x64():
        value, gradient = jax.value_and_grad(lambda s: bound(pairs.in_batch(s)))(
            case.inputs['scores']
        )
    goldens.assert_value(value, case.outputs['value'])
    for expected in case.grads.values():
        # The float64 rounding of terms of order 1 / N: all that is left of the gradient at
        # InfoNCE's ceiling, log N.
        goldens.assert_grad(gradient, expected, atol=1e-16)
