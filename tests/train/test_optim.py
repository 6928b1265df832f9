"""Optimisers against PyTorch's and the reference LARS, step by step; the schedule in closed
form."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mi_ssl_jax.methods import api
from mi_ssl_jax.train import optim
from tests.helpers import goldens, tiny

CASES = {case.id: case for case in goldens.cases('methods_optim')}
SOLO = optim.Lars(eta=0.02, ratio='parts', clip=True)


def make(name, **options):
    usual = {'momentum': 0.9, 'schedule': jnp.ones_like, 'steps_per_epoch': 2, 'total_steps': 8}
    return optim.make(name, **usual | options)


# Case -> our optimiser, and its momentum: both LARS have 0.9.
OPTIMISERS = {
    'sgd_torch': ('sgd', 0.9),
    'adamw_torch': ('adamw', 0.0),
    'lars_barlowtwins': ('lars', 0.9),
    'lars_vicreg': ('lars', 0.9),
    'lars_solo_clip1': ('lars', 0.9),
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


def test_every_golden_case_is_used():
    assert set(CASES) == set(OPTIMISERS)


@pytest.mark.parametrize('case_id', OPTIMISERS)
def test_trajectory(case_id):
    case, (name, momentum) = CASES[case_id], OPTIMISERS[case_id]
    inputs = case.inputs
    with goldens.x64():
        params = {'kernel': jnp.asarray(inputs['W']), 'bias': jnp.asarray(inputs['b'])}
        gradients = [
            {'kernel': w, 'bias': b} for w, b in zip(inputs['gw'], inputs['gb'], strict=True)
        ]
        options = {'lars': SOLO} if 'solo' in case_id else {}
        optimiser = make(
            name, lr=case.args['lr'], weight_decay=case.args['wd'], momentum=momentum, **options
        )
        rows = trajectory(optimiser, params, gradients)
    goldens.assert_value([row['kernel'] for row in rows], case.outputs['w'])
    goldens.assert_value([row['bias'] for row in rows], case.outputs['b'])


# Fifty steps against the formulas, in plain numpy
# --------------------------------------------------------------------------------------------------

STEPS, LR, DECAY, MOMENTUM = 50, 0.3, 0.02, 0.9


def rates(start=1e-4, final=0.01, warmup=10):
    """A learning rate from LR * start over the warm-up to LR, then by half a cosine to LR *
    final."""
    for step in range(STEPS):
        if step < warmup:
            yield LR * (start + (1 - start) * step / warmup)
        else:
            wave = (1 + np.cos(np.pi * (step - warmup) / (STEPS - warmup))) / 2
            yield LR * (final + (1 - final) * wave)


def lars_oracle(param, gradients, lars, nesterov=False):
    """One parameter's positions: decay, trust ratio, heavy ball, one after the other."""
    velocity, adapted = 0.0, param.ndim > 1 or lars.vectors
    for gradient, rate in zip(gradients, rates()):
        size, length = np.linalg.norm(param), np.linalg.norm(gradient)
        if adapted and size > 0 and length > 0:
            decayed = gradient + DECAY * param
            below = np.linalg.norm(decayed)
            if lars.ratio == 'parts':
                below = length + DECAY * size + 1e-8
            scale = lars.eta * size / below
            gradient = decayed * (min(scale / rate, 1) if lars.clip else scale)
        velocity = MOMENTUM * velocity + gradient
        ahead = gradient + MOMENTUM * velocity if nesterov else velocity
        param = param - rate * ahead
        yield param


def sgd_oracle(param, gradients):
    """PyTorch's SGD with the decay in the gradient and Nesterov's momentum (Sutskever et al.
    2013, as its documentation writes it)."""
    velocity = 0.0
    for gradient, rate in zip(gradients, rates()):
        gradient = gradient + DECAY * param
        velocity = MOMENTUM * velocity + gradient
        param = param - rate * (gradient + MOMENTUM * velocity)
        yield param


def adam_oracle(param, gradients):
    """Kingma & Ba 2015, Algorithm 1, with the decay in the gradient."""
    first = second = 0.0
    for step, (gradient, rate) in enumerate(zip(gradients, rates()), start=1):
        gradient = gradient + DECAY * param
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        unbiased = np.sqrt(second / (1 - 0.999**step)) + 1e-8
        param = param - rate * first / (1 - 0.9**step) / unbiased
        yield param


ORACLES = {
    'adam': ('adam', {}, adam_oracle),
    'sgd nesterov': ('sgd', {'nesterov': True}, sgd_oracle),
    'lars parts nesterov': (
        'lars',
        {'lars': SOLO, 'nesterov': True},
        functools.partial(lars_oracle, lars=SOLO, nesterov=True),
    ),
    **{
        f'lars {ratio} clip={clip} vectors={vectors}': (
            'lars',
            {'lars': own},
            functools.partial(lars_oracle, lars=own),
        )
        for ratio, clip, vectors in itertools.product(
            ('whole', 'parts'), (False, True), (False, True)
        )
        for own in [optim.Lars(0.02, ratio, clip, vectors)]
    },
}


@pytest.mark.parametrize('case', ORACLES)
def test_fifty_steps_equal_the_formula(case):
    name, options, oracle = ORACLES[case]
    rng = np.random.default_rng(3)
    params = {'kernel': rng.normal(size=(4, 3)), 'bias': rng.normal(size=3)}
    # Gradients of very different sizes, so that the clipped ratio is met on both sides.
    sizes = 10.0 ** rng.uniform(-2, 1, STEPS)
    gradients = [
        {key: size * rng.normal(size=p.shape) for key, p in params.items()} for size in sizes
    ]
    with goldens.x64():
        schedule = optim.warmup_cosine(warmup_steps=10, total_steps=STEPS, start=1e-4, final=0.01)
        optimiser = make(
            name, lr=LR, weight_decay=DECAY, momentum=MOMENTUM, schedule=schedule, **options
        )
        rows = trajectory(optimiser, jax.tree.map(jnp.asarray, params), gradients)
    for key, param in params.items():
        expected = list(oracle(param, [gradient[key] for gradient in gradients]))
        found = np.array([row[key] for row in rows])
        print(f'{case}, {key}: largest difference {np.abs(found - expected).max():.1e}')
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_a_clipped_ratio_is_met_on_both_sides_there():
    """The test above would not see the clip where every ratio lies on one side of it."""
    rng = np.random.default_rng(3)
    param = rng.normal(size=(4, 3))
    gradients = [size * rng.normal(size=(4, 3)) for size in 10.0 ** rng.uniform(-2, 1, STEPS)]
    free, clipped = (
        np.array(list(lars_oracle(param, gradients, optim.Lars(0.02, 'parts', clip, False))))
        for clip in (False, True)
    )
    ratios = [
        0.02 * np.linalg.norm(p) / (np.linalg.norm(g) + DECAY * np.linalg.norm(p)) / rate
        for p, g, rate in zip(clipped, gradients[1:], list(rates())[1:])
    ]
    assert min(ratios) < 0.5 and max(ratios) > 2 and np.abs(free - clipped).max() > 1e-3


def test_parameters_or_gradients_of_zeros_are_not_adapted():
    optimiser = make('lars', lr=1.0, weight_decay=0.5, momentum=0.0, lars=SOLO)
    params = {'zero': jnp.zeros((2, 2)), 'still': jnp.ones((2, 2))}
    gradients = {'zero': jnp.full((2, 2), 3.0), 'still': jnp.zeros((2, 2))}
    updates, _ = optimiser.update(gradients, optimiser.init(params), params)
    np.testing.assert_array_equal(updates['zero'], np.full((2, 2), -3.0))
    np.testing.assert_array_equal(updates['still'], np.zeros((2, 2)))


def test_a_warm_up_from_zero_stays_finite_with_a_clipped_ratio():
    rows = several_steps(
        3, 'lars', lars=SOLO, schedule=optim.warmup_cosine(warmup_steps=2, total_steps=8)
    )
    for leaf in jax.tree.leaves(rows[0]):
        np.testing.assert_array_equal(leaf, 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(rows))


def test_steps_down_in_closed_form():
    factor = optim.warmup_steps_down(warmup_steps=4, drops=(6, 9), drop_factor=0.2, start=0.5)
    expected = [0.5, 0.625, 0.75, 0.875, 1, 1, 0.2, 0.2, 0.2, 0.04, 0.04]
    np.testing.assert_allclose(factor(jnp.arange(11)), expected, rtol=1e-6)


def test_warmup_and_cosine_with_other_ends_in_closed_form():
    factor = optim.warmup_cosine(warmup_steps=4, total_steps=12, start=0.2, final=0.1)
    expected = {0: 0.2, 2: 0.6, 4: 1, 8: 0.55, 12: 0.1, 20: 0.1}
    actual = [factor(jnp.int32(step)) for step in expected]
    np.testing.assert_allclose(actual, list(expected.values()), rtol=1e-6)


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
    with pytest.raises(
        ValueError, match="unknown optimizer 'lamb'; use one of sgd, adam, adamw, lars"
    ):
        make('lamb', lr=0.1, weight_decay=0.0)
