"""Texts of a picture that cover each other or leave the canvas."""

import itertools

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from mpl_toolkits.mplot3d.art3d import Text3D
from mpl_toolkits.mplot3d.proj3d import proj_transform

SLACK = 1.0  # pixels by which boxes may touch


def faults(figure: Figure) -> list[str]:
    """A line for each pair of texts that overlap, and for each text that is cut off."""
    figure.draw_without_rendering()
    boxes = [(text.get_text(), _box(text)) for text in _drawn(figure)]
    canvas = figure.bbox.padded(SLACK)
    found = [
        f'leaves the canvas: {words!r}'
        for words, box in boxes
        if not (canvas.contains(*box.min) and canvas.contains(*box.max))
    ]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        if a.padded(-SLACK).overlaps(b.padded(-SLACK)):
            found.append(f'overlap: {one!r} and {other!r}')
    return found


def _box(text: Text) -> Bbox:
    """Where a text is seen, in pixels; those of three dimensions where they are projected to."""
    if not isinstance(text, Text3D):
        return text.get_window_extent()
    x, y, _ = proj_transform(*text.get_position_3d(), text.axes.get_proj())
    flat = text.get_window_extent()
    at = text.get_transform().transform(Text.get_position(text))
    return flat.translated(*(text.get_transform().transform((x, y)) - at))


def _drawn(figure: Figure) -> list[Text]:
    """The texts that are seen: not those of ticks beyond an axis."""
    beyond = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not low - slack <= tick.get_loc() <= high + slack:
                beyond |= {tick.label1, tick.label2}
    hidden = {
        text
        for axes in figure.axes
        if not axes.get_visible() or not axes.axison
        for axis in (axes.xaxis, axes.yaxis)
        for text in axis.findobj(Text)
    }
    texts = figure.findobj(Text)
    return [
        text
        for text in texts
        if text.get_visible() and text.get_text().strip() and text not in beyond | hidden
    ]
