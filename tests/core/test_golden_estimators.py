"""Estimators of the SMILE and DIM repositories, bmi's MINE, CLUB and direct formulas, in float64.

Not compared, since the library has no such thing or follows the definition where the peer departs
from it:
- dim_RKL, dim_X2, dim_H2: other f-divergences, not bounds on mutual information.
- dimloss_infonce: masks the diagonal with -10 instead of leaving it out, a bias that grows with the
scores.
- club_VarUB: averages over dimensions; the fit's `loglikeli_repo` leaves out a factor 1/2 and the
constant.
- bmi_mine's first step: starts its denominator from 0, which multiplies that gradient by 1 / (1 -
decay).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.core import bounds, critics, pairs
from mi_ssl_jax.core.bounds import paper
from tests.helpers import goldens

CASES = {case.id: case for case in goldens.cases('core_estimators')}
JSD_OFFSET = 2 * math.log(2)


def smile_jsd(p, args):
    clip = np.inf if args['clip'] is None else args['clip']
    return paper.value(bounds.smile_jsd_terms(p, clip=clip))


def mine(p, args):
    return paper.value(bounds.mine_terms(p, math.log(args['buffer']), decay=args['momentum'])[0])


def i_alpha(p, args):
    return bounds.i_alpha(p, jnp.full(len(p.joint), args['log_q']), alpha=args['alpha'])


# Case-id prefix -> the library's function of the same name, from pairs and the case's arguments.
OF_SCORES = {
    'infonce_smile': lambda p, _: bounds.infonce(p),
    'nwj_smile': lambda p, _: bounds.nwj(p),
    'dv_smile': lambda p, _: bounds.dv(p),
    'jsfgan_smile': lambda p, _: bounds.jsd(p),
    'js_smile': lambda p, _: paper.value(bounds.js_nwj_terms(p)),
    'smile_c': smile_jsd,
    'mine_smile': mine,
    'dim_JSD': lambda p, _: bounds.jsd(p) + JSD_OFFSET,
    'dim_GAN': lambda p, _: bounds.jsd(p),
    'dim_KL': lambda p, _: bounds.nwj(p),
    'dim_DV': lambda p, _: bounds.dv(p),
    'ialpha': i_alpha,
    'jsd_offset': lambda p, _: bounds.jsd(p) + JSD_OFFSET,
    'taylor_dv': lambda p, _: bounds.taylor_dv(p, variance_weight=0.5),
    'smile_pure': lambda p, args: bounds.smile(p, clip=args['clip']),
}
CHOSEN = [
    (case_id, prefix) for case_id in CASES for prefix in OF_SCORES if case_id.startswith(prefix)
]


@pytest.mark.parametrize('case_id, prefix', CHOSEN)
def test_of_scores(case_id, prefix):
    case = CASES[case_id]
    with goldens.x64():
        value, gradient = jax.value_and_grad(
            lambda s: OF_SCORES[prefix](pairs.in_batch(s), case.args)
        )(case.inputs['scores'])
    # That repository's InfoNCE takes log N in float32.
    goldens.assert_value(
        value, case.outputs['value'], atol=2e-7 if prefix == 'infonce_smile' else 1e-12
    )
    goldens.assert_grad(gradient, case.grads['scores'], atol=1e-16)


def test_every_case_is_compared_or_listed():
    # The rest: the tests below, and the skips that this file's docstring explains.
    assert set(CASES) - {case_id for case_id, _ in CHOSEN} == {
        'tuba_smile_randn_8',
        'dimloss_fenchel_JSD_corr_8_16',
        'barber_agakov_0.5_exact',
        'barber_agakov_0.9_exact',
        'moment_identity_corr_8_16',
        'club_CLUB',
        'bmi_mine_bilinear_3steps',
        'dim_RKL_randn_8',
        'dim_X2_randn_8',
        'dim_H2_randn_8',
        'dim_H2_optimal_rho0.9_128',
        'dimloss_infonce_corr_8_16',
        'club_VarUB',
    }


def test_tuba():
    # That repository's baseline belongs to the rows: ours to the columns, so its scores are
    # transposed.
    case = CASES['tuba_smile_randn_8']
    with goldens.x64():
        value, gradient = jax.value_and_grad(
            lambda s: bounds.tuba(pairs.in_batch(s.T), case.inputs['log_baseline'])
        )(case.inputs['scores'])
    goldens.assert_value(value, case.outputs['value'])
    goldens.assert_grad(gradient, case.grads['scores'])


def test_jsd_of_dot_products():
    case = CASES['dimloss_fenchel_JSD_corr_8_16']
    with goldens.x64():
        value, gradients = jax.value_and_grad(
            lambda a, b: -bounds.jsd(pairs.in_batch(critics.dot(a, b, temperature=1.0))), (0, 1)
        )(case.inputs['a'], case.inputs['b'])
    goldens.assert_value(float(value) - JSD_OFFSET, case.outputs['loss'])
    for gradient, name in zip(gradients, ('a', 'b'), strict=True):
        goldens.assert_grad(gradient, case.grads[name])


@pytest.mark.parametrize('case_id', ['barber_agakov_0.5_exact', 'barber_agakov_0.9_exact'])
def test_barber_agakov(case_id):
    case = CASES[case_id]
    x, y = case.inputs['x'], case.inputs['y']
    with goldens.x64():
        value = bounds.barber_agakov(
            y,
            case.args['a'] * x,
            np.full_like(y, math.log(case.args['v'])),
            entropy=0.5 * y.shape[1] * math.log(2 * math.pi * math.e),
        )
    goldens.assert_value(value, case.outputs['value'])


def test_club():
    case = CASES['club_CLUB']
    with goldens.x64():
        value, gradient = jax.value_and_grad(bounds.club)(
            case.inputs['y'], case.inputs['mu'], case.inputs['logvar']
        )
    goldens.assert_value(value, case.outputs['value'])
    goldens.assert_grad(gradient, case.grads['y'])


def test_moments_of_the_scores():
    case = CASES['moment_identity_corr_8_16']
    with goldens.x64():
        scores = pairs.in_batch(critics.dot(case.inputs['a'], case.inputs['b'], temperature=1.0))
        mean, spread = (
            bounds.taylor_dv_terms(scores, variance_weight=w).marginal for w in (0.0, 1.0)
        )
    goldens.assert_value(mean, case.outputs['mean_off'])
    goldens.assert_value(spread - mean, case.outputs['var_off'])
    goldens.assert_value(spread - mean + mean**2, case.outputs['second_moment_off'])


@pytest.mark.parametrize('step', [0, 1, 2])
def test_mine(step):
    case = CASES['bmi_mine_bilinear_3steps']
    decay, before = case.args['alpha'], [-np.inf, *case.outputs['log_denoms']][step]
    x, joint_y, marginal_y = (
        case.inputs[name][step] for name in ('xs', 'ys_paired', 'ys_unpaired')
    )

    def loss(weight):
        def scores(y):
            return jnp.sum(x @ weight * y, axis=1)

        p = pairs.with_negatives(scores(joint_y), scores(marginal_y)[:, None])
        terms, after = bounds.mine_terms(p, before, decay=decay)
        return -paper.value(terms), after

    with goldens.x64():
        (value, after), gradient = jax.value_and_grad(loss, has_aux=True)(case.inputs['W'])
    goldens.assert_value(-value, case.outputs['values'][step])
    if step > 0:
        goldens.assert_value(after, case.outputs['log_denoms'][step])
        np.testing.assert_allclose(
            gradient, case.outputs['neg_grads_W'][step], rtol=1e-7, atol=1e-12
        )
