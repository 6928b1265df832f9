"""One compiled program that fits a critic, stops early and judges it on examples it has not seen,
for every fit.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mi_ssl_jax import parallel
from mi_ssl_jax.evals import estimators

Tree = Any
FEWEST_CHECKS, MOST_CHECKS = (
    20,
    200,
)  # how often training is judged on the validation part: every two passes, within
PATIENCE = 4  # training stops when a PATIENCE-th of the checks has passed without a better one


class Plan(NamedTuple):
    """A fit's numbers. part: examples of the validation and of the test part each. together: how
    many of a part are scored against each other at once.
    """

    bound: str
    critic: str
    fits: int
    steps: int
    batch_size: int
    learning_rate: float
    part: int
    together: int


class Carry(NamedTuple):
    """Training between two checks. check: their number; stale: since the best one."""

    params: Tree
    optimiser: Tree
    state: Tree
    best: Tree
    score: jax.Array
    check: jax.Array
    stale: jax.Array


@functools.cache
def compile_fits(
    plan: Plan,
) -> Callable[[chex.Array, chex.Array, chex.Array, chex.Array], jax.Array]:
    """-> run(keys, orders (fits, N), x (N, Dx), y (N, Dy)): the reported value of each fit (fits,),
    nats.

    An order's first `part` examples are the test part, the next `part` the validation part, the
    rest train.
    """
    return parallel.over_seeds(functools.partial(_fit, plan=plan), shared=2)


def _fit(
    key: chex.PRNGKey, order: chex.Array, x: chex.Array, y: chex.Array, *, plan: Plan
) -> jax.Array:
    for_init, for_batches = jax.random.split(key)
    problem = estimators.problem(plan.bound, plan.critic)
    parts = _standardised(x[order], plan.part), _standardised(y[order], plan.part)
    test, validation, train = zip(*parts, strict=True)
    batches = _batches(for_batches, len(train[0]), plan)
    optimiser = _optimiser(plan)
    judge = functools.partial(_judge, problem, plan)

    def step(carry: tuple, batch: jax.Array) -> tuple[tuple, None]:
        params, moments, state = carry
        gradients, state = jax.grad(problem.loss, has_aux=True)(
            params, train[0][batch], train[1][batch], state
        )
        updates, moments = optimiser.update(gradients, moments, params)
        return (optax.apply_updates(params, updates), moments, state), None

    def chunk(carry: Carry) -> Carry:
        learned, _ = jax.lax.scan(step, carry[:3], batches[carry.check])
        score, _ = judge(learned[0], *validation)
        better = score > carry.score  # never true of NaN
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), learned[0], carry.best)
        return Carry(
            *learned,
            best,
            jnp.where(better, score, carry.score),
            carry.check + 1,
            jnp.where(better, 0, carry.stale + 1),
        )

    def going_on(carry: Carry) -> jax.Array:
        return (carry.check < len(batches)) & (carry.stale < max(len(batches) // PATIENCE, 1))

    params = problem.init(for_init, train[0][:1], train[1][:1])
    start = Carry(
        params,
        optimiser.init(params),
        problem.state,
        params,
        judge(params, *validation)[0],
        jnp.int32(0),
        jnp.int32(0),
    )
    return judge(jax.lax.while_loop(going_on, chunk, start).best, *test)[1]


def _standardised(x: jax.Array, part: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Test, validation and train part, by the train part's mean and standard deviation.

    The columns of all of x have standard deviation 1; one that is constant in the train part (a
    rounding error apart) is left at its scale.
    """
    mean, spread = jnp.mean(x[2 * part :], axis=0), jnp.std(x[2 * part :], axis=0)
    x = (x - mean) / jnp.where(spread > 1e-3, spread, 1.0)
    return x[:part], x[part : 2 * part], x[2 * part :]


def _batches(key: chex.PRNGKey, size: int, plan: Plan) -> jax.Array:
    """Indices (checks, steps a check, batch) of freshly shuffled passes, one after another."""
    passes = plan.steps * plan.batch_size // size
    checks = min(max(FEWEST_CHECKS, min(passes // 2, MOST_CHECKS)), plan.steps)
    steps = -(-plan.steps // checks)
    wanted = checks * steps * plan.batch_size
    keys = jax.random.split(key, -(-wanted // size))
    shuffled = jax.vmap(lambda own: jax.random.permutation(own, size))(keys)
    return shuffled.reshape(-1)[:wanted].reshape(checks, steps, plan.batch_size)


def _optimiser(plan: Plan) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(plan.learning_rate, plan.steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def _judge(
    problem: estimators.Problem, plan: Plan, params: Tree, x: jax.Array, y: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """`problem.judge`, mean over groups of at most `together` examples of a part."""
    groups = -(-len(x) // plan.together)
    used = len(x) // groups * groups  # at most groups - 1 examples sit out
    grouped = [a[:used].reshape(groups, -1, a.shape[1]) for a in (x, y)]
    return jax.tree.map(
        jnp.mean, jax.lax.map(lambda own: problem.judge(params, *own), tuple(grouped))
    )
