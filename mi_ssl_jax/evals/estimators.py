"""The learned estimators of `estimate`: critic, training objective and reported value, in nats.

| bound | trained by | reported | kind |
|---|---|---|---|
| dv | its own gradient | DV | lower |
| mine | MINE's bias-corrected gradient | DV | lower |
| dv_jackknife, dv_loo | DV's gradient | DV jackknifed; leave-one-out | neither |
| infonce | its own gradient | InfoNCE, at most log N | lower |
| nwj, tuba | their own gradients | the same | lower |
| js_nwj | JSD | NWJ | lower |
| smile | JSD | DV with scores clipped to [-5, 5] in the marginal term | neither |
| club | likelihood of q(y given x) | CLUB | upper |
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mi_ssl_jax.core import bounds, pairs
from mi_ssl_jax.core.bounds import paper
from mi_ssl_jax.core.types import Key, Params, Scalar, Tree
from mi_ssl_jax.nets import learned_critics

CRITICS: dict[str, Callable[[], nn.Module]] = {
    'separable': learned_critics.Separable,
    'concatenated': learned_critics.Concatenated,
    'bilinear': learned_critics.Bilinear,
}
CONDITIONAL = 'conditional'  # what CLUB learns instead of a critic
ROWS = 256  # rows of scores that are held at a time when a whole part is scored
MINE_DECAY = 0.9  # of the running denominator, bmi's default
SMILE_CLIP = 5.0  # the source's middle choice of 1, 5, infinity

Kind = Literal['lower', 'upper', 'neither']  # of bound


class Bound(NamedTuple):
    """A bound on scores.

    train: (pairs, log baseline (M,) or None, log denominator ()) -> (Terms, log denominator).
    value: (pairs, log baseline) -> nats. kind: 'lower', 'upper' or 'neither'. limit: its known
    weakness.
    """

    train: Callable
    value: Callable
    kind: Kind
    limit: str
    baseline: bool = False


class Problem(NamedTuple):
    """A learning problem: the parameters and the objective of a fit.

    init: (key, x, y) -> parameters. state: of training, before step one.
    loss: (parameters, x, y, state) -> (loss, state), on a batch.
    judge: (parameters, x, y) -> (what training raises, the reported value in nats), on examples not
    trained on.
    """

    init: Callable
    state: Tree
    loss: Callable
    judge: Callable


def _shifted(p: pairs.Pairs) -> pairs.Pairs:
    """Scores + 1: NWJ is tight at 1 + log p/q, the critics (and JSD) aim at log p/q."""
    return p._replace(joint=p.joint + 1.0, marginal=p.marginal + 1.0)


def _by(terms: Callable) -> Callable:
    return lambda p, baseline, state: (terms(p), state)


def _nwj(p: pairs.Pairs, baseline: None = None) -> jax.Array:
    return bounds.nwj(_shifted(p))


def _plain(value: Callable) -> Callable:
    return lambda p, baseline: value(p)


UNBOUNDED = 'not capped, but its variance grows like e^MI and the log of a mean is biased upwards'
EXPONENTIAL = 'not capped, but its variance grows like e^MI'
BOUNDS: dict[str, Bound] = {
    'dv': Bound(_by(bounds.dv_terms), _plain(bounds.dv), 'lower', UNBOUNDED),
    'mine': Bound(
        lambda p, _, state: bounds.mine_terms(p, state, decay=MINE_DECAY),
        _plain(bounds.dv),
        'lower',
        UNBOUNDED,
    ),
    'dv_jackknife': Bound(
        _by(bounds.dv_terms),
        _plain(bounds.dv_jackknife),
        'neither',
        'DV without the bias of its log-mean to order 1 / N; its variance grows like e^MI',
    ),
    'dv_loo': Bound(
        _by(bounds.dv_terms),
        _plain(bounds.leave_one_out),
        'neither',
        "no bound with a learned critic: each row's own log-mean, never below DV",
    ),
    'infonce': Bound(
        _by(bounds.infonce_terms),
        _plain(bounds.infonce),
        'lower',
        'never above log N of the N examples scored together',
    ),
    'nwj': Bound(_by(lambda p: bounds.nwj_terms(_shifted(p))), _nwj, 'lower', EXPONENTIAL),
    'js_nwj': Bound(_by(bounds.jsd_terms), _nwj, 'lower', EXPONENTIAL),
    'tuba': Bound(
        lambda p, baseline, state: (bounds.tuba_terms(p, baseline), state),
        bounds.tuba,
        'lower',
        EXPONENTIAL,
        baseline=True,
    ),
    'smile': Bound(
        _by(bounds.jsd_terms),
        _plain(lambda p: bounds.smile(p, clip=SMILE_CLIP)),
        'neither',
        f'no bound: clipping scores at {SMILE_CLIP:g} trades variance for an upward bias',
    ),
}
CLUB_LIMIT = 'an upper bound only as far as q(y given x) fits; often far above the truth'


def names() -> list[str]:
    """The bounds that `problem` knows."""
    return [*BOUNDS, 'club']


def critics_of(bound: str) -> list[str]:
    """The critics that a bound can be learned with, the default first."""
    return [CONDITIONAL] if bound == 'club' else list(CRITICS)


def kind_and_limit(bound: str) -> tuple[Kind, str]:
    """'lower', 'upper' or 'neither', and the bound's known weakness."""
    return ('upper', CLUB_LIMIT) if bound == 'club' else (BOUNDS[bound].kind, BOUNDS[bound].limit)


def problem(bound: str, critic: str) -> Problem:
    """Return the learning problem of a fit of this bound with this critic."""
    return _club() if bound == 'club' else _scored(BOUNDS[bound], CRITICS[critic]())


def _scored(bound: Bound, critic: nn.Module) -> Problem:
    baseline = learned_critics.Baseline() if bound.baseline else None
    start = jnp.float32(-jnp.inf)  # MINE's log denominator

    def init(key: Key, x: jax.Array, y: jax.Array) -> Params:
        for_critic, for_baseline = jax.random.split(key)
        params = {'critic': critic.init(for_critic, x, y)}
        return params | ({'baseline': baseline.init(for_baseline, y)} if baseline else {})

    def log_baseline(params: Params, y: jax.Array) -> jax.Array | None:
        return jnp.asarray(baseline.apply(params['baseline'], y)) if baseline else None

    def loss(params: Params, x: jax.Array, y: jax.Array, state: Tree) -> tuple[Scalar, Tree]:
        scores = critic.apply(params['critic'], x, y)
        terms, state = bound.train(pairs.in_batch(scores), log_baseline(params, y), state)
        return -paper.value(terms), state

    def judge(params: Params, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        def row(one: jax.Array) -> jax.Array:
            return critic.apply(params['critic'], one[None], y)[0]

        scored = pairs.in_batch(jax.lax.map(row, x, batch_size=min(ROWS, len(x))))
        terms, _ = bound.train(scored, log_baseline(params, y), start)
        return paper.value(terms), bound.value(scored, log_baseline(params, y))

    return Problem(init, start, loss, judge)


def _club() -> Problem:
    def init(key: Key, x: jax.Array, y: jax.Array) -> Params:
        return learned_critics.Conditional(y.shape[1]).init(key, x)

    def loss(params: Params, x: jax.Array, y: jax.Array, state: Tree) -> tuple[Scalar, Tree]:
        return -bounds.log_likelihood(
            y, *learned_critics.Conditional(y.shape[1]).apply(params, x)
        ), state

    def judge(params: Params, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        conditional = learned_critics.Conditional(y.shape[1]).apply(params, x)
        return bounds.log_likelihood(y, *conditional), bounds.club(y, *conditional)

    return Problem(init, (), loss, judge)
