"""The unit sphere in 3D: a light wireframe, the ways of points over it, and where they end."""

import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from mi_ssl_jax.figures import style

ELEVATION, AZIMUTH = 32.0, -62.0  # degrees
WIRE = '#9A9A9A'
FAINTEST = 0.25  # opacity of the first epoch
BETWEEN = 6  # points from one epoch to the next, so that long steps follow the sphere

_E, _A = np.radians([ELEVATION, AZIMUTH])
VIEWER = np.array([np.cos(_E) * np.cos(_A), np.cos(_E) * np.sin(_A), np.sin(_E)])


def upright(points: np.ndarray) -> np.ndarray:
    """Rotation R (3, 3) such that `points` (K, 3) @ R.T vary least upwards: a ring lies flat."""
    axes = np.linalg.svd(points - points.mean(axis=0))[2]
    # A mirrored sphere would show another embedding.
    axes[2] *= np.sign(np.linalg.det(axes))
    return axes


def new(figure: Figure, spec: SubplotSpec, title: str, subtitle: str) -> Axes3D:
    """An empty unit sphere seen from VIEWER, without axes or perspective."""
    ax = figure.add_subplot(spec, projection='3d', computed_zorder=False)
    ax.set_proj_type('ortho')
    ax.view_init(ELEVATION, AZIMUTH)
    ax.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    ax.set_box_aspect((1, 1, 1), zoom=1.5)
    ax.set_axis_off()
    _wireframe(ax)
    ax.set_title(title, loc='center', pad=15)
    ax.annotate(
        subtitle,
        (0.5, 1),
        xycoords='axes fraction',
        xytext=(0, 3),
        textcoords='offset points',
        ha='center',
        va='bottom',
        fontsize=8.0,
    )
    return ax


def trajectory(ax: Axes3D, path: np.ndarray, colour: str) -> None:
    """The way (T, 3) of one point, opacity growing from first to last row; thinner on the far
    side.
    """
    fine = _on_sphere(path)
    segments = np.stack([fine[:-1], fine[1:]], axis=1)
    colours = np.tile(matplotlib.colors.to_rgba(colour), (len(segments), 1))
    colours[:, 3] = _opacity(len(segments))
    near = segments.mean(axis=1) @ VIEWER > 0
    for mask, linewidth, order in ((~near, 0.9, 2), (near, 1.8, 4)):
        if mask.any():
            ax.add_collection3d(
                Line3DCollection(
                    segments[mask], colors=colours[mask], linewidths=linewidth, zorder=order
                )
            )


def points(
    ax: Axes3D, where: np.ndarray, *, marker: str = 'o', size: float = 46.0, numbers: bool = True
) -> None:
    """Points (K, 3) in the clusters' colours, numbered from 1: filled on the near side, hollow on
    the far.
    """
    near = where @ VIEWER > 0
    for index, (point, colour) in enumerate(zip(where, style.CLUSTERS)):
        order = 6 if near[index] else 3
        ax.scatter(
            *point,
            s=size,
            marker=marker,
            facecolors=colour if near[index] else 'white',
            edgecolors=colour,
            linewidths=1.0,
            depthshade=False,
            clip_on=False,
            zorder=order,
        )
        if numbers:
            ax.text(
                *point,
                str(index + 1),
                color='white' if near[index] else colour,
                fontsize=6.0,
                fontweight='bold',
                ha='center',
                va='center_baseline',
                zorder=order + 0.5,
            )


def arc(ax: Axes3D, start: np.ndarray, end: np.ndarray, colour: str) -> None:
    """The shortest way over the sphere between two points (3,)."""
    ax.plot(*_on_sphere(np.stack([start, end])).T, color=colour, linewidth=1.0, zorder=2.5)


def legend(ax: Axes, first: float, last: float) -> None:
    """Draw a legend for the marks of `trajectory` and `points` on axes of its own."""
    ax.set_axis_off()
    handles = [
        Line2D([], [], marker='o', linestyle='', color=colour, label=f'cluster {index + 1}')
        for index, colour in enumerate(style.CLUSTERS)
    ]
    sides = [
        Line2D([], [], marker='o', color=WIRE, linewidth=1.8, label='near side of the sphere'),
        Line2D(
            [], [], marker='o', color=WIRE, linewidth=0.9, markerfacecolor='white', label='far side'
        ),
    ]
    ax.legend(
        handles=[*handles, *sides], loc='upper left', bbox_to_anchor=(0.0, 0.97), borderaxespad=0
    )
    ramp = ax.inset_axes((0.04, 0.21, 0.6, 0.035))
    ramp.imshow(
        _opacity(100)[None],
        aspect='auto',
        cmap='Greys',
        vmin=0.0,
        vmax=1.0,
        extent=(first, last, 0, 1),
    )
    ramp.set(yticks=[], xticks=[first, last], xlabel='epoch (opacity of the path)')
    ramp.grid(False)


def _opacity(steps: int) -> np.ndarray:
    """Growing with training; by a square root, since centres move most in the first epochs."""
    return FAINTEST + (1 - FAINTEST) * np.sqrt(np.linspace(0, 1, steps))


def _on_sphere(path: np.ndarray) -> np.ndarray:
    """The rows (T, 3) with BETWEEN - 1 more between each two, all of unit length."""
    share = np.arange(BETWEEN)[:, None] / BETWEEN
    between = path[:-1, None] * (1 - share) + path[1:, None] * share
    fine = np.concatenate([between.reshape(-1, 3), path[-1:]])
    return fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), 1e-12)


def _wireframe(ax: Axes3D) -> None:
    """Meridians and parallels every 30 degrees, lighter on the far side, and the sphere's
    outline.
    """
    turn = np.linspace(0, 2 * np.pi, 121)
    c, s = np.cos(turn), np.sin(turn)
    circles = [
        np.stack([c * np.cos(a), c * np.sin(a), s], axis=1)
        for a in np.radians(np.arange(0, 180, 30))
    ]
    circles += [
        np.stack([c * np.cos(b), s * np.cos(b), np.full_like(turn, np.sin(b))], axis=1)
        for b in np.radians(np.arange(-60, 90, 30))
    ]
    segments = np.concatenate([np.stack([circle[:-1], circle[1:]], axis=1) for circle in circles])
    near = segments.mean(axis=1) @ VIEWER > 0
    for mask, alpha, order in ((~near, 0.16, 1), (near, 0.42, 1.5)):
        ax.add_collection3d(
            Line3DCollection(segments[mask], colors=WIRE, alpha=alpha, linewidths=0.5, zorder=order)
        )
    across = np.linalg.svd(VIEWER[None])[2][1:]
    ax.plot(*(np.stack([c, s], axis=1) @ across).T, color=WIRE, linewidth=0.7, zorder=1.6)
