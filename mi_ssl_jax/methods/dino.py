"""DINO (Caron et al. 2021, arXiv 2104.14294): a student learns its EMA teacher's prototypes.

There is no marginal term: the teacher's scores are centred, so that no prototype attracts every
image, and sharpened by a low temperature, so that the distribution does not become uniform.
"""

import functools

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from mi_ssl_jax.core import assignment, bounds, linalg
from mi_ssl_jax.methods import api

# The reference code truncates its normal weights at 100 standard deviations.
PROJECTOR = {
    'last_bias': True,
    'last_norm': None,
    'stddev': 0.02,
    'activation': functools.partial(nn.gelu, approximate=False),
}
GLOBAL = (0, 1)  # the views that the teacher sees


def dino_loss(
    student_logits: chex.Array,
    teacher_logits: chex.Array,
    centre: chex.Array,
    *,
    student_temperature: chex.Numeric,
    teacher_temperature: chex.Numeric,
) -> jax.Array:
    """Compute the mean cross-entropy of the teacher's and the student's distributions.

    softmax((teacher - centre) / t_t) against softmax(student / t_s), over all pairs of a view of
    the teacher's and another of the student's (DINO, arXiv 2104.14294, Eq. 3).

    Args:
        student_logits: (V, N, K) of all V views.
        teacher_logits: (Q, N, K) of the first Q views, under a stop-gradient.
        centre: (K,) moving average of the teacher's scores, see `dino_centre`.
        student_temperature: t_s.
        teacher_temperature: t_t.

    Returns:
        (), nats, to be minimised.

    Raises:
        ValueError: one view.

    >>> scores = jnp.zeros((2, 4, 3))
    >>> temperatures = {'student_temperature': 0.1, 'teacher_temperature': 0.04}
    >>> f'{ms.losses.dino(scores, scores, jnp.zeros(3), **temperatures):.3f}'  # log 3
    '1.099'
    """
    chex.assert_rank([student_logits, teacher_logits, centre], [3, 3, 1])
    student_logits, teacher_logits = linalg.promote(student_logits), linalg.promote(teacher_logits)
    targets = jax.nn.softmax((teacher_logits - centre) / teacher_temperature)
    return assignment.swapped_cross_entropy(
        jax.lax.stop_gradient(targets), student_logits / student_temperature
    )


def moved_centre(centre: chex.Array, teacher_logits: chex.Array, *, momentum: float) -> jax.Array:
    """Move the centre towards the teacher's mean scores over views and batch (DINO, Eq. 4).

    Args:
        centre: (K,) the moving average, 0 at the start.
        teacher_logits: (Q, N, K), as given to the loss.
        momentum: of the moving average; 0.9 in the source.

    Returns:
        (K,), the centre for the next step.

    >>> ms.losses.dino_centre(jnp.zeros(2), jnp.ones((2, 4, 2)), momentum=0.5).tolist()
    [0.5, 0.5]
    """
    chex.assert_rank([centre, teacher_logits], [1, 3])
    mean = jnp.mean(linalg.promote(teacher_logits), axis=(0, 1))
    return momentum * linalg.promote(centre) + (1 - momentum) * mean


def temperature_at(
    epoch: chex.Numeric, *, start: float, end: float, warmup_epochs: int
) -> jax.Array:
    """Linear from `start` in epoch 0 to `end` in epoch warmup_epochs - 1, by whole epochs; `end`
    throughout without a warm-up.
    """
    if warmup_epochs == 0:
        return jnp.full_like(jnp.asarray(epoch, dtype=float), end)
    return start + (end - start) * jnp.minimum(jnp.floor(epoch) / max(warmup_epochs - 1, 1), 1)


def build(
    parts: api.Parts,
    *,
    prototypes: int,
    momentum: float,
    momentum_schedule: api.MomentumSchedule,
    momentum_end: float,
    student_temperature: float,
    teacher_temperature: float,
    first_teacher_temperature: float,
    teacher_warmup_epochs: int,
    centre_momentum: float,
    head_norm: bool,
    frozen_epochs: int,
    clip: float,
    final_weight_decay: float,
) -> api.Method:
    """prototypes: K, 65536 in the source. momentum: 0.996 in the source, at the start.

    The teacher sees the first two views, the student all of them, of any sizes. The last layer
    stands still in the first `frozen_epochs`, each parameter's gradient is clipped to the norm
    `clip` (0: not at all), and the weight decay, of matrices alone, follows a cosine from its own
    value (0.04 in the source) to `final_weight_decay`. The temperatures are the source's for its
    longer runs.
    head_norm: batch norm in the projector's hidden layers, which narrow ones need: weights of size
    0.02 leave little of their input beside the biases.
    """
    net = parts.encoder(
        projector={**PROJECTOR, 'hidden_norm': head_norm, 'hidden_bias': not head_norm},
        prototypes={'size': prototypes, 'normalise': True},
    )
    warmup = dict(
        start=first_teacher_temperature,
        end=teacher_temperature,
        warmup_epochs=teacher_warmup_epochs,
    )

    def loss(views, aux, info):
        student, teacher = jnp.stack(views['student'].p), jnp.stack(views['teacher'].p)
        value = dino_loss(
            student,
            teacher,
            aux['centre'],
            student_temperature=student_temperature,
            teacher_temperature=temperature_at(info.epoch, **warmup),
        )
        centre = moved_centre(aux['centre'], teacher, momentum=centre_momentum)
        return api.mi_loss(bounds.Terms(-value, None), {'centre': centre})

    phase = api.Phase(
        'e',
        'student',
        loss,
        (api.Group('prototypes', frozen_epochs=frozen_epochs),),
        api.Rules(clip=clip or None, final_weight_decay=final_weight_decay, decay_vectors=False),
    )
    teacher = api.Branch(
        net,
        views=GLOBAL,
        follows='student',
        momentum=api.momentum(momentum, momentum_schedule, momentum_end),
    )
    return api.Method(
        paradigm='sdmi',
        update='em',
        objective='surrogate',
        branches={'student': api.Branch(net), 'teacher': teacher},
        phases=(phase,),
        tracked=api.Tracked('student', 'teacher'),
        stop_gradient=True,
        init_aux=lambda key: {'centre': jnp.zeros(prototypes)},
    )
