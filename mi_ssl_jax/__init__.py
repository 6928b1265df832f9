"""Self-supervised learning as mutual information maximisation, in JAX and Flax.

    import mi_ssl_jax as ms

    scores = ms.critics.cosine(za, zb, temperature=0.1)      # (N, N)
    ms.bounds.dv(ms.pairs.in_batch(scores))                  # nats
    ms.losses.nt_xent(za, zb, temperature=0.1)
    ms.estimate_mi(x, y, bound='infonce', key=key).interval  # nats
    apply, variables = ms.load_encoder('runs/jmi_digits')

Every name is imported on first use (PEP 562). `import mi_ssl_jax` itself loads no JAX, which the
commands rely on: they set XLA's flags first. Examples in docstrings assume the import above,
`import jax` and `import jax.numpy as jnp`.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_ssl_jax import augment, losses, methods, nets
    from mi_ssl_jax.core import (
        assignment,
        bounds,
        critics,
        gaussian_entropy,
        linalg,
        pairs,
        queue,
        spectrum,
        sphere,
        surrogates,
    )
    from mi_ssl_jax.evals.estimate import Estimate, estimate_mi
    from mi_ssl_jax.evals.read_out import ReadOut, read_out
    from mi_ssl_jax.runs.encoders import load_encoder

__version__ = '0.1.0'
__all__ = [
    'Estimate',
    'ReadOut',
    '__version__',
    'assignment',
    'augment',
    'bounds',
    'critics',
    'estimate_mi',
    'gaussian_entropy',
    'linalg',
    'load_encoder',
    'losses',
    'methods',
    'nets',
    'pairs',
    'queue',
    'read_out',
    'spectrum',
    'sphere',
    'surrogates',
]

_MODULES = {
    'assignment': 'mi_ssl_jax.core.assignment',
    'augment': 'mi_ssl_jax.augment',
    'bounds': 'mi_ssl_jax.core.bounds',
    'critics': 'mi_ssl_jax.core.critics',
    'gaussian_entropy': 'mi_ssl_jax.core.gaussian_entropy',
    'linalg': 'mi_ssl_jax.core.linalg',
    'losses': 'mi_ssl_jax.losses',
    'methods': 'mi_ssl_jax.methods',
    'nets': 'mi_ssl_jax.nets',
    'pairs': 'mi_ssl_jax.core.pairs',
    'queue': 'mi_ssl_jax.core.queue',
    'spectrum': 'mi_ssl_jax.core.spectrum',
    'sphere': 'mi_ssl_jax.core.sphere',
    'surrogates': 'mi_ssl_jax.core.surrogates',
}
_MEMBERS = {  # functions and classes, and the module of each
    'Estimate': 'mi_ssl_jax.evals.estimate',
    'ReadOut': 'mi_ssl_jax.evals.read_out',
    'estimate_mi': 'mi_ssl_jax.evals.estimate',
    'load_encoder': 'mi_ssl_jax.runs.encoders',
    'read_out': 'mi_ssl_jax.evals.read_out',
}


class _Namespace(types.ModuleType):
    """Keeps `estimate_mi` the function.

    A command is a module of the same name, which Python, once it is imported, would put in the
    function's place.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _MEMBERS or not isinstance(value, types.ModuleType):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _MEMBERS:
        value = getattr(importlib.import_module(_MEMBERS[name]), name)
    else:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


sys.modules[__name__].__class__ = _Namespace
