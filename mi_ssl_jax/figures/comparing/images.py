"""Pictures of runs, made small enough to stand in the page itself."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

WIDTHS = (1400, 1000, 760, 560, 420, 300, 220)  # pixels, from the sharpest on
QUALITY = 78
DENSITY = 0.03  # bytes of base64 a pixel: few curves take less
LARGEST = 50_000_000  # pixels of a file that is opened


class Small(NamedTuple):
    """A picture as a data: address, and its size in pixels."""

    address: str
    width: int
    height: int


def small(path: Path, most: int) -> Small:
    """The picture, as large as fits `most` bytes; the smallest width where none fits.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > LARGEST:
                raise ValueError(f'{opened.width} x {opened.height} pixels are too many')
            whole = opened.convert('RGB')
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f'cannot read {path}: {error}') from error
    text, copy = '', whole
    largest = max((most / DENSITY * whole.width / whole.height) ** 0.5, WIDTHS[-1])
    for width in WIDTHS:
        if width > largest:
            continue
        copy = whole.copy()
        copy.thumbnail((width, 3 * width), Image.Resampling.LANCZOS, reducing_gap=2)
        file = io.BytesIO()
        copy.save(file, 'WEBP', quality=QUALITY)
        text = base64.b64encode(file.getvalue()).decode()
        if len(text) <= most:
            break
        # Bytes grow more slowly than the area: what is wider than this does not fit either.
        largest = max(copy.width * (most / len(text)) ** 0.5 * 1.3, WIDTHS[-1])
    return Small(f'data:image/webp;base64,{text}', copy.width, copy.height)
