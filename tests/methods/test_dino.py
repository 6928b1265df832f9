"""DINO: loss, head and schedules against other implementations, views of several sizes, what moves
when."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mi_ssl_jax import augment, methods, nets
from mi_ssl_jax.methods import api, dino
from mi_ssl_jax.nets import heads
from mi_ssl_jax.train import gradient_cache, optim, schedule, state, step
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(31)
STUDENT = RNG.standard_normal((4, 5, 3)).astype(np.float32)
TEACHER = RNG.standard_normal((2, 5, 3)).astype(np.float32)
CENTRE = RNG.standard_normal(3).astype(np.float32)
TEMPERATURES = dict(student_temperature=0.5, teacher_temperature=0.2)
CASES = {case.id: case for case in goldens.cases('methods_dino')}
LOSS_IDS = [i for i in CASES if i.startswith('dino_') and i != 'dino_head_forward']
SCHEDULE = dict(start=0.04, end=0.07, warmup_epochs=5)
SKIPPED = {
    'ema_cos_solo_0.99_0.999_50': 'ends below 1; no method here asks for it',
    'cosine_sched_dino_lr': "ends at a fixed rate; test_optim has the trainer's schedule",
}


def test_every_golden_case_is_used_or_skipped_for_a_reason():
    used = {
        *LOSS_IDS,
        'dino_head_forward',
        'cosine_sched_dino_mom',
        'ema_cos_solo_0.996_1.0_100',
        'ema_cos_solo_0.99_1.0_37',
    }
    assert set(CASES) == used | set(SKIPPED)


@functools.cache
def value_and_gradients():
    return jax.jit(jax.value_and_grad(dino.dino_loss, (0, 1, 2)))


@pytest.mark.parametrize('case_id', LOSS_IDS)
def test_golden(case_id):
    """Three calls in epochs 0, 2 and 4, the student's scores the same, the centre moving after
    each."""
    case, per_view = CASES[case_id], (CASES[case_id].args['B'], CASES[case_id].args['K'])
    centre = jnp.zeros(per_view[1])
    for call, epoch in enumerate((0, 2, 4)):
        with goldens.x64():
            student = case.inputs['student'].reshape(-1, *per_view)
            teacher = case.inputs['teacher'][call].reshape(2, *per_view)
            value, gradients = value_and_gradients()(
                student,
                teacher,
                centre,
                student_temperature=case.args['student_temp'],
                teacher_temperature=dino.temperature_at(jnp.float64(epoch), **SCHEDULE),
            )
            centre = dino.moved_centre(centre, teacher, momentum=0.9)
            gradients = tiny.snapshot(gradients)
        goldens.assert_value(value, case.outputs['losses'][call])
        goldens.assert_value(centre, np.ravel(case.outputs['centers'][call]))
        if f'student_call{call}' in case.grads:
            expected = case.grads[f'student_call{call}']
            goldens.assert_grad(gradients[0].reshape(case.inputs['student'].shape), expected)
        np.testing.assert_array_equal(gradients[1], 0)  # the teacher's side
        np.testing.assert_array_equal(gradients[2], 0)


def test_golden_head():
    case = CASES['dino_head_forward']
    inputs, scores = case.inputs, heads.Prototypes(24, normalise=True, dtype=np.float64)
    np.testing.assert_array_equal(inputs['last_layer_weight_g'], 1)  # the frozen gain
    layers = {
        f'Dense_{i}': {
            'kernel': inputs[f'mlp_{2 * i}_weight'].T,
            'bias': inputs[f'mlp_{2 * i}_bias'],
        }
        for i in range(3)
    }
    with goldens.x64():
        style = {'hidden_norm': False, 'hidden_bias': True, **dino.PROJECTOR}
        head = heads.Head((32, 32, 8), dtype=np.float64, **style)
        z = head.apply({'params': layers}, inputs['x'], train=True)
        y, _ = scores.apply({'params': {'rows': inputs['last_layer_weight_v']}}, z)
    goldens.assert_value(y, case.outputs['y'])


def oracle(student, teacher, centre, student_temperature, teacher_temperature):
    losses = []
    for q, v in ((q, v) for q in range(len(teacher)) for v in range(len(student)) if q != v):
        for t, s in zip(np.float64(teacher[q]), np.float64(student[v])):
            target = np.exp((t - centre) / teacher_temperature)
            p = np.exp(s / student_temperature)
            losses.append(-np.sum(target / target.sum() * np.log(p / p.sum())))
    return oracles.mean(losses)


class DinoLossTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_oracle(self):
        loss = self.variant(functools.partial(dino.dino_loss, **TEMPERATURES))
        expected = oracle(STUDENT, TEACHER, CENTRE, 0.5, 0.2)
        np.testing.assert_allclose(loss(STUDENT, TEACHER, CENTRE), expected, rtol=1e-5)

    @chex.variants(with_jit=True)
    def test_a_constant_of_all_scores_has_no_effect(self):
        loss = self.variant(functools.partial(dino.dino_loss, **TEMPERATURES))
        expected = loss(STUDENT, TEACHER, CENTRE)
        np.testing.assert_allclose(loss(STUDENT + 2, TEACHER, CENTRE - 3), expected, rtol=1e-5)


def test_half_precision_is_widened_first():
    half = [jnp.asarray(x, jnp.bfloat16) for x in (STUDENT, TEACHER, CENTRE)]
    wide = [x.astype(jnp.float32) for x in half]
    actual, expected = (dino.dino_loss(*arrays, **TEMPERATURES) for arrays in (half, wide))
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    centres = [
        dino.moved_centre(centre, teacher, momentum=0.9) for _, teacher, centre in (half, wide)
    ]
    assert centres[0].dtype == jnp.float32
    np.testing.assert_allclose(*centres, rtol=1e-6)


def test_one_view_is_refused():
    with pytest.raises(ValueError, match='at least 2 views'):
        dino.dino_loss(STUDENT[:1], TEACHER[:1], CENTRE, **TEMPERATURES)


def test_momentum_is_both_references():
    schedules = {
        'cosine_sched_dino_mom': (0.996, 70),
        'ema_cos_solo_0.996_1.0_100': (0.996, 100),
        'ema_cos_solo_0.99_1.0_37': (0.99, 37),
    }
    for name, (base, total) in schedules.items():
        expected = next(iter(CASES[name].outputs.values()))
        with goldens.x64():
            actual = api.momentum(base, 'cosine', 1.0)(np.arange(len(expected)) / total)
        goldens.assert_value(actual, expected)


def test_the_teachers_temperature_follows_whole_epochs():
    actual = [
        dino.temperature_at(jnp.float32(epoch), **SCHEDULE) for epoch in (0, 0.9, 1, 3.99, 4, 100)
    ]
    np.testing.assert_allclose(actual, [0.04, 0.04, 0.0475, 0.0625, 0.07, 0.07], rtol=1e-6)
    for epoch in (0, 7):
        constant = dino.temperature_at(jnp.float32(epoch), start=0.04, end=0.07, warmup_epochs=0)
        np.testing.assert_allclose(constant, 0.07, rtol=1e-6)


def crops_of(sizes, count=6):
    return tuple(
        jnp.asarray(
            np.random.default_rng(size).standard_normal((count, size, size, 1)), jnp.float32
        )
        for size in sizes
    )


class Mean(nn.Module):
    """Images of any size -> (N, 3)."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Conv(3, (3, 3))(x).mean(axis=(1, 2))


def of_images():
    arguments = tiny.arguments('dino') | {'head_norm': False}
    return methods.load('dino', api.Parts(Mean(), (5, 4), (), 4), **arguments)


@pytest.mark.slow
def test_local_views_of_another_size():
    """The student sees all views, the teacher the first two; the loss is that of the scores."""
    method, crops = of_images(), crops_of((8, 8, 4, 4))
    net = method.branches['student'].net
    variables = {'params': net.init(jax.random.PRNGKey(0), crops[0], train=False)['params']}
    both = {'student': variables, 'teacher': jax.tree.map(lambda leaf: 1.5 * leaf, variables)}
    encoded = step.encode(method, both, step.branch_views(method, crops))
    outputs = gradient_cache.outputs_of(encoded)
    assert [len(outputs[name].p) for name in ('student', 'teacher')] == [4, 2]
    aux = {'centre': jnp.full(7, 0.1)}
    loss = method.phases[0].loss(outputs, aux, api.Info(0, jnp.float32(50), 0.5, None))
    student, teacher = (
        np.stack([net.apply(both[name], view, train=False).p for view in crops[:n]])
        for name, n in (('student', 4), ('teacher', 2))
    )
    np.testing.assert_allclose(loss.value, oracle(student, teacher, 0.1, 0.1, 0.07), rtol=1e-4)
    np.testing.assert_allclose(
        loss.aux['centre'], 0.09 + 0.1 * teacher.mean((0, 1)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize('name', ['dino', 'swav'])
def test_two_global_and_four_local_views_in_one_step(name):
    """The method's own views of an image, 16 and 8 px, through encoders, loss, optimiser and
    followers."""
    spec = tiny.experiment(name, tiny.one_device())
    networks = tiny.parts()._replace(backbone=nets.load('conv4', width=2))
    spec = spec._replace(
        method=methods.load(name, networks, **tiny.arguments(name)),
        views=augment.load(name, data='tiny_imagenet', size=16, local_views=4),
    )
    phase, images = spec.method.phases[0], np.zeros((16, 20, 20, 3), np.uint8)

    def one_step(images):
        member = state.init(0, spec.hyper[0], spec, images[0])
        trained, frozen = state.split(member, spec.method, phase)
        batch = {'x': images, 'y': np.zeros(16, np.int32)}
        return trained, schedule.step(spec, phase.name)(trained, frozen, (), batch)

    before, (after, metrics) = jax.eval_shape(one_step, images)
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)
    assert {'loss', 'joint'} <= set(metrics)


def test_a_pipeline_of_one_view_is_refused_by_name():
    with pytest.raises(ValueError, match="branch 'teacher' encodes view 2 of 1: choose a pipeline"):
        step.branch_views(of_images(), crops_of((8,)))


def test_the_last_layer_stands_still_in_the_first_epoch():
    spec = tiny.experiment('dino', tiny.one_device())
    phase = spec.method.phases[0]
    params = {
        'projector': {'kernel': jnp.ones((2, 2)), 'bias': jnp.ones(2)},
        'prototypes': {'rows': jnp.ones((2, 2))},
    }
    gradient = jax.tree.map(lambda p: 10.0 * p, params)
    optimiser = optim.make(
        'adamw',
        lr=0.1,
        weight_decay=0.04,
        momentum=0.0,
        schedule=jnp.ones_like,
        steps_per_epoch=2,
        total_steps=8,
        groups=phase.groups,
        rules=phase.rules,
    )
    moments, rows = optimiser.init(params), []
    for _ in range(4):
        updates, moments = optimiser.update(gradient, moments, params)
        rows.append(tiny.snapshot(updates))
    # Equal gradients: Adam's step is 1, up to its eps and rounding. The weight decay of matrices
    # follows the cosine also where it starts late.
    decay = [0.4 - 0.36 * (1 + np.cos(np.pi * count / 8)) / 2 for count in range(4)]
    for count, row in enumerate(rows):
        np.testing.assert_allclose(row['projector']['kernel'], -0.1 * (1 + decay[count]), rtol=1e-4)
        np.testing.assert_allclose(row['projector']['bias'], -0.1, rtol=1e-4)
        np.testing.assert_allclose(
            row['prototypes']['rows'], -0.1 * (1 + decay[count]) * (count >= 2), rtol=1e-4
        )


def test_table_7():
    method = tiny.method('dino')
    assert (method.paradigm, method.update, method.objective) == ('sdmi', 'em', 'surrogate')
    assert api.structure(method) == {
        'ema': True,
        'stop_gradient': True,
        'predictor': False,
        'queue': False,
    }
