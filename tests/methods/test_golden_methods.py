"""Every method's loss and gradient, in float64, against the authors' code, lightly and
solo-learn."""

import functools
import re

import jax
import numpy as np
import pytest

from mi_ssl_jax.methods import api, barlow, byol, jmi, moco, sdmi, simclr, simsiam, vicreg
from tests.helpers import goldens

CASES = {case.id: case for case in goldens.cases('methods_losses')}
VICREG = dict(invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0, eps=1e-4)


def symmetric(one_direction, *, factor=1.0):
    """factor * (loss(p1, z2) + loss(p2, z1)), as the authors' training loops add them up."""

    def loss(first, second, target_first, target_second, **arguments):
        return factor * (
            one_direction(first, target_second, **arguments)
            + one_direction(second, target_first, **arguments)
        )

    return loss


# Start of a case's id -> (our loss, the peer's arguments -> ours).
LOSSES = {
    'ntxent_lightly': (simclr.nt_xent, lambda args: {'temperature': args['temperature']}),
    'ntxent_solo': (simclr.nt_xent, lambda args: {'temperature': args['temperature']}),
    'ntxent_htdt': (simclr.nt_xent, lambda args: {'temperature': args['tau']}),
    'negcos_lightly': (simsiam.negative_cosine, lambda args: {}),
    'simsiam_solo': (simsiam.negative_cosine, lambda args: {}),
    'simsiam_official_symmetric': (symmetric(simsiam.negative_cosine, factor=0.5), lambda args: {}),
    'byol_official': (byol.byol_loss, lambda args: {}),
    'byol_solo': (byol.byol_loss, lambda args: {}),
    'mocov3_official': (moco.mocov3_loss, lambda args: {'temperature': args['T']}),
    'mocov3_official_symmetric': (
        symmetric(moco.mocov3_loss),
        lambda args: {'temperature': args['T']},
    ),
    'mocov3_solo': (moco.mocov3_loss, lambda args: {'temperature': args['temperature']}),
    'barlow_official': (barlow.barlow_loss, lambda args: {'redundancy_weight': args['lambd']}),
    'barlow_lightly': (
        barlow.barlow_loss,
        lambda args: {'redundancy_weight': args['lambda_param']},
    ),
    'vicreg_official': (vicreg.vicreg_loss, lambda args: VICREG),
    'vicreg_lightly': (vicreg.vicreg_loss, lambda args: VICREG),
}
# What is not compared as it stands, and why. Losses: patterns of the id. Gradients: also of the
# input.
SKIPPED_LOSSES = {
    'barlow_solo_.*': (
        'a default factor of 0.025 on the whole loss; see test_solo_learns_deviations'
    ),
    'vicreg_solo_.*': (
        "adds the two views' variance terms instead of averaging them; see the same test"
    ),
    'byol_official_zerorow_.*': (
        'eps 1e-12 on the squared norm; everybody else, and we, have it on the norm'
    ),
    'byol_target_ema': 'a schedule; see test_ema_schedule',
    'proto_.*': 'see test_prototypes',
}
SKIPPED_GRADIENTS = {
    ('(?!barlow|vicreg).*_zerorow_.*', '.*'): 'a normalised zero row has the gradient of the eps',
    (
        'negcos_lightly_.*',
        'b',
    ): 'no stop-gradient on the target, which the caller is expected to detach',
    ('mocov3_solo_.*', 'b'): 'keys are detached only when there are several devices',
}
LOSS_IDS = [i for i in CASES if not any(re.fullmatch(pattern, i) for pattern in SKIPPED_LOSSES)]


def skipped(case_id, name):
    return any(re.fullmatch(i, case_id) and re.fullmatch(n, name) for i, n in SKIPPED_GRADIENTS)


@functools.cache
def value_and_gradients(loss):
    # Compiled once a loss and shape: temperatures and weights are traced.
    return jax.jit(jax.value_and_grad(lambda arrays, arguments: loss(*arrays, **arguments)))


def evaluate(loss, case, arguments):
    with goldens.x64():
        value, gradients = value_and_gradients(loss)(tuple(case.inputs.values()), arguments)
    # To numpy: outside the context jax would compute with them in float32.
    return np.asarray(value), dict(zip(case.inputs, map(np.asarray, gradients), strict=True))


def assert_gradients(case, gradients, scale=1.0):
    # Equal views or equal rows: many gradients are 0, and what is left is the rounding of terms of
    # order 1.
    atol = 1e-12 if '_same_' in case.id or '_collapsed_' in case.id else 0.0
    for name, expected in case.grads.items():
        assert np.isfinite(gradients[name]).all()
        if not skipped(case.id, name):
            goldens.assert_grad(scale * gradients[name], expected, atol=atol)


@pytest.mark.parametrize('case_id', LOSS_IDS)
def test_loss_and_gradient(case_id):
    case = CASES[case_id]
    loss, arguments = LOSSES[max((start for start in LOSSES if case_id.startswith(start)), key=len)]
    value, gradients = evaluate(loss, case, arguments(case.args))
    goldens.assert_value(value, case.outputs['loss'])
    assert_gradients(case, gradients)


def test_a_cold_loss_near_zero_keeps_its_digits_in_float32():
    # Scores up to 100: the difference of their means alone is rounded to 1e-5.
    case = CASES['ntxent_lightly_corr_8_16_t0.01']
    value = simclr.nt_xent(*map(np.float32, case.inputs.values()), temperature=0.01)
    goldens.assert_value(value, case.outputs['loss'], rtol=0, atol=1e-6)


def test_targets_get_no_gradient():
    # The authors detach them: no gradient is stored for most of them.
    targets = {
        'byol_official': 'b',
        'simsiam_official_symmetric': ('z1', 'z2'),
        'mocov3_official': 'b',
        'mocov3_official_symmetric': ('k1', 'k2'),
    }
    for start, names in targets.items():
        case = next(case for case in CASES.values() if case.id.startswith(f'{start}_corr'))
        loss, arguments = LOSSES[start]
        gradients = evaluate(loss, case, arguments(case.args))[1]
        for name in names:
            np.testing.assert_array_equal(gradients[name], 0.0)


@pytest.mark.parametrize(
    'case_id', [i for i in CASES if i.startswith(('barlow_solo', 'vicreg_solo'))]
)
def test_solo_learns_deviations(case_id):
    """Nothing but the stated deviation lies between solo-learn's number and the definition."""
    case = CASES[case_id]
    if case_id.startswith('barlow'):
        loss, arguments, scale = barlow.barlow_loss, {'redundancy_weight': case.args['lamb']}, 0.025
    else:
        loss, arguments, scale = vicreg.vicreg_loss, VICREG | {'variance_weight': 50.0}, 1.0
    value, gradients = evaluate(loss, case, arguments)
    goldens.assert_value(scale * value, case.outputs['loss'])
    assert_gradients(case, gradients, scale)


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('vicreg_lightly')])
def test_vicreg_terms(case_id):
    case, parts = CASES[case_id], CASES[case_id].outputs
    with goldens.x64():
        terms = jax.jit(functools.partial(vicreg.vicreg_terms, **VICREG))(
            case.inputs['a'], case.inputs['b']
        )
    goldens.assert_value(terms.joint, -25 * parts['invariance'])
    goldens.assert_value(
        terms.marginal,
        12.5 * (parts['variance_a'] + parts['variance_b'])
        + parts['covariance_a']
        + parts['covariance_b'],
    )


def prototype(kind, e1, e2, m1, m2, *, temperature):
    """L_E, L_M (Algorithm 1) or L_J (Algorithm 2) of the embeddings of theta (E1, E2) and xi (M1,
    M2)."""
    return {
        'L_E': lambda: sdmi.sdmi_loss((e1, e2), (m1, m2), temperature=temperature),
        'L_M': lambda: sdmi.sdmi_loss((m1, m2), (e1, e2), temperature=temperature),
        'L_J': lambda: jmi.jmi_loss(e1, e2, temperature=temperature),
    }[kind]()


PROTOTYPES = {kind: functools.partial(prototype, kind) for kind in ('L_E', 'L_M', 'L_J')}


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('proto')])
@pytest.mark.parametrize(
    'kind, trained',
    [
        ('L_E', {'E1': 'E_E1', 'E2': 'E_E2'}),
        ('L_M', {'M1': 'M_M1', 'M2': 'M_M2'}),
        ('L_J', {'E1': 'J_Z1', 'E2': 'J_Z2'}),
    ],
)
def test_prototypes(case_id, kind, trained):
    case = CASES[case_id]
    value, gradients = evaluate(PROTOTYPES[kind], case, {'temperature': case.args['tau']})
    goldens.assert_value(value, case.outputs[kind])
    for name, gradient in gradients.items():
        if name in trained:
            goldens.assert_grad(gradient, case.grads[trained[name]])
        else:
            np.testing.assert_array_equal(gradient, 0.0)  # the frozen branch


@pytest.mark.parametrize('case_id', [i for i in CASES if i.startswith('proto')])
def test_one_order_of_jmi_is_the_mean_of_both(case_id):
    goldens.assert_value(CASES[case_id].outputs['L_J_oneway'], CASES[case_id].outputs['L_J'])


def test_ema_schedule():
    expected = CASES['byol_target_ema'].outputs['tau']
    with goldens.x64():
        actual = api.momentum(0.996, 'cosine', 1.0)(np.arange(101) / 100)
    # The reference schedule runs in float32.
    goldens.assert_value(actual, expected, rtol=1e-7)
