"""Real handwritten digits: the 8x8 grey images in scikit-learn (UCI, 1,797 examples, no
download).
"""

import cv2
import numpy as np

from mi_ssl_jax.data import records
from mi_ssl_jax.data.splits import Resident, Split

TRAIN = 1437  # the other 360 are held out


def original() -> Split:
    """Load all digits in scikit-learn's order: x (1797, 8, 8, 1) uint8, grey levels 0..16 times
    255/16.
    """
    from sklearn.datasets import load_digits  # a second to import; needed only to write the records

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return Split(images[..., None], bunch.target.astype(np.int32))


def spec() -> records.Spec:
    """The digits as a TFDS data set, split by one fixed permutation."""
    order = np.random.RandomState(0).permutation(
        1797
    )  # RandomState: the same in every numpy version
    return records.Spec(
        name='digits',
        version='1.0.0',
        homepage='https://archive.ics.uci.edu/dataset/80',
        citation='',
        description='Handwritten digits, 8x8 grey: the copy of the UCI test set in scikit-learn.',
        features=lambda tfds: tfds.features.FeaturesDict(
            {
                'image': tfds.features.Image(shape=(8, 8, 1), encoding_format='png'),
                'label': tfds.features.ClassLabel(num_classes=10),
            }
        ),
        shards={
            'train': [lambda: _examples(order[:TRAIN])],
            'test': [lambda: _examples(order[TRAIN:])],
        },
        finish=lambda: None,
    )


def _examples(chosen: np.ndarray):
    digits = original()
    for i in chosen:
        png = cv2.imencode('.png', digits.x[i])[
            1
        ].tobytes()  # bytes: TFDS encodes arrays through TensorFlow
        yield int(i), {'image': png, 'label': int(digits.y[i])}


def load(data_dir: str | None) -> Resident:
    """The prepared digits (1,437 and 360); writes them at first use."""
    folder = records.write(spec(), data_dir)
    return Resident(
        'digits',
        _split(folder, 'train'),
        _split(folder, 'test'),
        (8, 8, 1),
        tuple(str(k) for k in range(10)),
        None,
    )


def _split(folder, name: str) -> Split:
    examples = records.read(folder, name)
    return Split(
        np.stack([e['image'] for e in examples]), np.array([e['label'] for e in examples], np.int32)
    )
