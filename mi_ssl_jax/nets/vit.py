"""Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929), equal to timm's, with MoCo-v3's
choices as fields.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Pool = Literal['cls', 'mean']
Positions = Literal['learned', 'fixed']
WEIGHTS = nn.initializers.truncated_normal(0.02)
NORM_EPS = 1e-6  # timm's
PERIOD = 10_000  # of the slowest of the fixed positions' waves, in patches


class Attention(nn.Module):
    """Self-attention over tokens (N, T, D), every head with its own part of D."""

    heads: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        n, tokens, width = x.shape
        qkv = nn.Dense(3 * width, dtype=self.dtype, kernel_init=WEIGHTS, name='qkv')(x)
        q, k, v = jnp.moveaxis(qkv.reshape(n, tokens, 3, self.heads, -1), 2, 0)
        scores = jnp.einsum('nthd,nshd->nhts', q * q.shape[-1] ** -0.5, k)
        weights = nn.softmax(scores.astype(jnp.promote_types(scores.dtype, jnp.float32)))
        x = jnp.einsum('nhts,nshd->nthd', weights.astype(v.dtype), v).reshape(n, tokens, width)
        return nn.Dense(width, dtype=self.dtype, kernel_init=WEIGHTS, name='proj')(x)


class Mlp(nn.Module):
    """Linear, GELU (the exact one), linear."""

    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=WEIGHTS, name='fc1')(x)
        y = nn.gelu(y, approximate=False)
        return nn.Dense(x.shape[-1], dtype=self.dtype, kernel_init=WEIGHTS, name='fc2')(y)


class Block(nn.Module):
    """Attention and an MLP, each behind a layer norm and around a shortcut."""

    heads: int
    hidden: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        norm = {'epsilon': NORM_EPS, 'dtype': self.dtype}
        x = x + Attention(self.heads, self.dtype, name='attn')(
            nn.LayerNorm(**norm, name='norm1')(x)
        )
        return x + Mlp(self.hidden, self.dtype, name='mlp')(nn.LayerNorm(**norm, name='norm2')(x))


class PatchEmbed(nn.Module):
    """A linear map of each patch, (N, H, W, C) -> (N, H / patch, W / patch, width).

    fixed: it keeps its random start (MoCo-v3, arXiv 2104.02057, section 4.2). No gradient reaches
    it, and its size is that of its initialisation, so that weight decay, which only shortens it,
    changes nothing.
    """

    width: int
    patch: int
    fixed: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        def convolve(x: Array, kernel: Array, *arguments: Any, **options: Any) -> Array:
            if self.fixed:
                kernel = jax.lax.stop_gradient(_xavier_sized(kernel))
            return jax.lax.conv_general_dilated(x, kernel, *arguments, **options)

        sides = (self.patch, self.patch)
        return nn.Conv(
            self.width,
            sides,
            strides=sides,
            padding='VALID',
            use_bias=not self.fixed,
            dtype=self.dtype,
            kernel_init=nn.initializers.xavier_uniform(),
            conv_general_dilated=convolve,
            name='proj',
        )(x)


def _xavier_sized(kernel: Array) -> Array:
    """The kernel (h, w, C, D) at the root mean square of Glorot & Bengio's initialisation."""
    height, width, channels, features = kernel.shape
    size = (2 * kernel.size / (height * width * (channels + features))) ** 0.5
    return kernel * (size / jnp.sqrt(jnp.sum(jnp.square(kernel))))


class ViT(nn.Module):
    """A Vision Transformer up to its features.

    Attributes:
      patch: side of a patch, px; divides the image's sides.
      width: of a token, and of the features; a multiple of `heads`, and of 4 with fixed positions.
      depth: blocks. heads: of each attention.
      mlp_ratio: hidden width of a block's MLP over `width`.
      pool: 'cls', the class token after the last layer norm, or 'mean', the mean of the patches'
        tokens, with a layer norm after it (timm's 'token' and 'avg').
      positions: 'learned', for the first image's size, resized for others (DINO's small views); or
        'fixed' sines and cosines (MoCo-v3).
      fixed_patches: whether the patch embedding keeps its random start (MoCo-v3).
      dtype: compute type; parameters are float32. axis_name: of no use, for there is no batch norm.
    """

    patch: int
    width: int
    depth: int
    heads: int
    mlp_ratio: float
    pool: Pool
    positions: Positions
    fixed_patches: bool
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """(N, H, W, C) -> (N, width). ValueError: sides that the patches do not divide."""
        if x.shape[1] % self.patch or x.shape[2] % self.patch:
            raise ValueError(
                f'an image of {x.shape[1]} x {x.shape[2]} px has no whole patches of {self.patch}:'
                ' change net.options.vit.patch or the size of the views'
            )
        embed = PatchEmbed(
            self.width, self.patch, self.fixed_patches, self.dtype, name='patch_embed'
        )
        x = embed(x.astype(self.dtype))
        n, rows, columns, _ = x.shape
        token = self.param('cls_token', nn.initializers.normal(1e-6), (1, 1, self.width))
        token = jnp.broadcast_to(token, (n, 1, self.width)).astype(self.dtype)
        x = jnp.concatenate([token, x.reshape(n, rows * columns, self.width)], axis=1)
        x = x + self._positions(rows, columns).astype(self.dtype)
        for number in range(self.depth):
            hidden = int(self.width * self.mlp_ratio)
            x = Block(self.heads, hidden, self.dtype, name=f'blocks_{number}')(x)
        if self.pool == 'cls':
            return nn.LayerNorm(NORM_EPS, dtype=self.dtype, name='norm')(x)[:, 0]
        return nn.LayerNorm(NORM_EPS, dtype=self.dtype, name='fc_norm')(x[:, 1:].mean(axis=1))

    def _positions(self, rows: int, columns: int) -> Array:
        """(1, 1 + rows * columns, width), the class token's first."""
        if self.positions == 'fixed':
            return jnp.asarray(fixed_positions(rows, columns, self.width))
        shape = (1, 1 + rows * columns, self.width)
        if not self.has_variable('params', 'pos_embed'):
            return self.param('pos_embed', WEIGHTS, shape)
        found = self.get_variable('params', 'pos_embed')  # param would refuse another shape
        return found if found.shape == shape else _resized(found, rows, columns)


def fixed_positions(rows: int, columns: int, width: int) -> np.ndarray:
    """Sines and cosines of a patch's row and column, (1, 1 + rows * columns, width) float32; 0 for
    the class token (MoCo-v3's code).
    """
    rate = PERIOD ** -(np.arange(width // 4) / (width // 4))
    row, column = (
        place.reshape(-1, 1) * rate
        for place in np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij')
    )
    waves = [wave(place) for place in (column, row) for wave in (np.sin, np.cos)]
    grid = np.concatenate(waves, axis=1)
    return np.concatenate([np.zeros((1, width)), grid])[None].astype(np.float32)


def _resized(positions: Array, rows: int, columns: int) -> Array:
    token, grid = positions[:, :1], positions[:, 1:]
    side = round(grid.shape[1] ** 0.5)
    grid = grid.reshape(1, side, side, -1)
    grid = jax.image.resize(grid, (1, rows, columns, grid.shape[-1]), 'cubic', antialias=False)
    return jnp.concatenate([token, grid.reshape(1, rows * columns, -1)], axis=1)


def vit(
    *,
    patch: int,
    width: int,
    depth: int,
    heads: int,
    mlp_ratio: float,
    pool: Pool,
    positions: Positions,
    fixed_patches: bool,
    **options: Any,
) -> ViT:
    """A Vision Transformer; see ViT. Raises ValueError for values that do not fit each other."""
    for name, value, known in (('pool', pool, Pool), ('positions', positions, Positions)):
        if value not in get_args(known):
            raise ValueError(f"unknown {name} '{value}'; use one of {', '.join(get_args(known))}")
    if width % heads or (positions == 'fixed' and width % 4):
        raise ValueError(
            f'width={width} must be a multiple of heads={heads}, and of 4 with fixed positions'
        )
    return ViT(patch, width, depth, heads, mlp_ratio, pool, positions, fixed_patches, **options)


def to_timm(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Name and lay out a ViT's parameters as timm does.

    Args:
        params: of `nets.load('vit', ...)`.

    Returns:
        timm's key -> array: 'blocks.0.attn.qkv.weight' (3 D, D), ... A fixed patch embedding comes
        at its fixed size, with a bias of zeros; fixed positions are no parameters and are left out.

    >>> options = {'pool': 'cls', 'positions': 'learned', 'fixed_patches': False}
    >>> net = ms.nets.load('vit', patch=2, width=4, depth=1, heads=1, mlp_ratio=2, **options)
    >>> params = net.init(jax.random.PRNGKey(0), jnp.ones((1, 4, 4, 3)), train=False)['params']
    >>> ms.nets.to_timm(params)['blocks.0.mlp.fc1.weight'].shape
    (8, 4)
    """
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        *modules, last = [str(entry.key) for entry in path]
        name = '.'.join([*modules, last]).replace('blocks_', 'blocks.')
        array = np.asarray(leaf)
        if last in ('kernel', 'scale'):
            name = f'{name.rpartition(".")[0]}.weight'
            array = np.transpose(array, (3, 2, 0, 1) if array.ndim == 4 else None)
        found[name] = array
    projection = 'patch_embed.proj'
    if f'{projection}.bias' not in found:
        kernel = _xavier_sized(jnp.asarray(params['patch_embed']['proj']['kernel']))
        found[f'{projection}.weight'] = np.transpose(np.asarray(kernel), (3, 2, 0, 1))
        found[f'{projection}.bias'] = np.zeros(kernel.shape[-1], kernel.dtype)
    return found


def from_timm(state: Mapping[str, Any]) -> dict[str, Any]:
    """Build a ViT's parameters from timm's.

    Args:
        state: timm's key -> array, of a model without a classifier (num_classes=0).

    Returns:
        The parameters of `nets.load('vit', ...)` with learned positions and patches.

    >>> sorted(ms.nets.from_timm({'norm.weight': jnp.ones(2), 'norm.bias': jnp.zeros(2)})['norm'])
    ['bias', 'scale']
    """
    params: dict[str, Any] = {}
    for name, value in state.items():
        *modules, last = name.replace('blocks.', 'blocks_').split('.')
        array = jnp.asarray(np.asarray(value))
        if last == 'weight':
            last = 'scale' if array.ndim == 1 else 'kernel'
            array = jnp.transpose(array, (2, 3, 1, 0) if array.ndim == 4 else None)
        node = params
        for module in modules:
            node = node.setdefault(module, {})
        node[last] = array
    return params
