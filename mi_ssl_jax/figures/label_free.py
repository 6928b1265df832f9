"""Figures by which an encoder is judged without labels: their names, and which way is better."""

from typing import NamedTuple

import numpy as np


class Figure(NamedTuple):
    """label: in tables and pictures. better: what to look for. target: the value that is best,
    where it is neither the highest nor the lowest.
    """

    label: str
    better: str  # 'higher', 'lower' or 'near TARGET'
    target: float | None = None


# Measured where the configuration asks for them, beside mutual information.
FIGURES = {
    'rankme': Figure('RankMe', 'higher'),
    'lidar': Figure('LiDAR', 'higher'),
    'alpha_req': Figure('α-ReQ', 'near 1', 1.0),
    'alignment': Figure('alignment', 'lower'),
    'uniformity': Figure('uniformity', 'lower'),
}


def promise(figure: Figure, values: np.ndarray) -> np.ndarray:
    """The values as a promise of a better encoder: the higher the better."""
    values = np.asarray(values, float)
    if figure.target is not None:
        return -np.abs(values - figure.target)
    return values if figure.better == 'higher' else -values
