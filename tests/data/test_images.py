"""Image bytes: what is accepted, what is refused and why, and the antialiased resize, against
Pillow."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mi_ssl_jax.data import images


def picture(height=48, width=64, channels=3, seed=0):
    """A smooth random uint8 picture, so that JPEG keeps it closely."""
    coarse = np.random.RandomState(seed).randint(0, 256, (6, 8, channels)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(
        height, width, channels
    )


def encoded(array, mode, kind, **options):
    file = io.BytesIO()
    Image.fromarray(array.squeeze(), mode).save(file, kind, **options)
    return file.getvalue()


JPEGS = {
    'baseline': encoded(picture(), 'RGB', 'JPEG', quality=90),
    'progressive': encoded(picture(), 'RGB', 'JPEG', quality=90, progressive=True),
    'restarts': encoded(picture(), 'RGB', 'JPEG', quality=90, restart_marker_blocks=2),
    'thumbnail': encoded(
        picture(), 'RGB', 'JPEG', exif=b'Exif\0\0' + encoded(picture(6, 8), 'RGB', 'JPEG')
    ),
}


@pytest.mark.parametrize('kind', JPEGS)
def test_rgb_jpeg_is_kept_byte_for_byte(kind):
    assert images.checked_rgb(JPEGS[kind], size=None) == JPEGS[kind]
    assert (
        images.checked_rgb(JPEGS[kind] + b'\0\0trailing', size=None)
        == JPEGS[kind] + b'\0\0trailing'
    )


@pytest.mark.parametrize('kind', JPEGS)
def test_every_truncation_of_a_jpeg_is_found(kind):
    data = JPEGS[kind]
    for length in np.unique(np.linspace(2, len(data) - 1, 40).astype(int)):
        with pytest.raises(ValueError, match='truncated'):
            images.checked_rgb(data[:length], size=None)


def test_truncated_png_is_found():
    data = images.encode_png(picture())
    for length in (9, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match='truncated'):
            images.checked_rgb(data[:length], size=None)


@pytest.mark.parametrize(
    'data,reason',
    [
        (b'', 'empty file'),
        (b'<html>not found</html>', 'not an image'),
        (b'\xff\xd8\xff\xd9', 'truncated'),
        (images.encode_png(picture(32, 64)), '64x32 pixels instead of 64x64'),
    ],
)
def test_what_is_no_image_is_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        images.checked_rgb(data, size=64)


def test_lossless_formats_become_rgb_png_exactly():
    grey, colour = picture(channels=1), picture()
    rgba = np.concatenate([colour, np.full_like(grey, 200)], axis=-1)
    for data, expected in (
        (encoded(grey, 'L', 'PNG'), np.repeat(grey, 3, axis=-1)),
        (encoded(colour, 'RGB', 'PNG'), colour),
        (encoded(colour, 'RGB', 'BMP'), colour),
        (encoded(rgba, 'RGBA', 'PNG'), colour),
    ):
        stored = images.checked_rgb(data, size=None)
        assert stored.startswith(b'\x89PNG')
        np.testing.assert_array_equal(images.decode(stored, 3), expected)


@pytest.mark.parametrize('mode,channels', [('L', 1), ('CMYK', 4)])
def test_grey_and_cmyk_jpeg_become_rgb_as_pillow_sees_them(mode, channels):
    data = encoded(picture(channels=channels), mode, 'JPEG', quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert('RGB'))
    stored = images.checked_rgb(data, size=None)
    assert Image.open(io.BytesIO(stored)).mode == 'RGB'
    # JPEG decoders may differ by one level a channel, and the conversion from CMYK rounds twice
    # more.
    np.testing.assert_allclose(images.decode(stored, 3).astype(int), expected, atol=3)


def test_orientation_tag_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by a quarter turn
    data = encoded(picture(48, 64), 'RGB', 'JPEG', exif=exif)
    assert images.decode(data, 3).shape == (48, 64, 3)


@pytest.mark.parametrize(
    'shape,side,offset,box',
    [
        ((48, 64), 16, 0.5, (8, 0, 56, 48)),
        ((48, 64), 16, 0.0, (0, 0, 48, 48)),
        ((80, 48), 12, 1.0, (0, 32, 48, 80)),
    ],
)
def test_square_averages_the_right_region(shape, side, offset, box):
    """For a whole-number factor the antialiased result is the mean of each block."""
    image = picture(*shape)
    left, top, right, bottom = box
    factor = (right - left) // side
    blocks = image[top:bottom, left:right].reshape(side, factor, side, factor, 3)
    np.testing.assert_allclose(
        images.square(image, side, offset=offset), blocks.mean(axis=(1, 3)), atol=0.51
    )


def test_square_of_the_same_size_is_the_image():
    np.testing.assert_array_equal(images.square(picture(48, 48), 48, offset=0.3), picture(48, 48))
    assert images.square(picture(8, 8, 1), 4, offset=0.5).shape == (4, 4, 1)
    assert images.square(picture(20, 30), 64, offset=0.5).shape == (64, 64, 3)
