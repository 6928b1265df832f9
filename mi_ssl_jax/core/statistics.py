"""What is known of the values of a training set; without JAX, for data and views alike."""

from typing import NamedTuple


class Statistics(NamedTuple):
    """Range, mean and standard deviation of a training set, one number a channel or feature."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
