"""In-batch bounds in row blocks: memory O(N * block) instead of O(N^2), the same value and
gradient.

Only the marginal term needs the N x N scores. It is reduced block by block, and when a gradient is
asked for, each block's gradient is taken in the same pass, before its scores are dropped; the
backward pass multiplies the finished gradients by the cotangent. (Recomputing the scores in a
backward pass would cost one product more.) Gradients reach the embeddings and whatever the critic
closes over (a temperature, weights). First derivatives in reverse mode only.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import linalg
from mi_ssl_jax.core.bounds import literature, paper, reductions
from mi_ssl_jax.core.bounds.paper import Terms
from mi_ssl_jax.core.bounds.parameters import parameters
from mi_ssl_jax.core.types import Critic


class Scores(NamedTuple):
    """The N x N scores that are never held at once."""

    za: chex.Array  # (N, D)
    zb: chex.Array  # (N, D)
    critic: Critic
    block_size: int


class Rows(NamedTuple):
    """The rows of the score matrix that a block holds."""

    number: chex.Array  # (B,) int
    real: chex.Array  # (B,) bool: False for the padding of the last block
    off_diagonal: chex.Array  # (B, N) bool: real and not a joint pair


class Reduction(NamedTuple):
    """A marginal term in blocks: each block's share, and their combination by a sum or a
    log-sum-exp.
    """

    share: Callable[[jax.Array, Rows], jax.Array]
    log: bool


def blocked(
    name: str,
    za: chex.Array,
    zb: chex.Array,
    critic: Critic,
    block_size: int,
    *,
    clip: chex.Numeric | None = None,
    variance_weight: chex.Numeric | None = None,
) -> jax.Array:
    """Compute an in-batch bound in row blocks: the value of `blocked_terms`.

    Args:
        name: dv, infonce, jsd, nwj, js_nwj, taylor_dv, smile or chi_squared.
        za: (N, D) embeddings, one row a sample.
        zb: (N, D) embeddings; its row i belongs to row i of `za`.
        critic: (B, D), (N, D) -> scores (B, N); the score of a pair must depend on that pair alone.
        block_size: B, rows of scores held at a time.
        clip: of 'smile' (5 unless given).
        variance_weight: of 'taylor_dv' (0.5 unless given).

    Returns:
        (), nats.

    Raises:
        ValueError: as of `blocked_terms`.

    >>> critic = functools.partial(ms.critics.cosine, temperature=0.5)
    >>> f'{ms.bounds.blocked("dv", jnp.eye(2), jnp.eye(2), critic, 1):.3f}'
    '2.000'
    """
    options = parameters(name, clip=clip, variance_weight=variance_weight)
    return paper.value(blocked_terms(name, za, zb, critic, block_size, **options))


def blocked_terms(
    name: str,
    za: chex.Array,
    zb: chex.Array,
    critic: Critic,
    block_size: int,
    *,
    clip: chex.Numeric | None = None,
    variance_weight: chex.Numeric | None = None,
) -> Terms:
    """Take an in-batch bound apart, `block_size` rows of its scores at a time.

    Equal to `bounds.terms(name, pairs.in_batch(critic(za, zb)))` up to rounding, value and
    gradient, in memory O(N * block_size).

    Args:
        name: dv, infonce, jsd, nwj, js_nwj, taylor_dv, smile or chi_squared.
        za: (N, D) embeddings, one row a sample.
        zb: (N, D) embeddings; its row i belongs to row i of `za`.
        critic: (B, D), (N, D) -> scores (B, N); the score of a pair must depend on that pair alone.
        block_size: B, rows of scores held at a time.
        clip: of 'smile' (5 unless given).
        variance_weight: of 'taylor_dv' (0.5 unless given).

    Returns:
        Terms, nats; the bound is joint - marginal.

    Raises:
        ValueError: unknown name, a parameter that the bound does not have, N < 2 or block_size < 1.
    """
    if name not in _FORMS:
        raise ValueError(
            f'no blocked form of the bound {name!r}: choose one of {", ".join(sorted(_FORMS))}'
        )
    scores = _scores(za, zb, critic, block_size)
    return _FORMS[name](scores, **parameters(name, clip=clip, variance_weight=variance_weight))


def cross_entropy(
    za: chex.Array, zb: chex.Array, critic: Critic, block_size: int, *, offset: int = 0
) -> jax.Array:
    """Mean cross-entropy of finding row i's own sample among the rows of zb, in row blocks.

    za, zb: (N, D). offset: row i's own sample is row i + offset of zb, counted around; of an offset
    (NT-Xent, where both are the same 2N embeddings) row i itself is not among the samples.
    """
    return _cross_entropy(_scores(za, zb, critic, block_size), offset)


def cross_entropy_terms(za: chex.Array, zb: chex.Array, critic: Critic, block_size: int) -> Terms:
    """`paper.cross_entropy_terms` of the pairs of a batch (N, D), in row blocks."""
    return _cross_entropy_terms(_scores(za, zb, critic, block_size))


def _scores(za: chex.Array, zb: chex.Array, critic: Critic, block_size: int) -> Scores:
    chex.assert_rank([za, zb], 2)
    chex.assert_equal_shape_prefix([za, zb], 1)
    if len(za) < 2:
        raise ValueError('a batch of one has no marginal samples: use a batch of at least 2')
    if block_size < 1:
        raise ValueError(f'block_size must be at least 1, got {block_size}')
    return Scores(linalg.promote(za), linalg.promote(zb), critic, min(block_size, len(za)))


def _dv(scores: Scores) -> Terms:
    return Terms(jnp.mean(_joint(scores)), _log_mean_exp(scores))


def _infonce(scores: Scores) -> Terms:
    return paper.shifted(_cross_entropy_terms(scores), -jnp.log(float(len(scores.za))))


def _cross_entropy_terms(scores: Scores) -> Terms:
    return paper.from_rows(jnp.mean(_joint(scores)), _cross_entropy(scores, 0))


def _cross_entropy(scores: Scores, offset: int) -> jax.Array:
    n = len(scores.za)

    def share(block, rows):
        own = rows.number[:, None] == (jnp.arange(n) - offset) % n
        joint = jnp.sum(jnp.where(own, block, 0.0), axis=1)
        # The padding's rows leave no pair; their infinite logarithm must not reach the gradient.
        others = rows.off_diagonal & ~own | ~rows.real[:, None]
        losses = reductions.cross_entropy(joint, block, others)
        return jnp.sum(jnp.where(rows.real, losses / n, 0.0))

    return _reduce(Reduction(share, log=False), scores)


def _jsd(scores: Scores) -> Terms:
    return Terms(paper.jsd_joint(_joint(scores)), _mean_of(jax.nn.softplus, scores))


def _nwj(scores: Scores) -> Terms:
    return Terms(jnp.mean(_joint(scores)), jnp.exp(_log_mean_exp(scores) - 1.0))


def _taylor_dv(scores: Scores, *, variance_weight: chex.Numeric) -> Terms:
    # A first pass for the mean; held constant in the second, it leaves the variance's gradient
    # exact.
    mean = _mean_of(lambda s: s, _constant(scores))
    marginal = _mean_of(lambda s: s + variance_weight * jnp.square(s - mean), scores)
    return Terms(jnp.mean(_joint(scores)), marginal)


def _chi_squared(scores: Scores) -> Terms:
    marginal = _mean_of(lambda s: 2 * s + jnp.square(s), scores)
    return Terms(2 * jnp.mean(_joint(scores)), marginal)


def _smile(scores: Scores, *, clip: chex.Numeric) -> Terms:
    marginal = _log_mean_exp(_constant(scores), lambda s: jnp.clip(s, -clip, clip))
    value = Terms(jnp.mean(_joint(scores)), marginal)
    return literature.trained_by(value, _jsd(scores))


def _js_nwj(scores: Scores) -> Terms:
    return literature.trained_by(_nwj(_constant(scores)), _jsd(scores))


_FORMS: dict[str, Callable[..., Terms]] = {
    'dv': _dv,
    'infonce': _infonce,
    'jsd': _jsd,
    'nwj': _nwj,
    'taylor_dv': _taylor_dv,
    'chi_squared': _chi_squared,
    'smile': _smile,
    'js_nwj': _js_nwj,
}


def _constant(scores: Scores) -> Scores:
    """The same scores without a gradient, so that the pass over them computes none."""

    def critic(za, zb):
        return jax.lax.stop_gradient(scores.critic(za, zb))

    za, zb = jax.lax.stop_gradient((scores.za, scores.zb))
    return scores._replace(za=za, zb=zb, critic=critic)


def _joint(scores: Scores) -> jax.Array:
    """The diagonal (N,), one pair at a time."""
    return jax.vmap(lambda a, b: scores.critic(a[None], b[None])[0, 0])(scores.za, scores.zb)


def _log_mean_exp(
    scores: Scores, function: Callable[[jax.Array], jax.Array] = lambda s: s
) -> jax.Array:
    """log mean e^{f(S)} over the off-diagonal pairs."""
    n = len(scores.za)
    pooled = Reduction(
        lambda block, rows: reductions.logsumexp(function(block), rows.off_diagonal), log=True
    )
    return _reduce(pooled, scores) - jnp.log(float(n) * (n - 1))


def _mean_of(function: Callable[[jax.Array], jax.Array], scores: Scores) -> jax.Array:
    """mean f(S) over the off-diagonal pairs."""
    n = len(scores.za)

    def share(block, rows):
        row_sums = jnp.sum(jnp.where(rows.off_diagonal, function(block), 0.0), axis=1)
        return jnp.sum(row_sums / (float(n) * (n - 1)))

    return _reduce(Reduction(share, log=False), scores)


def _reduce(reduction: Reduction, scores: Scores) -> jax.Array:
    """Combines the shares of all row blocks; differentiable in za, zb and what the critic closes
    over.
    """
    za, zb, critic, block_size = scores

    def block(za_block, zb, start):
        return reduction.share(critic(za_block, zb), _rows(start, block_size, len(za))).astype(
            za.dtype
        )

    # Traced values that the critic closes over become arguments: a custom derivative must not close
    # over them.
    block, closed = jax.closure_convert(block, za[:block_size], zb, jnp.zeros((), jnp.int32))

    @jax.custom_vjp
    def reduce(za, zb, *closed):
        def step(total, inputs):
            za_block, start = inputs
            return _combine(total, block(za_block, zb, start, *closed), reduction.log)[0], None

        return jax.lax.scan(step, _empty(reduction, za), _split(za, block_size))[0]

    def forward(za, zb, *closed):
        return _value_and_gradients(reduction, block, za, zb, closed, block_size)

    def backward(gradients, cotangent):
        return jax.tree.map(lambda g: cotangent * g, gradients)

    reduce.defvjp(forward, backward)
    return reduce(za, zb, *closed)


def _value_and_gradients(reduction, block, za, zb, closed, block_size):
    """One pass: (value, gradients with respect to za, zb and each of `closed`)."""
    arguments = (0, 1, *range(3, 3 + len(closed)))

    def step(carry, inputs):
        total, running = carry
        za_block, start = inputs
        share, (za_gradient, *others) = jax.value_and_grad(block, arguments)(
            za_block, zb, start, *closed
        )
        total, keep, add = _combine(total, share, reduction.log)
        running = jax.tree.map(lambda old, new: keep * old + add * new, running, others)
        return (total, running), (share, za_gradient)

    start = (_empty(reduction, za), jax.tree.map(jnp.zeros_like, [zb, *closed]))
    (total, others), (shares, za_gradient) = jax.lax.scan(step, start, _split(za, block_size))
    if reduction.log:
        za_gradient = za_gradient * jnp.exp(shares - total)[:, None, None]
    return total, (za_gradient.reshape(-1, za.shape[1])[: len(za)], *others)


def _combine(total: jax.Array, share: jax.Array, log: bool) -> tuple[jax.Array, Any, Any]:
    """New total, and the factors that bring the gradients of the old total and of the share to
    it.
    """
    if not log:
        return total + share, 1.0, 1.0
    combined = jnp.logaddexp(total, share)
    return combined, jnp.exp(total - combined), jnp.exp(share - combined)


def _empty(reduction: Reduction, za: chex.Array) -> jax.Array:
    return jnp.asarray(-jnp.inf if reduction.log else 0.0, za.dtype)


def _rows(start: chex.Array, block_size: int, n: int) -> Rows:
    rows = start + jnp.arange(block_size)
    real = rows < n
    return Rows(rows, real, real[:, None] & (rows[:, None] != jnp.arange(n)))


def _split(za: chex.Array, block_size: int) -> tuple[jax.Array, jax.Array]:
    """Row blocks (M, B, D), the last filled with copies of row 0, and the index (M,) of their first
    rows.
    """
    starts = jnp.arange(0, len(za), block_size, dtype=jnp.int32)
    filling = jnp.broadcast_to(za[:1], (len(starts) * block_size - len(za), za.shape[1]))
    return jnp.concatenate([za, filling]).reshape(len(starts), block_size, za.shape[1]), starts
