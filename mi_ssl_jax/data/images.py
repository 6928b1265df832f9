"""Image bytes: checked, decoded, encoded and resized with OpenCV (no TensorFlow)."""

import re
from typing import Any, NamedTuple

import cv2
import numpy as np

from mi_ssl_jax.data import faults

cv2.setNumThreads(0)  # images are decoded by many threads or processes already
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # errors name the file themselves

_NEXT_MARKER = re.compile(
    rb'\xff[^\x00\xd0-\xd7\xff]'
)  # in a JPEG scan: not stuffing, not a restart
_JPEG_START = b'\xff\xd8'
_MANY = (b'II*\0', b'MM\0*', b'GIF8')  # TIFF and GIF files may hold several images
_PNG_SIGNATURE, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'


def decode(data: bytes, channels: int, *, dtype: Any = np.uint8) -> np.ndarray:
    """(H, W, channels) pixels of an encoded image: RGB for 3 channels, grey for 1.

    dtype: np.uint8, to which images of more bits are reduced, or np.uint16, which keeps them.
    The orientation tag is not applied, as in TFDS and torchvision. Raises ValueError if it is no
    image, or has other than 16 bits where these are kept.
    """
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    flag |= cv2.IMREAD_ANYDEPTH if dtype == np.uint16 else 0
    if not data:
        raise ValueError('empty file')
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except (cv2.error, MemoryError) as error:
        raise ValueError(f'not an image that can be decoded ({_said(error)})') from None
    if image is None:
        raise ValueError('not an image that can be decoded')
    if image.dtype != dtype:
        raise ValueError(f'it has {8 * image.itemsize} bits a channel, not 16')
    return image[..., None] if channels == 1 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _said(error: Exception) -> str:
    """Return OpenCV's message without its file and line."""
    said = getattr(error, 'err', '') or faults.line(error)
    if 'CV_IO_MAX_IMAGE' in said:
        return 'its header says that it is too large'
    return faults.shown(said.strip())[:100]


def encode_png(image: np.ndarray) -> bytes:
    """Lossless bytes of (H, W, 3) RGB or (H, W, 1) grey pixels of 8 or 16 bits."""
    if image.shape[-1] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode('.png', image)[1].tobytes()


class Pixels(NamedTuple):
    """Channels (3: RGB, 1: grey) and type of the images of a set."""

    channels: int
    dtype: np.dtype


RGB = Pixels(3, np.dtype(np.uint8))


def feature(tfds: Any, kind: Pixels, size: int | None = None) -> Any:
    """The TFDS feature of encoded images of this kind. size: their side, None where it differs."""
    shape = (size, size, kind.channels)
    if kind == RGB:
        return tfds.features.Image(shape=shape, encoding_format='jpeg')
    return tfds.features.Image(shape=shape, dtype=kind.dtype, encoding_format='png')


def pixels(data: bytes) -> Pixels:
    """How a set is stored whose first image this is: 16-bit images keep their bits, grey or RGB;
    all others are 8-bit RGB, as are files that cannot be decoded.
    """
    found = _raw(data)
    if found is None or found.dtype != np.uint16:
        return RGB
    return Pixels(1 if found.ndim == 2 else 3, found.dtype)


def _raw(data: bytes) -> np.ndarray | None:
    """The image with its own channels and bits; None of JPEG, which has 8, and of no image."""
    if not data or data.startswith(_JPEG_START):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        return None


def checked(data: bytes, kind: Pixels, *, size: int | None = None) -> bytes:
    """The bytes of one image file as they are to be stored: sound, and of this kind.

    JPEG files of three channels stay as they are. All others (grey, CMYK, PNG, ...) become lossless
    PNG of the kind.
    size: the width and height that the image must have; None for any.
    Raises ValueError, saying what is wrong, for empty, truncated and undecodable files, the wrong
    size, and images of other bits or, at 16 bits, channels than the set's.
    """
    found = _raw(data)
    if found is not None and found.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'{found.dtype} pixels: give such images as arrays, in a .npy file')
    if kind == RGB and (found is None or found.dtype == np.uint8):
        return checked_rgb(data, size=size)
    _check_whole(data)
    image = decode(data, kind.channels, dtype=kind.dtype)  # raises where it is no image at all
    if pixels(data) != kind:
        words = (_words(own) for own in (pixels(data), kind))
        raise ValueError('{}, but the first image of the set is {}'.format(*words))
    if size is not None and image.shape[:2] != (size, size):
        raise ValueError(_wrong_size(image, size))
    return encode_png(image)


def _words(kind: Pixels) -> str:
    return f'{"grey" if kind.channels == 1 else "RGB"} of {8 * kind.dtype.itemsize} bits'


def checked_rgb(data: bytes, *, size: int | None) -> bytes:
    """`checked` for 8-bit RGB; images of more bits are reduced to 8."""
    is_jpeg = data.startswith(_JPEG_START)
    channels = _jpeg_channels(data) if is_jpeg else None
    if is_jpeg and channels is None:
        raise ValueError('truncated')  # some versions of OpenCV fill the missing part with grey
    _check_whole(data)
    image = decode(data, 3)
    if size is not None and image.shape != (size, size, 3):
        raise ValueError(_wrong_size(image, size))
    return data if channels == 3 else encode_png(image)


def _check_whole(data: bytes) -> None:
    """Raises ValueError for a PNG that breaks off and for a file of several images."""
    if data.startswith(_PNG_SIGNATURE) and _PNG_END not in data:
        raise ValueError('truncated')
    if data.startswith(_MANY) and (count := _count(data)) > 1:
        raise ValueError(f'holds {count} images: one a file is needed')


def _wrong_size(image: np.ndarray, size: int) -> str:
    return f'{image.shape[1]}x{image.shape[0]} pixels instead of {size}x{size}'


def _count(data: bytes) -> int:
    """Images in a TIFF or GIF file, as far as they can be decoded."""
    try:
        return len(cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)[1])
    except cv2.error:
        return 0


def _jpeg_channels(data: bytes) -> int | None:
    """Number of colour components of a JPEG file; None when it breaks off before its end marker."""
    position, channels = 2, None
    while position + 2 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:  # filler between segments
            position += 1
            continue
        if marker == 0xD9:
            return channels
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and position + 9 < len(data):
            channels = data[
                position + 9
            ]  # the frame header: length, precision, height, width, components
        position += 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
        if marker == 0xDA:  # compressed pixels follow the scan header up to the next marker
            following = _NEXT_MARKER.search(data, position)
            if following is None:
                return None
            position = following.start()
    return None


def square(image: np.ndarray, side: int, *, offset: float) -> np.ndarray:
    """A (side, side, C) square of an image: cut from its long side, then resized without aliasing.

    offset: where the square lies along the longer side, 0 (top or left) to 1 (bottom or right).
    """
    height, width = image.shape[:2]
    shorter = min(height, width)
    top, left = round(offset * (height - shorter)), round(offset * (width - shorter))
    region = image[top : top + shorter, left : left + shorter]
    if shorter == side:
        return region
    area = (
        cv2.INTER_AREA if side < shorter else cv2.INTER_CUBIC
    )  # area averaging is the antialiased choice
    return cv2.resize(region, (side, side), interpolation=area).reshape(side, side, -1)
