"""From the DV bound to Barlow Twins, measured: every step of section 3.4 and appendix A.3 on the
same embeddings.

A Barlow Twins and a JMI run on the Gaussian mixture; at each evaluation the held-out embeddings of
two views give the exact marginal term, its second-order value (Eq. 23) with the bound on the
remainder, Eq. 13 and Barlow Twins' loss.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import augment, parallel
from mi_ssl_jax.core import bounds, critics, expansion, linalg, pairs, surrogates
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.figures.paper import surrogate as figures
from mi_ssl_jax.methods import barlow
from mi_ssl_jax.reproduce import training
from mi_ssl_jax.runs import run_folder
from mi_ssl_jax.train import loop

Tree = Any

METHODS = ('barlow', 'jmi')
POINTS = 500  # held-out; every expansion goes over all their pairs once for each tilt
TILTS = 21
EVALUATIONS = 25
TEMPERATURES = (1.0, 0.5, 0.2, 0.1)  # of the cosine critic: the smaller, the wider its scores
NOISES = (
    0.1,
    0.5,
    1.0,
)  # of the held-out views: training's, and two that make views of a point differ more
REDUNDANCY_WEIGHT = 0.005  # as the Barlow Twins run trains


def reproduce(*, workdir: Path, seeds: int, epochs: int) -> None:
    """Train both, measure while they train, draw, tabulate, say where the steps part."""
    found = {name: measure(name, seeds=seeds, epochs=epochs) for name in METHODS}
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / 'surrogate.json'
    run_folder.write_json(path, {'points': POINTS, 'seeds': seeds, 'epochs': epochs, 'runs': found})
    for written in figures.report(path):
        print(f'wrote {written}')
    print(figures.text(path))


def measure(name: str, *, seeds: int, epochs: int) -> list[dict]:
    """A record an evaluation of a run of configs/<name>_gaussian.py: {'epoch', critic: {name:
    (seeds,)}}.
    """
    config = training.config(f'{name}_gaussian')
    config.seeds, config.epochs, config.mi.examples = seeds, epochs, POINTS
    ready = experiments.setup(config)
    with inputs.feeding(ready.source, ready.spec, config, 0) as feed:
        chunks = loop.train(
            ready.spec,
            experiments.initial(ready),
            feed,
            log_every=config.log_every,
            evaluate_every=max(1, epochs // EVALUATIONS),
            evaluate=evaluation(ready),
        )
        lines = [now.line for now in chunks if now.evaluated]
    return [{'epoch': line['epoch'], **line['measured']} for line in lines]


def evaluation(ready: experiments.Setup) -> Callable[..., dict]:
    """-> evaluate(variables, lagged, **when) for the training loop: {'measured': numbers, each
    (seeds,)}.
    """
    x = jnp.asarray(inputs.watched(ready.source, ready.config).x)
    pipelines = {sigma: augment.load('noise', sigma=sigma) for sigma in NOISES}
    branch = ready.method.tracked.a
    net = ready.method.branches[branch].net

    def numbers(variables: Tree, x: jax.Array) -> dict:
        keys, found = jax.random.split(jax.random.PRNGKey(0), len(x)), {}
        for sigma, pipeline in pipelines.items():
            pair = jax.vmap(pipeline)(keys, x)
            za, zb = (net.apply(variables, view, train=False).z for view in pair)
            found[f'dot {sigma:g}'] = with_dot(za, zb)
            if sigma == NOISES[0]:
                found |= with_cosine(za, zb)
        return found

    compiled = parallel.over_seeds(numbers, shared=1)

    def evaluate(variables: Tree, lagged: Tree, **when: bool) -> dict:
        own = variables.map(lambda tree: tree[branch])
        return {'measured': jax.tree.map(np.asarray, compiled(own, x))}

    return evaluate


def with_cosine(za: jax.Array, zb: jax.Array) -> dict[str, dict[str, jax.Array]]:
    """{'cosine 1': ..., 'cosine 0.5': ...}: the marginal term of the cosine critic of each
    temperature.
    """
    return {
        f'cosine {temperature:g}': _expanded(critics.cosine(za, zb, temperature=temperature))
        for temperature in TEMPERATURES
    }


def with_dot(za: jax.Array, zb: jax.Array) -> dict[str, jax.Array]:
    """The marginal term of Eq. 12's critic on embeddings (N, D) that are standardised over the
    batch, as Barlow Twins has them; the parts of its variance; Eq. 13; Barlow Twins' loss, and that
    of weight 1 beside the chi-squared bound: equal where both views have the same moments, up to
    the embeddings' width and one Nth.
    """
    a, b = (linalg.standardise(z, eps=surrogates.STANDARDISE_EPS) for z in (za, zb))
    loss = barlow.barlow_loss(za, zb, redundancy_weight=REDUNDANCY_WEIGHT)
    return {
        **_expanded(critics.dot(a, b, temperature=1.0)),
        **expansion.variance_parts(a, b)._asdict(),
        'eq13': bounds.eq13(a, b),
        'barlow': loss,
        'barlow_1': barlow.barlow_loss(za, zb, redundancy_weight=1.0),
        'width': jnp.asarray(float(a.shape[1])),
        'chi_squared': bounds.chi_squared(pairs.in_batch(critics.dot(a, b, temperature=1.0))),
    }


def _expanded(scores: jax.Array) -> dict[str, jax.Array]:
    made = pairs.in_batch(scores)
    own = expansion.expand(made, tilts=TILTS)
    return {
        'joint': jnp.mean(made.joint),
        'exact': own.exact,
        'second_order': own.second_order,
        'mean': own.mean,
        'variance': own.variance,
        'bound': own.bound,
        'range_bound': own.range_bound,
    }
