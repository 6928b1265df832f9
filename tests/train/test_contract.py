"""What every method keeps, whatever its loss: each is found by name, trained for two passes and
looked at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mi_ssl_jax import parallel
from mi_ssl_jax.train import schedule, state
from tests.helpers import tiny

SEEDS = 2
# In the fast tier: two phases, one, queues, prototypes, graphs.
QUICK = ('sdmi', 'jmi', 'mocov2', 'swav', 'bgrl')


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


class Trained:
    """A method trained once in each mode, two seeds with their own learning rate and weight
    decay."""

    def __init__(self, name: str):
        self.experiments = {
            mode: tiny.experiment(name, tiny.one_device(seeds=SEEDS, mode=mode))
            for mode in ('loop', 'scan')
        }
        self.method = self.experiments['loop'].method
        self.runs = {mode: tiny.compile_passes(e) for mode, e in self.experiments.items()}
        self.start = tiny.snapshots(tiny.initial(self.experiments['loop']))
        self.steps = self.train('loop', 1)
        self.passes = self.train('scan', tiny.STEPS)

    def train(self, mode, length):
        spec = self.experiments[mode]
        population = parallel.population(self.start, spec.layout)
        return tiny.train(spec, self.runs[mode], population, length=length)

    @property
    def calls(self):
        return [*self.steps, *self.passes]

    def phase(self, call):
        return state.phase_of(self.method, call.phase)

    def step(self, states, phase):
        """One step of `phase` from these states, on the first examples."""
        layout = self.experiments['loop'].layout
        population = parallel.population(states, layout)
        trained, frozen = population.map(lambda s: state.split(s, self.method, phase)).unzip()
        order = np.tile(np.arange(tiny.BATCH, dtype=np.int32), (tiny.STEPS, 1))
        data, order = (
            parallel.place(tiny.DATA, layout),
            parallel.population([order] * SEEDS, layout),
        )
        moved, metrics = tiny.snapshot(
            self.runs['loop'][phase.name](trained, frozen, data, order, 1)
        )
        return moved.members(), metrics


@pytest.fixture(scope='module', params=tiny.structures(*QUICK))
def trained(request):
    return Trained(request.param)


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def assert_close(actual, expected, tolerance):
    """Up to rounding, which differs between programs and which momentum carries on for at most 12
    steps."""
    close = functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    jax.tree.map(close, actual, expected)


def largest_change(before, after):
    return max(
        float(np.max(np.abs(a - b)))
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after))
    )


def test_only_the_trained_branch_and_its_followers_move(trained):
    for call in trained.calls:
        moving = state.moving(trained.method, trained.phase(call))
        for before, after in zip(call.before, call.after, strict=True):
            for name in before.variables:
                if name not in moving:
                    assert_equal(after.variables[name], before.variables[name])
            for phase in set(before.optimiser) - {call.phase}:
                for field in ('optimiser', 'steps', 'probe'):
                    assert_equal(getattr(after, field)[phase], getattr(before, field)[phase])
            assert after.steps[call.phase] > before.steps[call.phase]
            assert_equal(
                (after.key, after.hyper, after.lagged), (before.key, before.hyper, before.lagged)
            )


def test_every_module_of_the_trained_branch_learns(trained):
    for phase in trained.method.phases:
        own = [call for call in trained.steps if call.phase == phase.name]
        for seed in range(SEEDS):
            first, last = (s[seed].variables[phase.trains] for s in (own[0].before, own[-1].after))
            for module, params in first['params'].items():
                assert largest_change(params, last['params'][module]) > 1e-4, module
            assert largest_change(first['batch_stats'], last['batch_stats']) > 1e-4


def test_followers_move_by_their_rule(trained):
    total = tiny.STEPS * tiny.PASSES
    for call in trained.steps:
        phase = trained.phase(call)
        for name in state.moving(trained.method, phase)[1:]:
            branch = trained.method.branches[name]
            for before, after in zip(call.before, call.after, strict=True):
                progress = (
                    after.steps[call.phase] / total
                )  # the step that the follower will be used in
                tau = (
                    0.0
                    if branch.momentum is None
                    else float(branch.momentum(jnp.float32(progress)))
                )
                leader, old = (
                    after.variables[branch.follows]['params'],
                    before.variables[name]['params'],
                )
                expected = jax.tree.map(
                    lambda a, b: tau * np.float64(a) + (1 - tau) * b,
                    old,
                    state.own_part(old, leader),
                )
                assert_close(after.variables[name]['params'], expected, 1e-6)


def test_the_second_call_compiles_nothing(trained):
    seen = set()
    for calls in (trained.steps, trained.passes):
        for call in calls:
            assert (call.compilations > 0) == ((call.phase, id(calls)) not in seen)
            seen.add((call.phase, id(calls)))


def test_structure_shapes_and_types_stay(trained):
    first = trained.steps[0].before[0]
    for call in trained.calls:
        for after in call.after:
            assert jax.tree.structure(after) == jax.tree.structure(first)
            for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(first), strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_trained_buffers_are_donated_and_frozen_ones_kept(trained):
    assert all(call.donated and call.kept for call in trained.calls)


def test_scan_over_seeds_equals_one_seed_after_another_step_by_step(trained):
    """Two seeds in one program of whole passes, against one compiled step run for each seed
    alone: equal but for rounding that the steps amplify; another order of examples makes 1e-1."""
    for index, whole in enumerate(trained.passes):
        last = trained.steps[index * tiny.STEPS + tiny.STEPS - 1]
        assert last.phase == whole.phase
        for one, other in zip(last.after, whole.after, strict=True):
            assert_close(other, one, 1e-4)
        sums = {
            name: sum(
                call.metrics[name] for call in trained.steps[index * tiny.STEPS :][: tiny.STEPS]
            )
            for name in whole.metrics
        }
        assert_close(whole.metrics, sums, 1e-4)


def test_loss_is_finite_and_the_marginal_term_minus_the_joint_term(trained):
    for call in trained.calls:
        metrics = call.metrics
        assert {'loss', 'joint'} <= set(metrics)
        assert all(
            value.shape == (SEEDS,) and np.all(np.isfinite(value)) for value in metrics.values()
        )
        expected = metrics.get('marginal', 0.0) - metrics['joint']
        np.testing.assert_allclose(metrics['loss'], expected, rtol=1e-5, atol=1e-5)


def test_same_start_same_result_other_seed_other_result(trained):
    again = trained.train('loop', 1)
    assert_equal(again[-1].after, trained.steps[-1].after)
    one, other = again[-1].after
    assert largest_change(one.variables, other.variables) > 1e-3


def test_views_are_fresh_in_every_step(trained):
    """The same parameters and examples: only the views can make a difference."""
    before = trained.steps[0].before
    for phase in trained.method.phases:

        def loss(number):
            return trained.step([at_step(s, phase, number) for s in before], phase)[1]['loss']

        first, again, second, third = map(loss, (0, 0, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.all(np.abs(first - second) > 1e-5) and np.all(np.abs(second - third) > 1e-5)


def at_step(member, phase, number):
    """A seed's state as if the phase had taken so many steps."""
    return member._replace(steps={**member.steps, phase.name: np.int32(number)})


def perturbed(member, name):
    """A seed's state with other numbers in one branch."""
    own = jax.tree.map(
        lambda leaf: np.float32(1.5) * leaf + np.float32(0.1), member.variables[name]
    )
    return member._replace(variables={**member.variables, name: own})


def test_the_other_branches_are_seen(trained):
    """What a phase learns depends on the branches that it does not train."""
    before = trained.steps[0].before
    for phase in trained.method.phases:
        usual = trained.step(before, phase)[0]
        for name in set(trained.method.branches) - {phase.trains}:
            result = trained.step([perturbed(s, name) for s in before], phase)[0]
            for a, b in zip(result, usual, strict=True):
                assert largest_change(a.variables[phase.trains], b.variables[phase.trains]) > 1e-5


def test_each_phase_is_a_program_of_its_own(trained):
    """A step gives back its branch and followers alone: no compiled program updates two phases'
    branches."""
    spec = trained.experiments['loop']
    assert len(set(map(id, trained.runs['loop'].values()))) == len(trained.method.phases)
    for phase in trained.method.phases:
        halves = state.split(trained.steps[0].before[0], trained.method, phase)
        order = np.zeros((tiny.STEPS, tiny.BATCH), np.int32)
        result, _ = jax.eval_shape(schedule.step(spec, phase.name), *halves, tiny.DATA, order)
        assert set(result.variables) == set(state.moving(trained.method, phase))
        others = {other.trains for other in trained.method.phases} - {phase.trains}
        assert not others & set(result.variables) and others <= set(halves[1].variables)
