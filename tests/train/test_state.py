"""A seed's state: how it starts, and how a phase takes it apart and puts it together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax.train import state
from tests.helpers import tiny


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


@pytest.fixture(scope='module')
def states():
    """Method -> (experiment, states of seeds 0 and 1)."""
    found = {}
    for name in ('sdmi', 'byol', 'mocov3', 'simsiam'):
        spec = tiny.experiment(name, tiny.one_device(seeds=2))
        found[name] = spec, tiny.initial(spec).members()
    return found


def kernel(member, branch):
    return member.variables[branch]['params']['projector']['Dense_0']['kernel']


def test_branches_start_as_their_method_says(states):
    one, other = states['sdmi'][1]
    assert not np.array_equal(kernel(one, 'theta'), kernel(one, 'xi'))  # two independent encoders
    assert not np.array_equal(kernel(one, 'theta'), kernel(other, 'theta'))  # and two seeds
    byol = states['byol'][1][0]
    assert not np.array_equal(
        kernel(byol, 'target'), kernel(byol, 'online')
    )  # as its reference code
    moco = {name: tree['params'] for name, tree in states['mocov3'][1][0].variables.items()}
    expected = state.own_part(moco['target'], moco['online'])
    jax.tree.map(np.testing.assert_array_equal, moco['target'], expected)
    assert set(moco['online']) - set(moco['target']) == {'predictor'}


def test_no_two_leaves_share_a_buffer(states):
    # Aliased buffers would be donated twice.
    for _, (member, _) in states.values():
        pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(member)]
        assert len(set(pointers)) == len(pointers)


def test_a_seed_is_initialised_alike_in_any_company_and_the_second_one_compiles_nothing():
    spec = tiny.experiment('jmi', tiny.one_device())
    first = state.init(3, spec.hyper[0], spec, tiny.POINTS[0])
    with tiny.compilations() as programs:
        other = state.init(4, spec.hyper[0], spec, tiny.POINTS[0])
        again = state.init(3, spec.hyper[0], spec, tiny.POINTS[0])
    assert not programs
    jax.tree.map(np.testing.assert_array_equal, again, first)
    assert not np.array_equal(other.key, first.key)


def test_hyperparameters_are_traced_scalars(states):
    member = states['sdmi'][1][1]
    assert member.hyper.keys() == {*tiny.HYPER[1], 'temperature'}
    assert all(leaf.dtype == jnp.float32 and leaf.shape == () for leaf in member.hyper.values())
    assert float(member.hyper['lr']) == pytest.approx(tiny.HYPER[1]['lr'])


def test_halves_hold_what_a_phase_changes_and_what_it_reads(states):
    spec, (member, _) = states['sdmi']
    for name, trains, rest in (('e', 'theta', 'xi'), ('m', 'xi', 'theta')):
        phase = state.phase_of(spec.method, name)
        trained, frozen = state.split(member, spec.method, phase)
        assert set(trained.variables) == {trains} and set(frozen.variables) == {rest}
        assert trained.optimiser is member.optimiser[name]
    spec, (member, _) = states['byol']
    trained, frozen = state.split(member, spec.method, spec.method.phases[0])
    assert set(trained.variables) == {'online', 'target'} and not frozen.variables


def test_merge_puts_back_what_split_took_out(states):
    spec, (member, _) = states['sdmi']
    phase = state.phase_of(spec.method, 'm')
    trained, _ = state.split(member, spec.method, phase)
    assert state.merge(member, phase, trained) == member
    after = state.merge(member, phase, trained._replace(step=trained.step + 7, aux='new'))
    assert (int(after.steps['m']), int(after.steps['e']), after.aux) == (7, 0, 'new')


def test_lagged_variables_are_kept_where_they_are_tracked(states):
    spec, (member, _) = states['simsiam']
    moved = member._replace(variables=jax.tree.map(lambda leaf: leaf + 1, member.variables))
    kept = state.keep_lagged(moved, spec.method)
    jax.tree.map(np.testing.assert_array_equal, kept.lagged, moved.variables['online'])
    jax.tree.map(lambda leaf: leaf.delete(), moved.variables)  # as donation does
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(kept.lagged))
    spec, (member, _) = states['sdmi']
    assert member.lagged == {} and state.keep_lagged(member, spec.method) is member
