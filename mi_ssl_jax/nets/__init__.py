"""Backbones by name. Every backbone maps `(x (N, ...), train: bool)` to features (N, F); of graphs,
a row a node.

`train=True` normalises by the batch's statistics and updates the running ones (collection
'batch_stats'); `train=False` uses the running ones. Parameters are float32, computation runs in
`dtype`.
"""

import inspect
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from mi_ssl_jax.core import plugins
from mi_ssl_jax.nets import conv, conv1d, gcn, mlp, resnet, vit
from mi_ssl_jax.nets.torch_names import from_torch, to_torch
from mi_ssl_jax.nets.vit import from_timm, to_timm

__all__ = ['from_timm', 'from_torch', 'load', 'names', 'to_timm', 'to_torch']

_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    'mlp': mlp.MLP,
    'conv4': conv.conv4,
    'conv1d': conv1d.ConvNet1d,
    'digits_conv': conv.digits_conv,
    'gcn': gcn.GCN,
    'resnet18': resnet.resnet18,
    'resnet50': resnet.resnet50,
    'vit': vit.vit,
}


def names() -> list[str]:
    """List the backbones that `load` knows.

    Returns:
        Their names, sorted.

    >>> 'resnet18' in ms.nets.names()
    True
    """
    return sorted(_BUILDERS)


def load(
    name: str,
    *,
    dtype: jnp.dtype = jnp.float32,
    axis_name: str | None = None,
    convolution: str = 'fast',
    **options,
) -> nn.Module:
    """Build a backbone.

    Args:
        name: one of `names()`, or the user's own module as 'my_package.my_module:MyNet'.
        dtype: compute type, for example jnp.bfloat16.
        axis_name: axis over which batch-norm statistics are averaged, or None.
        convolution: on CPUs in float32, 'fast' or 'accurate' (matrix products) or 'xla'; a network
            without a field of this name is not given it.
        **options: the backbone's own fields, for example widths or width.

    Returns:
        A flax module, (x (N, ...), train) -> features (N, F).

    Raises:
        ValueError: unknown name, or options that the backbone does not have.

    >>> net = ms.nets.load('mlp', widths=(8, 4))
    >>> net.init_with_output(jax.random.PRNGKey(0), jnp.ones((2, 3)), train=False)[0].shape
    (2, 4)
    """
    builder = plugins.load(name, 'network') if ':' in name else _BUILDERS.get(name)
    if builder is None:
        raise ValueError(
            f"unknown network '{name}'; use one of {', '.join(names())}, "
            "or your own as 'my_package.my_module:MyNet'"
        )
    if 'convolution' in inspect.signature(builder).parameters:
        options['convolution'] = convolution
    try:
        return builder(dtype=dtype, axis_name=axis_name, **options)
    except TypeError as error:
        takes = '; it must take dtype and axis_name' if ':' in name else ''
        raise ValueError(
            f"network '{name}' cannot be built with these options: {error}{takes}"
        ) from error
