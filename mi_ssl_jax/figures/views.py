"""Draw a network's input views: python -m mi_ssl_jax.figures.views --config=configs/NAME.py
[--images=8]

Draws training images beside their random views, into runs/views/NAME.png or where --output says.
"""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mi_ssl_jax.figures import style

CELL = 1.15  # inches
ACROSS = 7  # panels beside each other, if one image with its views does not need more
MOST = 64  # images in a picture


@style.drawing
def draw(
    images: Sequence[np.ndarray],
    views: Sequence[Sequence[np.ndarray]],
    output: str | Path,
    *,
    title: str,
    note: str,
) -> Path:
    """A row an image: itself, then its views; rows stand beside each other where the views are few.

    images, views: values in [0, 1], each of any size (H, W, C), or (H, W) for grey ones; views[i]
    are of images[i].
    """
    columns = 1 + len(views[0])
    blocks = min(max(1, ACROSS // columns), len(images))
    rows = -(-len(images) // blocks)
    blocks = -(-len(images) // rows)  # the last must not stay empty
    width = max(CELL * columns * blocks + 0.3 * blocks, 5.0)
    note_lines = len(note) / (style.NOTE_CHARACTERS * width)
    figure = style.new(width, CELL * rows + 0.9 + 0.16 * note_lines)
    grid = figure.add_gridspec(1, 2 * blocks - 1, width_ratios=([columns, 0.2] * blocks)[:-1])
    for block in range(blocks):
        chosen = slice(block * rows, (block + 1) * rows)
        panels = grid[2 * block].subgridspec(rows, columns).subplots(squeeze=False)
        _block(panels, images[chosen], views[chosen])
    style.heading(figure, title, note)
    return style.save(figure, output)


def _block(
    panels: np.ndarray, images: Sequence[np.ndarray], views: Sequence[Sequence[np.ndarray]]
) -> None:
    """One image a row of panels; rows that are left over stay empty."""
    for row, image, own in itertools.zip_longest(panels, images, views):
        for ax, pixels in itertools.zip_longest(row, () if image is None else (image, *own)):
            _show(ax, pixels)
    names = ['image', *(f'view {number}' for number in range(1, panels.shape[1]))]
    for ax, name in zip(panels[0], names, strict=True):
        ax.set_title(name, fontsize=9.0)
    for ax, pixels in zip(panels[len(images) - 1], (images[-1], *views[-1]), strict=True):
        ax.set_xlabel(f'{pixels.shape[1]} x {pixels.shape[0]} px', fontsize=7.5)


def _show(ax: Axes, pixels: np.ndarray | None) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if pixels is not None:
        grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
        ax.imshow(
            grey, cmap='gray', vmin=0, vmax=1, interpolation='nearest'
        )  # cmap: of grey images alone


def main() -> None:
    """Compute the views of a configuration and draw them. JAX is imported here, by what computes
    them.
    """
    from absl import flags
    from ml_collections import config_flags as ml_flags

    from mi_ssl_jax.cli import config_file

    values = flags.FlagValues()
    ml_flags.DEFINE_config_file('config', None, 'A file in configs/.', flag_values=values)
    flags.DEFINE_integer(
        'images',
        8,
        'Number of images, evenly spaced over the training set.',
        lower_bound=1,
        upper_bound=MOST,
        flag_values=values,
    )
    flags.DEFINE_string(
        'output', None, 'Output file; default runs/views/<config>.png.', flag_values=values
    )
    config_file.parse(values, sys.argv, usage=__doc__)
    if values.config is None:
        raise ValueError('no configuration: give --config=configs/NAME.py')
    output = Path(values.output or f'runs/views/{Path(config_file.path(sys.argv)).stem}.png')
    if output.suffix not in ('.png', '.pdf', '.svg', '.jpg'):
        raise ValueError(f'--output={output}: end it in .png, .pdf, .svg or .jpg')
    from mi_ssl_jax.experiment import view_samples

    output.parent.mkdir(parents=True, exist_ok=True)  # now, rather than after the views are made
    found = view_samples.make(values.config, values.images)
    print(f'drew {draw(found.images, found.views, output, title=found.title, note=found.note)}')


if __name__ == '__main__':
    from mi_ssl_jax.cli import guard

    sys.exit(guard.guard(main))
