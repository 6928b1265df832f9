"""Streams of random numbers: no two parts of a run draw from one key."""

import itertools

import jax
import numpy as np

from mi_ssl_jax import parallel
from mi_ssl_jax.core import streams
from mi_ssl_jax.train import state
from tests.helpers import tiny

PASSES, STEPS, PHASES = 8, 8, 2


def bits(key):
    return tuple(np.asarray(key).tolist())


def test_no_two_streams_meet():
    keys = [
        (seed, jax.random.fold_in(jax.random.PRNGKey(seed), stream))
        for seed, stream in itertools.product(range(3), (streams.INIT, streams.ORDER))
    ]
    keys += [
        (seed, jax.random.fold_in(jax.random.PRNGKey(seed), streams.STEPS + phase))
        for seed, phase in itertools.product(range(3), range(PHASES))
    ]
    keys += [
        (seed, jax.random.fold_in(jax.random.PRNGKey(seed), stream))
        for seed, stream in itertools.product(range(3), (streams.SCRATCH, streams.TUNED))
    ]
    used = [bits(key) for _, key in keys]
    # A pass, a step and a branch are folded into their stream; split(key, n) is folded numbers too.
    used += [bits(jax.random.fold_in(key, part)) for _, key in keys for part in range(PASSES)]
    for part in (streams.VIEWS, streams.RESAMPLES, streams.FINISHED):
        key = streams.evaluation(part)
        used += [bits(key), *map(bits, jax.random.split(key, PASSES))]
    assert len(set(used)) == len(used)


def test_the_order_of_a_pass_is_drawn_from_its_own_stream():
    layout = tiny.one_device(seeds=1)
    order = parallel.compile_order(40, 8, layout, stream=streams.ORDER)
    key = jax.random.PRNGKey(0)
    keys = parallel.population([key], layout)
    passes = [order(keys, number).members()[0].reshape(-1) for number in range(6)]
    for number, found in enumerate(passes):
        bare = jax.random.permutation(jax.random.fold_in(key, number), 40)
        assert np.mean(found == bare) < 0.5
        expected = jax.random.fold_in(jax.random.fold_in(key, streams.ORDER), number)
        np.testing.assert_array_equal(found, jax.random.permutation(expected, 40))


def test_the_initialisation_draws_from_its_own_stream():
    spec = tiny.experiment('jmi', tiny.one_device())
    first = state.init(0, spec.hyper[0], spec, tiny.POINTS[0])
    (branch,) = spec.method.branches.values()
    branch_key, _ = jax.random.split(jax.random.fold_in(jax.random.PRNGKey(0), streams.INIT))
    view = jax.eval_shape(spec.views, jax.random.PRNGKey(0), tiny.POINTS[0])[0]
    expected = branch.net.init(
        jax.random.fold_in(branch_key, 0), np.zeros((2, *view.shape), view.dtype), train=False
    )
    (found,) = first.variables.values()
    for a, b in zip(
        jax.tree.leaves(found['params']), jax.tree.leaves(expected['params']), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6)
