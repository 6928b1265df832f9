"""Optimisers against PyTorch's and the reference LARS, step by step; the schedule in closed
form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mi_ssl_jax.methods import api
from mi_ssl_jax.train import optim
from tests.helpers import goldens, tiny

CASES = {case.id: case for case in goldens.cases('methods_optim')}
SKIPPED = {
    'lars_solo_clip1': 'another LARS: trust ratio of the raw gradient, at most 1, coefficient 0.02',
}


def make(name, **options):
    usual = {'momentum': 0.9, 'schedule': jnp.ones_like, 'steps_per_epoch': 2, 'total_steps': 8}
    return optim.make(name, **usual | options)


# Case -> our optimiser, and its momentum: both LARS have 0.9.
OPTIMISERS = {
    'sgd_torch': ('sgd', 0.9),
    'adamw_torch': ('adamw', 0.0),
    'lars_barlowtwins': ('lars', 0.9),
    'lars_vicreg': ('lars', 0.9),
}


def trajectory(optimiser, params, gradients):
    """Parameters after each step along given gradients."""
    state, rows = optimiser.init(params), []
    update = jax.jit(optimiser.update)
    for gradient in gradients:
        updates, state = update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        rows.append(tiny.snapshot(params))
    return rows


def test_every_golden_case_is_used_or_skipped_for_a_reason():
    assert set(CASES) == set(OPTIMISERS) | set(SKIPPED)


@pytest.mark.parametrize('case_id', OPTIMISERS)
def test_trajectory(case_id):
    case, (name, momentum) = CASES[case_id], OPTIMISERS[case_id]
    inputs = case.inputs
    with goldens.x64():
        params = {'kernel': jnp.asarray(inputs['W']), 'bias': jnp.asarray(inputs['b'])}
        gradients = [
            {'kernel': w, 'bias': b} for w, b in zip(inputs['gw'], inputs['gb'], strict=True)
        ]
        optimiser = make(name, lr=case.args['lr'], weight_decay=case.args['wd'], momentum=momentum)
        rows = trajectory(optimiser, params, gradients)
    goldens.assert_value([row['kernel'] for row in rows], case.outputs['w'])
    goldens.assert_value([row['bias'] for row in rows], case.outputs['b'])


def test_warmup_and_cosine_in_closed_form():
    factor = optim.warmup_cosine(warmup_steps=4, total_steps=12)
    half = 0.5**0.5
    expected = {
        0: 0,
        1: 0.25,
        3: 0.75,
        4: 1,
        6: (1 + half) / 2,
        8: 0.5,
        10: (1 - half) / 2,
        12: 0,
        20: 0,
    }
    actual = [factor(jnp.int32(step)) for step in expected]
    np.testing.assert_allclose(actual, list(expected.values()), atol=1e-6)


def test_no_warmup_starts_at_the_full_rate():
    factor = optim.warmup_cosine(warmup_steps=0, total_steps=10)
    np.testing.assert_allclose(
        [factor(jnp.int32(step)) for step in (0, 5, 10)], [1, 0.5, 0], atol=1e-7
    )


def test_schedule_against_byols_reference():
    # Its float32 values, batch 4096 and base 0.2: warm-up over 10 of 100 steps to 0.2 * 4096 / 256.
    case = next(case for case in goldens.cases('methods_losses') if case.id == 'byol_target_ema')
    factor = optim.warmup_cosine(warmup_steps=10, total_steps=100)
    np.testing.assert_allclose(
        3.2 * factor(jnp.arange(101)), case.outputs['lr'], rtol=1e-5, atol=1e-6
    )


PARAMS = {
    'backbone': {'kernel': jnp.full((2, 2), 2.0), 'bias': jnp.full(2, 3.0)},
    'predictor': {'kernel': jnp.full((2, 2), 4.0)},
}
GRADIENT = jax.tree.map(lambda p: 0.5 * jnp.ones_like(p), PARAMS)


def one_step(name, lr, weight_decay, **options):
    optimiser = make(name, lr=lr, weight_decay=weight_decay, **options)
    return optimiser.update(GRADIENT, optimiser.init(PARAMS), PARAMS)[0]


def test_learning_rate_and_weight_decay_may_be_traced():
    rates, decays = jnp.array([0.1, 0.3]), jnp.array([0.0, 0.2])
    for name in optim.NAMES:
        both = jax.jit(jax.vmap(functools.partial(one_step, name)))(rates, decays)
        for seed in range(2):
            alone = one_step(name, float(rates[seed]), float(decays[seed]))
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a[seed], b, rtol=1e-5), both, alone
            )


def test_weight_decay_of_each_optimiser():
    # sgd: g + wd p on everything. adamw: a unit step and wd p. lars: weights alone.
    sgd, adamw, lars = (one_step(name, 0.1, 0.2) for name in ('sgd', 'adamw', 'lars'))
    np.testing.assert_allclose(sgd['backbone']['bias'], -0.1 * (0.5 + 0.2 * 3), rtol=1e-6)
    np.testing.assert_allclose(adamw['backbone']['bias'], -0.1 * (1 + 0.2 * 3), rtol=1e-5)
    np.testing.assert_allclose(lars['backbone']['bias'], -0.1 * 0.5, rtol=1e-6)
    # Trust ratio of a (2, 2) kernel of 2s whose decayed gradient is 0.9 everywhere: 0.001 * 2 /
    # 0.9.
    np.testing.assert_allclose(lars['backbone']['kernel'], -0.1 * 0.001 * 2, rtol=1e-5)


def test_a_group_may_keep_its_learning_rate_while_the_rest_is_scheduled():
    def quarter(count):
        return jnp.float32(0.25)

    groups = (api.Group('predictor', constant_lr=True),)
    update = one_step('sgd', 0.1, 0.0, schedule=quarter, groups=groups)
    np.testing.assert_allclose(update['predictor']['kernel'], -0.1 * 0.5, rtol=1e-6)
    for leaf in jax.tree.leaves(update['backbone']):
        np.testing.assert_allclose(leaf, -0.25 * 0.1 * 0.5, rtol=1e-6)
    scheduled = one_step('sgd', 0.1, 0.0, schedule=quarter, groups=(api.Group('predictor'),))
    np.testing.assert_allclose(scheduled['predictor']['kernel'], -0.25 * 0.1 * 0.5, rtol=1e-6)


def several_steps(count, name='sgd', lr=0.1, weight_decay=0.0, **options):
    """Updates along the same gradient, of parameters that stay."""
    optimiser = make(name, lr=lr, weight_decay=weight_decay, **options)
    state, rows = optimiser.init(PARAMS), []
    for _ in range(count):
        updates, state = optimiser.update(GRADIENT, state, PARAMS)
        rows.append(tiny.snapshot(updates))
    return rows


def test_each_parameters_gradient_is_clipped_by_its_own_norm():
    # Norms of GRADIENT: 0.5 * 2 for a kernel, 0.5 * sqrt(2) for the bias, which stays as it is.
    update = one_step('sgd', 0.1, 0.0, rules=api.Rules(clip=0.8))
    np.testing.assert_allclose(
        update['backbone']['kernel'], -0.1 * 0.5 * 0.8 / (1 + 1e-6), rtol=1e-6
    )
    np.testing.assert_allclose(update['backbone']['bias'], -0.1 * 0.5, rtol=1e-6)


def test_a_frozen_module_starts_afresh_after_its_epochs():
    groups = (api.Group('predictor', frozen_epochs=1),)

    def ramp(count):
        return 0.25 * (count + 1)

    rows = several_steps(4, groups=groups, schedule=ramp)
    # Heavy ball of gradients 0.5: 0.5, 0.95, 1.355, ...; the frozen module's begins at step 2, the
    # schedule does not.
    velocity = [0.5 * sum(0.9**i for i in range(n)) for n in range(5)]
    for count, row in enumerate(rows):
        expected = (
            -0.1 * ramp(count) * np.float64([velocity[count + 1], velocity[max(count - 1, 0)]])
        )
        np.testing.assert_allclose(
            row['backbone']['kernel'], np.full((2, 2), expected[0]), rtol=1e-5
        )
        np.testing.assert_allclose(
            row['predictor']['kernel'], np.full((2, 2), expected[1]), rtol=1e-5
        )


def test_weight_decay_follows_a_cosine_to_its_final_value_on_matrices_alone():
    rules = api.Rules(final_weight_decay=0.4, decay_vectors=False)
    rows = several_steps(9, weight_decay=0.04, momentum=0.0, rules=rules)
    for count, decay in ((0, 0.04), (4, 0.22), (8, 0.4)):
        np.testing.assert_allclose(
            rows[count]['backbone']['kernel'], -0.1 * (0.5 + decay * 2), rtol=1e-5
        )
        np.testing.assert_allclose(rows[count]['backbone']['bias'], -0.1 * 0.5, rtol=1e-6)


def test_rows_of_unit_length():
    update = one_step('sgd', 0.1, 0.2, groups=(api.Group('predictor', unit_rows=True),))
    moved = PARAMS['predictor']['kernel'] + update['predictor']['kernel']
    np.testing.assert_allclose(moved, 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(update['backbone']['kernel'], -0.1 * (0.5 + 0.2 * 2), rtol=1e-6)


def test_simsiams_predictor_learns_at_a_constant_rate():
    """At the end of the schedule the predictor alone still moves."""
    spec = tiny.experiment('simsiam', tiny.one_device())
    phase = spec.method.phases[0]
    params = jax.eval_shape(lambda: tiny.state.init(0, tiny.HYPER[0], spec, tiny.POINTS[0]))
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), params.variables['online']['params'])
    for schedule, factor in ((jnp.zeros_like, 0.0), (jnp.ones_like, 1.0)):
        optimiser = make('sgd', lr=0.1, weight_decay=0.0, schedule=schedule, groups=phase.groups)
        update, _ = optimiser.update(params, optimiser.init(params), params)
        for module, tree in update.items():
            for leaf in jax.tree.leaves(tree):
                np.testing.assert_allclose(
                    leaf, -0.1 if module == 'predictor' else -0.1 * factor, rtol=1e-6
                )
    assert set(params) == {'backbone', 'projector', 'predictor'}


def test_unknown_optimiser():
    with pytest.raises(ValueError, match="unknown optimizer 'lamb'; use one of sgd, adamw, lars"):
        make('lamb', lr=0.1, weight_decay=0.0)
