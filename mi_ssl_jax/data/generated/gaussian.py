"""The controlled experiment's data: five Gaussian clusters on the unit circle (paper, section
4.2).
"""

import numpy as np

from mi_ssl_jax.data import records
from mi_ssl_jax.data.splits import Resident, Split

CLUSTERS = 5
PER_CLUSTER = 500  # in the training set, and again in the independent validation set
SIGMA = 0.05  # standard deviation of each coordinate about its centre


def centres() -> np.ndarray:
    """The cluster centres mu_k = (cos 2 pi k / 5, sin 2 pi k / 5), k = 1, ..., 5: (5, 2)
    float32.
    """
    angle = 2 * np.pi * np.arange(1, CLUSTERS + 1) / CLUSTERS
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def draw(seed: int) -> Split:
    """PER_CLUSTER points a cluster in random order: x (2500, 2) float32, y (2500,) int32, label k -
    1.
    """
    random = np.random.RandomState(
        seed
    )  # RandomState: its stream is the same in every numpy version
    y = random.permutation(np.repeat(np.arange(CLUSTERS, dtype=np.int32), PER_CLUSTER))
    noise = SIGMA * random.standard_normal((len(y), 2))
    return Split((centres()[y] + noise).astype(np.float32), y)


def spec() -> records.Spec:
    """The mixture as a TFDS data set with the splits train and test (the paper's validation
    set).
    """
    return records.Spec(
        name='gaussian',
        version='1.0.0',
        homepage='https://arxiv.org/abs/2510.01345',
        citation='',
        description=(
            'Five Gaussian clusters of sigma 0.05 centred on the vertices of a regular pentagon.'
        ),
        features=lambda tfds: tfds.features.FeaturesDict(
            {
                'point': tfds.features.Tensor(shape=(2,), dtype=np.float32),
                'label': tfds.features.ClassLabel(num_classes=CLUSTERS),
            }
        ),
        shards={'train': [lambda: _examples(draw(0))], 'test': [lambda: _examples(draw(1))]},
        finish=lambda: None,
    )


def _examples(split: Split):
    for i, (point, label) in enumerate(zip(split.x, split.y)):
        yield i, {'point': point, 'label': int(label)}


def load(data_dir: str | None) -> Resident:
    """The prepared mixture; writes it at first use. `test` is the validation set; both hold 2,500
    points.
    """
    folder = records.write(spec(), data_dir)
    return Resident(
        'gaussian',
        _split(folder, 'train'),
        _split(folder, 'test'),
        (2,),
        tuple(str(k) for k in range(1, CLUSTERS + 1)),
        centres(),
    )


def _split(folder, name: str) -> Split:
    examples = records.read(folder, name)
    return Split(
        np.stack([e['point'] for e in examples]), np.array([e['label'] for e in examples], np.int32)
    )
