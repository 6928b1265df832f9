"""SDMI (paper, Algorithm 1): two parameter trees, two compiled steps, a stop-gradient between them.

    E-step   theta <- theta - lr * d/dtheta L(f_theta(x), stop_gradient(g_xi(x)))
    M-step   xi    <- xi    - lr * d/dxi    L(stop_gradient(f_theta(x)), g_xi(x))

Each step is (trained tree, frozen tree, batch) -> new trained tree. Methods whose M-step is
implicit (SimSiam, BYOL, MoCo, DINO: Eqs. 8 and 9) have the E-step alone; their second tree follows
by copy or EMA. Which step runs when is train/schedule.py.
"""

from collections.abc import Callable
from typing import Any

import jax

from mi_ssl_jax import parallel
from mi_ssl_jax.methods import api
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train import step as steps
from mi_ssl_jax.train.spec import Spec
from mi_ssl_jax.train.state import Frozen, Trained

Tree = Any
Step = Callable[[Trained, Frozen, Tree, Tree], tuple[Trained, dict]]


def compile_steps(spec: Spec) -> dict[str, Callable]:
    """{'e': passes of E-steps, 'm': passes of M-steps}: two programs; none holds both steps."""
    return {
        name: parallel.compile_pass(step, spec.layout) for name, step in half_steps(spec).items()
    }


def half_steps(spec: Spec) -> dict[str, Step]:
    """The steps that the method has: the E-step, and the M-step where it is explicit."""
    both = {'e': e_step, 'm': m_step}
    return {phase.name: both[phase.name](spec) for phase in spec.method.phases}


def e_step(spec: Spec) -> Step:
    """-> step(theta and what follows it, xi, data, order): theta moves, xi is only read."""
    return half_step(spec, 'e')


def m_step(spec: Spec) -> Step:
    """-> step(xi, theta, data, order): xi moves, theta is only read."""
    return half_step(spec, 'm')


def half_step(spec: Spec, name: api.PhaseName) -> Step:
    """One gradient step on the trained tree against the frozen one.

    step(trained, frozen, data, order) -> (trained, metrics). data: {'x', 'y'} of the whole data set
    on the device, or () for a streamed source. order: (steps, batch) indices of this pass, or the
    streamed batch itself.
    """

    def step(trained: Trained, frozen: Frozen, data: Tree, order: Tree) -> tuple[Trained, dict]:
        method = spec.method
        phase = states.phase_of(method, name)
        batch = steps.take(spec, method, phase, trained, frozen, data, order)
        others = {**frozen.variables, **states.followers(trained.variables, phase)}

        def encode(params: Tree, views: Tree) -> dict[str, steps.Encoded]:
            """The trained branch with a gradient, every other branch without."""
            moving = steps.encode(method, states.with_params(trained, phase, params), views)
            still = jax.lax.stop_gradient(steps.encode(method, others, views))
            return moving | still

        loss, encoded, gradient = steps.evaluate(spec, phase, encode, trained, batch)
        return steps.update(spec, method, phase, trained, frozen, batch, loss, encoded, gradient)

    return step
