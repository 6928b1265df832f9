"""JMI (paper, Algorithm 2): one compiled step over one shared parameter tree.

    theta <- theta - lr * d/dtheta L(f_theta(x), f_theta(x'))

The gradient flows through both views. Which pass runs when is train/schedule.py.
"""

from collections.abc import Callable
from typing import Any

from mi_ssl_jax import parallel
from mi_ssl_jax.train import state as states
from mi_ssl_jax.train import step as steps
from mi_ssl_jax.train.spec import Spec
from mi_ssl_jax.train.state import Frozen, Trained

Tree = Any
Step = Callable[[Trained, Frozen, Tree, Tree], tuple[Trained, dict]]


def compile_steps(spec: Spec) -> dict[str, Callable]:
    """{'joint': passes of joint steps}: one program."""
    return {'joint': parallel.compile_pass(joint_step(spec), spec.layout)}


def joint_step(spec: Spec) -> Step:
    """One gradient step on the shared tree.

    step(trained, frozen, data, order) -> (trained, metrics): see sdmi.half_step. Frozen holds no
    parameters here, only the seed's key and the hyperparameters.
    """

    def step(trained: Trained, frozen: Frozen, data: Tree, order: Tree) -> tuple[Trained, dict]:
        method = spec.method
        (phase,) = method.phases
        batch = steps.take(spec, method, phase, trained, frozen, data, order)

        def encode(params: Tree, views: Tree) -> dict[str, steps.Encoded]:
            return steps.encode(method, states.with_params(trained, phase, params), views)

        loss, encoded, gradient = steps.evaluate(spec, phase, encode, trained, batch)
        return steps.update(spec, method, phase, trained, frozen, batch, loss, encoded, gradient)

    return step
