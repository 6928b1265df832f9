"""One step's parts: batches, views, branches, followers, and what a loss is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from mi_ssl_jax import parallel
from mi_ssl_jax.methods import api, barlow
from mi_ssl_jax.nets import heads
from mi_ssl_jax.train import gradient_cache, state, step
from tests.helpers import tiny


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


class Encoder(nn.Module):
    """(N, L, 2), any L -> mean over L, linear, batch norm; its 'predictor' doubles z."""

    predictor: bool = False

    @nn.compact
    def __call__(self, x, train):
        z = nn.Dense(3)(x.mean(axis=1))
        z = nn.BatchNorm(use_running_average=not train, momentum=0.9)(z)
        return heads.Output(x.mean(axis=1), z, 2 * z if self.predictor else None)


VIEWS = tuple(
    jnp.asarray(view, jnp.float32)
    for view in (
        np.random.default_rng(0).standard_normal((4, 1, 2)),
        np.random.default_rng(1).standard_normal((4, 5, 2)),
        np.random.default_rng(2).standard_normal((4, 1, 2)),
    )
)


def assert_close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected
    )


# Batches and views
# --------------------------------------------------------------------------------------------------


def test_resident_batches_follow_the_order_and_start_again_with_each_pass():
    data, order = {'x': jnp.arange(10.0), 'y': -jnp.arange(10)}, jnp.array([[3, 1], [4, 5], [9, 2]])
    for number, expected in ((0, [3, 1]), (2, [9, 2]), (4, [4, 5])):
        batch = step.fetch(data, order, jnp.int32(number), 3)
        np.testing.assert_array_equal(batch['x'], expected)
        np.testing.assert_array_equal(batch['y'], np.negative(expected))


def test_a_streamed_batch_is_taken_as_it_comes():
    batch = {'x': jnp.arange(3.0), 'y': jnp.arange(3)}
    assert step.fetch((), batch, jnp.int32(5), 3) is batch


def test_views_depend_on_the_key_and_the_place_in_the_batch():
    spec = tiny.experiment('jmi', tiny.one_device())
    same = jnp.zeros((5, 2))
    first, second = step.make_views(spec, jax.random.PRNGKey(0), same)
    rows = np.concatenate([first, second])
    assert len(np.unique(rows, axis=0)) == 10  # no two examples and no two views share noise
    again = step.make_views(spec, jax.random.PRNGKey(0), same[:3])
    np.testing.assert_array_equal(again[0], first[:3])
    assert not np.any(step.make_views(spec, jax.random.PRNGKey(1), same)[0] == first)


# Branches
# --------------------------------------------------------------------------------------------------


def test_views_of_several_shapes_come_out_in_order_with_statistics_of_their_own():
    branch = api.Branch(Encoder(predictor=True))
    variables = branch.net.init(jax.random.PRNGKey(0), VIEWS[0], train=False)
    seen, statistics, features = jax.jit(
        lambda variables: step.encode_branch(branch, variables, VIEWS)
    )(variables)
    apart = [
        branch.net.apply(variables, view, train=True, mutable=['batch_stats']) for view in VIEWS
    ]
    assert_close(seen.z, tuple(output.z for output, _ in apart))
    assert_close(seen.p, tuple(output.p for output, _ in apart))
    mean = jax.tree.map(
        lambda *leaves: sum(leaves) / 3, *(moved['batch_stats'] for _, moved in apart)
    )
    assert_close(statistics, mean)
    assert_close(features, VIEWS[0].mean(axis=1))
    for z in seen.z:  # each view is normalised by its own statistics
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)


def two_branches(**target):
    """Online sees all views, and its predictor; the target sees the first and the third."""
    return api.Method(
        'sdmi',
        'em',
        'surrogate',
        tracked=api.Tracked('online', 'target'),
        stop_gradient=True,
        branches={
            'online': api.Branch(Encoder(predictor=True)),
            'target': api.Branch(Encoder(), views=(0, 2), follows='online', **target),
        },
        phases=(api.Phase('e', 'online', lambda views, aux, info: None),),
    )


def variables_of(method):
    return {
        name: branch.net.init(jax.random.PRNGKey(number), VIEWS[0], train=False)
        for number, (name, branch) in enumerate(method.branches.items())
    }


def test_each_branch_sees_its_views():
    method = two_branches()
    variables = variables_of(method)

    def total(variables):
        encoded = step.encode(method, variables, step.branch_views(method, VIEWS))
        outputs = gradient_cache.outputs_of(encoded)
        assert [len(outputs[name].z) for name in ('online', 'target')] == [3, 2]
        assert (
            outputs['online'].out is outputs['online'].p
            and outputs['target'].out is outputs['target'].z
        )
        weights = jnp.arange(12.0).reshape(4, 3)
        return sum(jnp.sum(weights * z) for name in outputs for z in outputs[name].out)

    gradient = jax.jit(jax.grad(total))(variables)
    encoded = step.encode(method, variables, step.branch_views(method, VIEWS))
    alone = step.encode_branch(method.branches['target'], variables['target'], (VIEWS[0], VIEWS[2]))
    assert_close(encoded['target'].outputs.z, alone.outputs.z)
    assert_close(encoded['online'].features, VIEWS[0].mean(axis=1))
    assert np.max(np.abs(gradient['online']['params']['Dense_0']['kernel'])) > 0.1


def followed(**target):
    """A follower, 1.0 before, of a leader that is 3.0 now; and the progress its coefficient was
    asked for."""
    asked = []

    def momentum(progress):
        asked.append(progress)
        return 0.75

    method = two_branches(**({'momentum': momentum} if target.pop('ema') else {}), **target)
    old = {
        name: {'params': {'Dense_0': jnp.float32(1.0)}, 'batch_stats': 'old'}
        for name in method.branches
    }
    statistics = {'online': 'of the leader', 'target': 'of the follower'}
    new = {'Dense_0': jnp.float32(3.0), 'predictor': jnp.float32(5.0)}
    moved = step.follow(method, method.phases[0], old, new, statistics, 0.5)
    assert moved['online'] == {'params': new, 'batch_stats': 'of the leader'}
    assert moved['target']['batch_stats'] == 'of the follower'
    return moved['target']['params'], asked


def test_followers_copy_or_average_their_own_modules():
    assert followed(ema=False) == ({'Dense_0': 3.0}, [])
    assert followed(ema=True) == ({'Dense_0': 0.75 * 1.0 + 0.25 * 3.0}, [0.5])


# The whole step
# --------------------------------------------------------------------------------------------------


def reporting():
    """A method whose loss says what it was told, and whose state counts the steps."""

    def loss(views, aux, info):
        joint = jnp.mean(views['theta'].z[0] * views['theta'].z[1])
        terms = {
            'joint': joint,
            'marginal': None,
            'seen': aux['count'],
            'step': info.step,
            'epoch': info.epoch,
            'progress': info.progress,
            'draw': jax.random.uniform(info.key),
        }
        return api.Loss(-joint, terms, {'count': aux['count'] + 1})

    return api.Method(
        'jmi',
        'joint',
        'surrogate',
        {'theta': api.Branch(tiny.parts().encoder(projector=barlow.PROJECTOR))},
        (api.Phase('joint', 'theta', loss),),
        api.Tracked('theta', 'theta'),
        stop_gradient=False,
        init_aux=lambda key: {'count': jnp.int32(10)},
    )


def test_what_a_loss_is_told_and_what_becomes_of_its_state():
    layout = tiny.one_device(seeds=2)
    spec = tiny.experiment('jmi', layout)._replace(method=reporting())
    calls = tiny.train(spec, tiny.compile_passes(spec), tiny.initial(spec), length=1)
    told = {name: [call.metrics[name] for call in calls] for name in calls[0].metrics}
    assert 'marginal' not in told  # None: the method has none
    for seed in range(2):
        np.testing.assert_array_equal([row[seed] for row in told['step']], np.arange(6))
        np.testing.assert_array_equal([row[seed] for row in told['seen']], 10 + np.arange(6))
        np.testing.assert_allclose(
            [row[seed] for row in told['epoch']], np.arange(6) / tiny.STEPS, rtol=1e-6
        )
        np.testing.assert_allclose(
            [row[seed] for row in told['progress']], np.arange(6) / 6, rtol=1e-6
        )
    assert len(np.unique(told['draw'])) == 12  # a fresh key for each step and seed
    assert [int(s.aux['count']) for s in calls[-1].after] == [16, 16]


def test_a_temperature_may_be_a_hyperparameter_that_differs_between_seeds():
    hyper = tuple(
        {**row, 'temperature': temperature} for row, temperature in zip(tiny.HYPER, (0.5, 0.1))
    )
    spec = tiny.experiment('jmi', tiny.one_device(seeds=2), hyper=hyper)
    runs, population = tiny.compile_passes(spec), tiny.initial(spec)
    first, second = population.members()
    same_seed = parallel.population([first, first._replace(hyper=second.hyper)], spec.layout)
    warm, cold = tiny.train(spec, runs, same_seed, length=1)[0].metrics['joint']
    # The joint term of the first step is the mean cosine over the temperature.
    np.testing.assert_allclose(0.5 * warm, 0.1 * cold, rtol=1e-5)


def one_step(member, spec, phase, batch):
    """A seed after one step of `phase`, and the metrics; `batch(layout)` gives the step's data and
    order."""
    layout, phase = spec.layout, state.phase_of(spec.method, phase)
    population = parallel.population([member], layout)
    halves = population.map(lambda s: state.split(s, spec.method, phase)).unzip()
    run = tiny.compile_passes(spec)[phase.name]
    trained, metrics = run(*halves, *batch(layout), 1)
    return tiny.snapshots(trained)[0], tiny.snapshot(metrics)


ROWS = np.arange(tiny.BATCH, dtype=np.int32)[::-1]


def resident(layout):
    order = parallel.population([np.tile(ROWS, (tiny.STEPS, 1))], layout)
    return parallel.place(tiny.DATA, layout), order


def streamed(layout):
    return (), parallel.place_batch({name: leaf[ROWS] for name, leaf in tiny.DATA.items()}, layout)


def test_a_streamed_batch_trains_as_the_same_examples_on_the_device():
    spec = tiny.experiment('jmi', tiny.one_device())
    member = tiny.initial(spec).first()
    expected = one_step(member, spec, 'joint', resident)
    assert_close(one_step(member, spec, 'joint', streamed), expected)
    spec = tiny.experiment('jmi', tiny.one_device(mode='scan'))
    assert_close(one_step(member, spec, 'joint', streamed), expected)


def test_phases_draw_views_of_their_own():
    spec = tiny.experiment('sdmi', tiny.one_device())
    member = tiny.initial(spec).first()
    exchanged = member._replace(
        variables={'theta': member.variables['xi'], 'xi': member.variables['theta']}
    )
    # With the branches exchanged the two losses are the same function: only the views can make a
    # difference.
    _, e = one_step(member, spec, 'e', resident)
    _, m = one_step(exchanged, spec, 'm', resident)
    assert abs(e['loss'] - m['loss']) > 1e-4
