"""The style of all pictures, and how they are saved."""

import os
import textwrap
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Five clusters: colours that stay apart under colour blindness, and are no method's colour.
CLUSTERS = ('#4477AA', '#EE6677', '#228833', '#CCBB44', '#AA3377')
TITLE_CHARACTERS, NOTE_CHARACTERS = 11.0, 16.5  # an inch, at their sizes
GUIDE = '#777777'  # reference lines and their words
DASHES = (0, (4, 1.5))  # of the second of two lines in one colour
GUIDE_DASHES = (0, (4, 3))

SETTINGS = {
    'font.family': 'DejaVu Sans',
    'font.size': 9.0,
    'axes.titlesize': 10.0,
    'axes.titleweight': 'bold',
    'axes.titlelocation': 'left',
    'axes.labelsize': 9.0,
    'axes.linewidth': 0.6,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#E4E4E4',
    'grid.linewidth': 0.5,
    'lines.linewidth': 1.3,
    'lines.solid_capstyle': 'butt',
    'xtick.labelsize': 8.0,
    'ytick.labelsize': 8.0,
    'xtick.major.width': 0.6,
    'ytick.major.width': 0.6,
    'legend.fontsize': 8.0,
    'legend.frameon': False,
    'legend.handlelength': 1.6,
    'figure.titlesize': 11.0,
    'figure.titleweight': 'bold',
    'figure.autolayout': False,
    'figure.constrained_layout.use': False,
    'savefig.dpi': 160,
}

# Decorates every function that draws; it leaves the caller's own matplotlib settings alone.
drawing = matplotlib.rc_context(SETTINGS)


def new(width: float, height: float, *, row_gap: float = 0.04) -> Figure:
    """An empty figure (inches) outside pyplot, so nothing is shown or kept open."""
    dpi = SETTINGS['savefig.dpi']
    figure = Figure(figsize=(width, height), layout='constrained', dpi=dpi)
    figure.get_layout_engine().set(h_pad=row_gap)
    FigureCanvasAgg(figure)
    return figure


def heading(figure: Figure, title: str, note: str) -> None:
    """A title above the panels and, below them, a few smaller lines that say how to read them."""
    width = figure.get_figwidth()
    figure.suptitle(textwrap.fill(title, int(TITLE_CHARACTERS * width)), x=0.01, ha='left')
    figure.supxlabel(
        textwrap.fill(note, int(NOTE_CHARACTERS * width)),
        x=0.01,
        ha='left',
        fontsize=8.0,
        color='#333333',
    )


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure in the format of the path's suffix. The file is either the old one or
    whole.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{os.getpid()}.{path.name}')
    # Laid out here, once: savefig would draw a figure that has a layout engine twice.
    if figure.axes:
        figure.get_layout_engine().execute(figure)
    figure.set_layout_engine(None)
    try:
        figure.savefig(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
