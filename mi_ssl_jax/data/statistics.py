"""Range, mean and standard deviation of the training examples, by channel or feature."""

import numpy as np

from mi_ssl_jax.core.statistics import Statistics

EXAMPLES = 2048  # evenly picked ones that are looked at
_FLAT = 1e-6  # a spread below this share of the largest value counts as none


def of(x: np.ndarray) -> Statistics:
    """Statistics along the last axis of examples (n, ..., C), of at most EXAMPLES of them.

    8-bit channels have the range 0 to 255, all others that of their values. A channel that does not
    vary has a deviation of 1, so that it becomes 0 and not NaN.
    """
    count = min(len(x), EXAMPLES)
    values = x[np.arange(count) * len(x) // count]
    flat = values.reshape(-1, values.shape[-1])
    low, high = flat.min(axis=0).astype(np.float64), flat.max(axis=0).astype(np.float64)
    size = np.maximum(np.abs(low), np.abs(high))
    mean = flat.mean(axis=0, dtype=np.float64)
    std = np.array([_deviation(flat[:, i], mean[i]) for i in range(len(mean))])
    varies = std > _FLAT * size
    if x.dtype == np.uint8:
        low, high = np.zeros_like(low), np.full_like(high, 255.0)
    high = np.where(high > low, high, low + 1)
    return Statistics(
        *(
            tuple(float(value) for value in column)
            for column in (low, high, mean, np.where(varies, std, 1.0))
        )
    )


def _deviation(values: np.ndarray, mean: float) -> float:
    return float(np.sqrt(np.mean((values.astype(np.float64) - mean) ** 2)))
