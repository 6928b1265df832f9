"""VICReg's tuned recipe on digits, which runs off there, against a loop of its own in PyTorch:
network, loss and LARS together, along the same views.
"""

import os
import pathlib
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from mi_ssl_jax.experiment import build
from mi_ssl_jax.methods import api
from mi_ssl_jax.reproduce import recipes
from mi_ssl_jax.train import step
from tests.helpers import goldens, subprocesses

ROOT = pathlib.Path(__file__).parents[2]
EPOCHS = 60  # of the schedule


def beginning(seed):
    """The experiment of `reproduce recipes --epochs=60`, and its first parameters."""
    config = recipes.transferred('vicreg', '_tuned')
    config.epochs, config.seed, config.mode = EPOCHS, seed, 'loop'
    config.net.convolution = 'xla'  # which computes in float64 too
    ready = build.setup(config)
    return ready, jax.device_get(build.initial(ready).members()[0].variables['theta'])


def drawn_views(ready, steps):
    """(T, 2, N, 8, 8, 1): views of batches in the training set's shuffled order."""
    images, rng = ready.source.train.x, np.random.default_rng(7)
    views = jax.jit(jax.vmap(ready.spec.views))
    size, found = ready.spec.batch_size, []
    while len(found) < steps:
        order = rng.permutation(len(images))
        for number in range(ready.spec.steps_per_pass):
            keys = jax.random.split(jax.random.PRNGKey(len(found)), size)
            found.append(views(keys, images[order[number * size :][:size]]))
    return np.array(found[:steps])


def rates(ready, steps):
    """The learning rate of each step, by its formula: 25 steps of warm-up, then a cosine to 0."""
    config, total = ready.config, EPOCHS * ready.spec.steps_per_pass
    warm = config.warmup_epochs * ready.spec.steps_per_pass
    start = config.schedule.start
    for number in range(steps):
        if number < warm:
            yield config.lr * (start + (1 - start) * number / warm)
        else:
            yield config.lr * (1 + np.cos(np.pi * (number - warm) / (total - warm))) / 2


def ours(ready, variables, views, dtype):
    """The loss of each step by the project's network, method and optimiser, in this precision."""
    branch, (phase,) = ready.method.branches['theta'], ready.method.phases
    net = branch.net
    heads = {name: getattr(net, name).clone(dtype=dtype) for name in ('backbone', 'projector')}
    branch = branch._replace(net=net.clone(**heads))
    optimiser = ready.spec.optimiser(ready.spec.hyper[0], phase)
    variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), variables)
    rest = {name: tree for name, tree in variables.items() if name != 'params'}

    @jax.jit
    def update(params, state, pair):
        def loss(params):
            seen = step.encode_branch(branch, {'params': params, **rest}, pair).outputs
            return phase.loss({'theta': seen}, (), api.Info(0, 0.0, 0.0, None)).value

        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    params, losses = variables['params'], []
    state = optimiser.init(params)
    for pair in views:
        params, state, value = update(params, state, tuple(jnp.asarray(pair, dtype)))
        losses.append(float(value))
    return np.array(losses)


def torchs(ready, variables, views, folder, *words):
    """The same, and the parameters' sizes, by tests/helpers/torch_vicreg.py."""
    config = ready.config
    arrays = {
        'views': views,
        'rates': np.array(list(rates(ready, len(views)))),
        'decay': config.weight_decay,
        'eta': config.optimizer.lars.eta,
        'invariance': config.method.invariance_weight,
        'variance': config.method.variance_weight,
        'covariance': config.method.covariance_weight,
        'eps': config.method.eps,
        **traverse_util.flatten_dict(variables['params'], sep='/'),
    }
    np.savez(folder / 'in.npz', **arrays)
    script = ROOT / 'tests' / 'helpers' / 'torch_vicreg.py'
    subprocess.run(
        [os.environ['MI_SSL_TIMM_PYTHON'], script, folder / 'in.npz', folder / 'out.npz', *words],
        check=True,
        env=subprocesses.environment(),
    )
    with np.load(folder / 'out.npz') as found:
        return dict(found)


@pytest.mark.slow
def test_the_recipe_runs_off_in_pytorch_as_it_does_here(tmp_path):
    """A hundred steps in float64, loss by loss; what grows are the batch norms, whose learning rate
    LARS leaves as it is.
    """
    if not os.environ.get('MI_SSL_TIMM_PYTHON'):
        pytest.skip('MI_SSL_TIMM_PYTHON names no Python that has torch')
    ready, variables = beginning(0)
    views = drawn_views(ready, 100)
    found = torchs(ready, variables, views, tmp_path, 'float64')
    adapted = torchs(ready, variables, views, tmp_path, 'float64', 'adapted')
    with goldens.x64():
        own = ours(ready, variables, views, jnp.float64)
    # Rounding grows a hundredfold in twenty steps: 2e-16 after 40, 3e-8 after 100.
    np.testing.assert_allclose(own[:60], found['loss'][:60], rtol=1e-10)
    np.testing.assert_allclose(own, found['loss'], rtol=1e-4)
    sizes = [run['projector/BatchNorm_0/bias'][-1] for run in (found, adapted)]
    assert sizes[0] > 5 * sizes[1]  # 10.1 and 0.4
    assert adapted['loss'][-1] < found['loss'][-1]
