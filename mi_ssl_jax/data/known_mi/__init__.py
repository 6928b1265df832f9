"""Samples of known mutual information by name, for judging estimators:
`load('gaussian_sparse_5x5')`.
"""

import functools
import re
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from mi_ssl_jax.data.known_mi import families
from mi_ssl_jax.data.known_mi.families import Task

BETAS = (0.5, 1, 2, 8)
TARGETS = (0.5, 1, 2, 4)  # nats
_SPIRAL = functools.partial(families.spiral, speed=1 / 3)


def _table() -> dict[str, Callable[[], Task]]:
    f = families
    tasks = {
        f'gaussian_3x3_{mi:g}nats': lambda mi=mi: f.gaussian(f.of_information(3, mi))
        for mi in TARGETS
    }
    tasks |= {f'independent_{d}x{d}': lambda d=d: f.gaussian(np.eye(2 * d)) for d in (1, 5)}
    tasks |= {
        f'gaussian_sparse_{d}x{d}': lambda d=d: f.gaussian(f.sparse(d, 0.8, pairs=2))
        for d in (1, 2, 5, 25, 50)
    }
    tasks |= {
        f'gaussian_dense_{d}x{d}': lambda d=d: f.gaussian(f.dense(d, 0.5)) for d in (2, 5, 25, 50)
    }
    tasks |= {
        f'generalised_{d}x{d}_beta{beta:g}': lambda d=d, beta=beta: f.generalised(
            f.sparse(d, 0.8, pairs=2), beta=beta
        )
        for d in (1, 5)
        for beta in BETAS
    }
    tasks |= {
        f'student_{d}x{d}_dof{dof}': lambda d=d, dof=dof: f.student(
            f.sparse(d, 0.8, pairs=2), dof=dof
        )
        for d, dof in ((1, 1), (1, 3), (2, 2), (5, 5))
    }
    tasks |= {
        f'uniform_noise_1x1_width{width:g}': lambda width=width: f.uniform_noise(width=width)
        for width in (0.1, 0.75)
    }
    tasks |= {
        f'gaussian_dense_{d}x1': lambda d=d: f.gaussian(f.equicorrelated(d + 1, 0.5), dx=d)
        for d in (5, 25)
    }
    pair = f.equicorrelated(2, 0.75)
    tasks |= {
        f'{name}_1x1': lambda maps=maps: f.transformed(f.gaussian(pair), maps, maps)
        for name, maps in (
            ('wiggly', f.wiggly),
            ('bimodal', f.bimodal),
            ('normal_cdf', f.normal_cdf),
        )
    }
    tasks |= {
        'swiss_roll_2x1': lambda: f.transformed(f.gaussian(pair), f.swiss_roll, f.normal_cdf, dx=2),
        'waves_1x1': lambda: f.mixture(f.waves(count=12)),
        'inliers_1x1': lambda: f.mixture(f.inliers(share=0.2, correlation=0.95)),
        'galaxy_2x1': lambda: f.transformed(
            f.mixture(f.galaxy(), dx=2), functools.partial(f.spiral, speed=0.3), lambda y: y
        ),
        'embeddings_labels_16x10': lambda: f.embeddings_and_labels(
            classes=10, dimension=16, spread=0.3
        ),
    }
    tasks |= {
        'mixture_cross_1x1': lambda: f.mixture(f.cross(0.9)),
        'mixture_clusters_2x2': lambda: f.mixture(f.clusters(count=5, sigma=0.05, noise=0.1)),
    }
    tasks |= {
        f'{name}_{kind}': lambda name=name, maps=maps: f.transformed(load(name), maps, maps)
        for kind, maps, name in (
            ('half_cube', f.half_cube, 'gaussian_sparse_1x1'),
            ('half_cube', f.half_cube, 'gaussian_dense_25x25'),
            ('asinh', jnp.arcsinh, 'student_1x1_dof1'),
            ('asinh', jnp.arcsinh, 'student_2x2_dof2'),
            ('spiral', _SPIRAL, 'gaussian_sparse_2x2'),
            ('spiral', _SPIRAL, 'gaussian_sparse_5x5'),
        )
    }
    return tasks


_TASKS = _table()
NAMES = tuple(_TASKS)


def size(name: str) -> int:
    """Return dx + dy of a task, by its name."""
    return sum(map(int, re.search(r'(\d+)x(\d+)', name).groups()))


@functools.cache
def load(name: str) -> Task:
    """The task of this name; its true value is computed at the first call, in at most seconds.

    Raises:
        ValueError: no task has this name.
    """
    if name not in _TASKS:
        raise ValueError(f'no task {name!r}; there are {", ".join(NAMES)}')
    return _TASKS[name]()
