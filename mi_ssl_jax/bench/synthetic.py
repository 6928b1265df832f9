"""Made-up images, prepared like real ones, for measuring where the real ones are not at hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ml_collections import ConfigDict

from mi_ssl_jax.augment import recipes
from mi_ssl_jax.data import images, records

NAME, CLASSES = 'made_up', 10
STREAMED = (375, 500)  # the commonest size of an ImageNet photograph
_DISTINCT = 64  # pictures that are drawn; the records repeat them


def replace_data(config: ConfigDict, folder: Path) -> ConfigDict:
    """The configuration on made-up images, a few batches of them, which are written into `folder`.

    PNG of the views' side or of data.short_side; for streamed data JPEG of a photograph's size.
    ValueError for data that are no RGB images: those prepare themselves.
    """
    known = recipes.IMAGES.get(config.views.options.get('data'))
    if known is None:
        raise ValueError(
            f'--synthetic makes RGB images, and {config.data.name} needs none: leave it out'
        )
    side = config.data.short_side or known.size
    height, width = STREAMED if config.data.streamed else (side, side)
    sizes = {
        'train': max(4 * config.batch_size, config.data.limit, 1024),
        'test': max(config.mi.examples, 64),
    }
    _write(folder, height, width, sizes, jpeg=config.data.streamed)
    changed = config.copy_and_resolve_references()
    changed.data.name, changed.data.dir = NAME, str(folder)
    return changed


def _write(folder: Path, height: int, width: int, sizes: dict[str, int], *, jpeg: bool) -> None:
    random = np.random.RandomState(0)
    pictures = [_picture(random, height, width, jpeg=jpeg) for _ in range(_DISTINCT)]

    def examples(count: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for i in range(count):
            yield i, {'image': pictures[i % _DISTINCT], 'label': i % CLASSES}

    def features(tfds: Any) -> Any:
        return tfds.features.FeaturesDict(
            {
                'image': tfds.features.Image(shape=(height, width, 3)),
                'label': tfds.features.ClassLabel(num_classes=CLASSES),
            }
        )

    shards = {split: [lambda count=count: examples(count)] for split, count in sizes.items()}
    spec = records.Spec(NAME, '1.0.0', 'Made-up images.', '', '', features, shards, lambda: None)
    records.write(spec, folder)


def _picture(random: np.random.RandomState, height: int, width: int, *, jpeg: bool) -> bytes:
    """Smooth blobs with a little noise, which compress about as photographs do."""
    coarse = random.randint(0, 256, (8, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(picture + random.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    return cv2.imencode('.jpg', picture)[1].tobytes() if jpeg else images.encode_png(picture)
