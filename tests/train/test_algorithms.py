"""The paper's Algorithms 1 and 2, as train/sdmi.py and train/jmi.py spell them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import parallel
from mi_ssl_jax.train import jmi, schedule, sdmi, state
from tests.helpers import tiny


def test_the_source_of_sdmi_names_what_algorithm_1_names():
    source = inspect.getsource(sdmi)
    for word in ('theta', 'xi', 'E-step', 'M-step', 'e_step', 'm_step', 'jax.lax.stop_gradient'):
        assert word in source, word
    assert 'stop_gradient' not in inspect.getsource(jmi)


def test_sdmi_is_two_programs_over_two_trees_and_jmi_one_over_one():
    two = tiny.experiment('sdmi', tiny.one_device())
    programs = schedule.compile_steps(two)
    assert list(programs) == ['e', 'm'] and programs['e'] is not programs['m']
    for phase, own, other in (('e', 'theta', 'xi'), ('m', 'xi', 'theta')):
        member = tiny.initial(two).first()
        trained, frozen = state.split(member, two.method, state.phase_of(two.method, phase))
        assert set(trained.variables) == {own} and set(frozen.variables) == {other}
    one = tiny.experiment('jmi', tiny.one_device())
    assert list(schedule.compile_steps(one)) == ['joint']
    trained, frozen = state.split(tiny.initial(one).first(), one.method, one.method.phases[0])
    assert set(trained.variables) == {'theta'} and not frozen.variables


@pytest.mark.parametrize('phase', ['e', 'm'])
def test_the_frozen_tree_is_read_and_stays_bit_identical(phase):
    spec = tiny.experiment('sdmi', tiny.one_device())
    population = tiny.initial(spec)
    own = state.phase_of(spec.method, phase)
    trained, frozen = population.map(lambda s: state.split(s, spec.method, own)).unzip()
    before = tiny.snapshot((trained, frozen))
    orders = tiny.compiled_order(spec.layout)(population.map(lambda s: jnp.copy(s.key)), 0)
    data = parallel.place(tiny.DATA, spec.layout)
    moved, _ = schedule.compile_steps(spec)[phase](trained, frozen, data, orders, 1)
    jax.tree.map(np.testing.assert_array_equal, tiny.snapshot(frozen), before[1])
    changed = jax.tree.map(
        lambda a, b: bool(np.any(a != b)),
        tiny.snapshot(moved).first().variables,
        before[0].first().variables,
    )
    assert any(jax.tree.leaves(changed))


@pytest.mark.parametrize('phase', ['e', 'm'])
def test_no_gradient_flows_into_the_frozen_tree(phase):
    """The loss after a step depends on the frozen tree, and its gradient there is zero."""
    spec = tiny.experiment('sdmi', tiny.one_device())
    member = tiny.initial(spec).first()
    trained, frozen = state.split(member, spec.method, state.phase_of(spec.method, phase))
    step = {'e': sdmi.e_step, 'm': sdmi.m_step}[phase](spec)
    order = jnp.tile(jnp.arange(tiny.BATCH), (tiny.STEPS, 1))
    data = jax.tree.map(jnp.asarray, tiny.DATA)

    def loss(variables):
        return step(trained, frozen._replace(variables=variables), data, order)[1]['loss']

    with tiny.quick_compilation():
        value, gradient = jax.jit(jax.value_and_grad(loss))(frozen.variables)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(gradient))
    moved = jax.tree.map(lambda leaf: 1.5 * leaf + 0.1, frozen.variables)
    assert abs(loss(moved) - value) > 1e-4
