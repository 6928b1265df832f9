"""The parts of a method: branches, phases, rules for branches that follow, and a small state
(paper, Table 7).

A method file builds one `Method` from the experiment's `Parts`. The trainers read nothing else, so
they never ask which method they run.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from mi_ssl_jax.core import bounds
from mi_ssl_jax.core.bounds import paper
from mi_ssl_jax.core.types import Array, Key, Scalar, Schedule, Tree
from mi_ssl_jax.nets import heads

MomentumSchedule = Literal['constant', 'cosine']
PhaseName = Literal['joint', 'e', 'm']


class Views(NamedTuple):
    """A branch's outputs as a loss sees them: one entry per view, in view order, over the global
    batch.

    z: tuple of (N, D) embeddings, not normalised. p: tuple of (N, D) predictions or (N, K) scores
    against prototypes,
    empty without either. shared: what is the same for every example: prototypes, the parameters of
    a critic.
    """

    z: tuple[Array, ...]
    p: tuple[Array, ...]
    shared: Mapping[str, Array]

    @property
    def out(self) -> tuple[Array, ...]:
        """The predictions where the branch has a predictor, else the embeddings."""
        return self.p or self.z


class Info(NamedTuple):
    """The training step and progress, for losses and schedules.

    step: () int32, steps this phase has taken. epoch: () float32, passes this phase has taken.
    progress: () float32 in [0, 1]. key: of this step, the same on every device; a loss that draws
    from it sees the same numbers on all of them.
    """

    step: Array
    epoch: Array
    progress: Array
    key: Key


class Loss(NamedTuple):
    """value: () to be minimised. terms: logged scalars; 'joint' and 'marginal' stand apart (paper,
    Eq. 2: L = J - M, where the marginal term is what keeps a method from collapsing; None where the
    method has none).
    aux: the method's state after this step.
    """

    value: Scalar
    terms: Mapping[str, Scalar | None]
    aux: Tree = ()


LossFn = Callable[..., Loss]  # ({branch: Views}, aux, Info, **traced), see Method.traced


class Branch(NamedTuple):
    """One encoder: backbone, projector and, where it has them, predictor or prototypes.

    net: flax module, `net(x, train) -> nets.heads.Output`. views: the views it encodes (None: all).
    follows: the branch it
    follows instead of being trained by gradient. momentum: EMA coefficient of progress; None with
    `follows` means a copy.
    independent: a follower that starts from its own random weights (BYOL's reference code) instead
    of a copy.
    shuffled: its examples are encoded in another order than the other branches', so that batch
    statistics of a part of the batch, a device's or a piece's, do not tell which examples belong
    together (MoCo's keys).
    """

    net: nn.Module
    views: tuple[int, ...] | None = None
    follows: str | None = None
    momentum: Schedule | None = None
    independent: bool = False
    shuffled: bool = False

    def __call__(self, variables: Tree, x: Tree) -> heads.Output:
        """The branch's output for network inputs x (n, ...), in evaluation mode."""
        return cast(heads.Output, self.net.apply(variables, x, train=False))


class Group(NamedTuple):
    """A top-level module of the trained branch whose parameters have their own optimiser rule.

    constant_lr: no schedule (SimSiam's predictor; its reference code calls it fix_pred_lr).
    frozen_epochs: first passes of the phase in which the module stands still, without gradient,
    momentum or weight decay. unit_rows: each update leaves the rows of its matrices at unit length
    (SwAV's prototypes).
    """

    module: str
    constant_lr: bool = False
    frozen_epochs: int = 0
    unit_rows: bool = False


class Rules(NamedTuple):
    """Additions to a phase's optimiser that apply to every parameter.

    clip: largest norm of each parameter's gradient. final_weight_decay: to which a cosine takes the
    weight decay
    by the end of training. decay_vectors: whether it is for biases and batch norms too; never with
    'lars'.
    """

    clip: float | None = None
    final_weight_decay: float | None = None
    decay_vectors: bool = True


class Phase(NamedTuple):
    """One gradient phase: which branch's parameters it updates, by which loss. name: 'joint', 'e'
    or 'm'.
    """

    name: PhaseName
    trains: str
    loss: LossFn
    groups: tuple[Group, ...] = ()
    rules: Rules = Rules()


class Tracked(NamedTuple):
    """The two branches between which mutual information is measured: I(a(x1); b(x2)).

    lag: b is the branch as it stood one epoch ago (SimSiam; paper, section 4.2), with I(0) =
    -infinity.
    """

    a: str
    b: str
    lag: bool = False


class Method(NamedTuple):
    """paradigm: 'sdmi' | 'jmi'; update: 'em' | 'joint'; objective: 'explicit' | 'surrogate' (paper,
    Table 7).

    branches, phases: as above. tracked: where MI is measured. stop_gradient: whether any gradient
    is stopped, between
    branches or inside a loss. init_aux: key -> the method's state before step one. remedy: what to
    do about a loss that is not finite. traced: arguments of the build that the losses also
    take as keywords, so that seeds with different values share one compiled step.

    Methods are equal where they are the same object: their losses are closures.
    """

    paradigm: Literal['sdmi', 'jmi']
    update: Literal['em', 'joint']
    objective: Literal['explicit', 'surrogate']
    branches: Mapping[str, Branch]
    phases: tuple[Phase, ...]
    tracked: Tracked
    stop_gradient: bool
    init_aux: Callable[[Key], Tree] = lambda key: ()
    remedy: str = 'lower lr or raise the temperature'
    traced: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Parts(NamedTuple):
    """The experiment's networks, from which a method builds its branches.

    backbone: flax module, (x, train) -> features. projector: widths of the projector's layers,
    hidden ones first, ()
    for none. predictor: hidden widths of the predictor. embedding: width of z, which is also the
    predictor's output.
    dtype: compute dtype. axis_name: from parallel.py, for batch norm.
    """

    backbone: nn.Module
    projector: tuple[int, ...]
    predictor: tuple[int, ...]
    embedding: int
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def head(self, widths: tuple[int, ...], **style) -> nn.Module | None:
        """A head of these widths in the style its method's source gives (see nets.heads.Head); None
        for no widths.
        """
        return (
            heads.Head(widths, dtype=self.dtype, axis_name=self.axis_name, **style)
            if widths
            else None
        )

    def encoder(
        self,
        *,
        projector: Mapping[str, Any],
        predictor: Mapping[str, Any] | None = None,
        prototypes: Mapping[str, Any] | None = None,
        critic: nn.Module | None = None,
    ) -> nn.Module:
        """Backbone and projector, and with `predictor` a predictor; both arguments are styles of
        nets.heads.Head.

        prototypes: in place of a predictor; the arguments of nets.heads.Prototypes. critic: see
        nets.heads.Encoder.
        """
        widths = () if predictor is None else (*self.predictor, self.embedding)
        scores = None if prototypes is None else heads.Prototypes(dtype=self.dtype, **prototypes)
        return heads.Encoder(
            self.backbone,
            self.head(self.projector, **projector),
            self.head(widths, **(predictor or {})),
            scores,
            critic,
        )


def joint(
    encoder: nn.Module,
    loss: LossFn,
    *,
    objective: Literal['explicit', 'surrogate'],
    stop_gradient: bool = False,
    groups: tuple[Group, ...] = (),
    **more: Any,
) -> Method:
    """A method that trains one encoder of both views in one phase (Algorithm 2): branch 'theta',
    phase 'joint'. groups: of the phase. more: init_aux, remedy, traced of the Method.
    """
    return Method(
        paradigm='jmi',
        update='joint',
        objective=objective,
        branches={'theta': Branch(encoder)},
        phases=(Phase('joint', 'theta', loss, groups),),
        tracked=Tracked('theta', 'theta'),
        stop_gradient=stop_gradient,
        **more,
    )


def structure(method: Method) -> dict[str, bool]:
    """EMA, stop-gradient, predictor, queue: the devices by which Table 7's methods differ."""
    aux = jax.eval_shape(method.init_aux, jax.random.PRNGKey(0))
    return {
        'ema': any(branch.momentum is not None for branch in method.branches.values()),
        'stop_gradient': method.stop_gradient,
        'predictor': any(branch.net.predictor is not None for branch in method.branches.values()),
        'queue': isinstance(aux, Mapping) and 'queue' in aux,
    }


def mi_loss(terms: bounds.Terms, aux: Tree = ()) -> Loss:
    """The loss marginal - joint (paper, Eq. 2, negated); terms.marginal is None where the method
    has none.
    """
    value = -terms.joint if terms.marginal is None else -paper.value(terms)
    return Loss(value, {'joint': terms.joint, 'marginal': terms.marginal}, aux)


def momentum(start: float, schedule: MomentumSchedule, end: float = 1.0) -> Schedule:
    """EMA coefficient of progress t: 'constant' (the paper's Table 3), or 'cosine' from `start` to
    `end`.

    'cosine' is end - (end - start) (1 + cos(pi t)) / 2; with end = 1 BYOL's (arXiv 2006.07733,
    section 3.3).
    """
    for name, value in (('momentum', start), ('momentum_end', end)):
        if not 0 <= value <= 1:
            raise ValueError(f'{name}={value}: an EMA coefficient lies between 0 and 1')
    if schedule == 'constant':
        return lambda progress: jnp.full_like(progress, start)
    if schedule == 'cosine':
        return lambda progress: end - (end - start) * (1 + jnp.cos(jnp.pi * progress)) / 2
    raise ValueError(f"unknown momentum_schedule '{schedule}'; use 'constant' or 'cosine'")
