"""Streams of random numbers. Each is folded into a key once, so that no two draw the same numbers;
whatever is drawn in parts (a pass, a step, a branch) is folded into its stream's key.
"""

import jax

from mi_ssl_jax.core.types import Key

# Of a seed's key: networks, the order of the examples, what is evaluated, and last the steps: phase
# i draws from STEPS + i.
INIT, ORDER, EVALUATION, STEPS = range(4)
# Of EVALUATION, in parts: views of the held-out examples, resamples, views of finished runs.
VIEWS, RESAMPLES, FINISHED = range(3)
# Of the key of a fine-tuning's seed: random weights, views.
SCRATCH, TUNED = 7, 8
# The version of the above: training that began with another one cannot be continued to the bit.
VERSION = 2


def evaluation(part: int) -> Key:
    """The key of a part of the evaluation, the same for all seeds and at every evaluation.

    Args:
        part: VIEWS, RESAMPLES or FINISHED.
    """
    key = jax.random.fold_in(jax.random.PRNGKey(0), EVALUATION)
    return jax.random.fold_in(key, part)
