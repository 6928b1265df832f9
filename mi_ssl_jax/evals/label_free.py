"""Figures of an encoder that need no labels, to choose checkpoints and settings by.

RankMe (Garrido et al. 2023, arXiv 2210.02885), LiDAR (Thilak et al. 2024, arXiv 2312.04000) and
α-ReQ (Agrawal et al. 2022) are of backbone features, alignment and uniformity (Wang and Isola 2020,
arXiv 2005.10242) of the embeddings of two views, all of held-out examples. Their names, and which
way is better: figures.label_free.
"""

import functools
from collections.abc import Sequence

import chex
import jax

from mi_ssl_jax.core import critics, spectrum, sphere
from mi_ssl_jax.core.bounds import row_blocks
from mi_ssl_jax.figures.statistics import evenly

SAMPLES, VIEWS = 100, 10  # of LiDAR, as in its paper's smaller setting
MOST = 25_600  # examples of RankMe, enough by its paper
BLOCK_SIZE = 512  # rows of uniformity's scores held at a time
NEED_DRAWS, NEED_PAIRS = ('lidar',), ('alignment', 'uniformity')


def figures(
    names: Sequence[str],
    *,
    features: chex.Array,
    pair: Sequence[chex.Array],
    draws: chex.Array | None,
) -> dict[str, jax.Array]:
    """Compute the figures of these names.

    Args:
        names: of figures.label_free.FIGURES.
        features: (N, F) backbone features of un-augmented examples.
        pair: (N, D) embeddings of two views each, for NEED_PAIRS; () without.
        draws: (n, q, F) backbone features of q views of n examples, for NEED_DRAWS.

    Returns:
        {name: ()}.
    """
    chosen = evenly(len(features), MOST)
    compute = {
        'rankme': lambda: sphere.effective_rank(features[chosen]),
        'lidar': lambda: spectrum.lidar(draws),
        'alpha_req': lambda: spectrum.alpha_req(features),
        'alignment': lambda: sphere.alignment(*pair),
        'uniformity': lambda: (uniformity(pair[0]) + uniformity(pair[1])) / 2,
    }
    return {name: compute[name]() for name in names}


def uniformity(z: chex.Array) -> jax.Array:
    """Compute `core.sphere.uniformity` (t = 2) in row blocks: memory O(N * BLOCK_SIZE).

    -2 ||a - b||^2 of unit rows is 4 cos - 4, so it is a marginal term with a cosine critic.
    """
    critic = functools.partial(critics.cosine, temperature=0.25)
    return row_blocks.blocked_terms('dv', z, z, critic, BLOCK_SIZE).marginal - 4.0
