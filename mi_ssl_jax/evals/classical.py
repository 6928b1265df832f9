"""Mutual information without a learned critic: nearest neighbours, and canonical correlations of a
shrunk covariance. In nats and float64, of standardised samples.
"""

import numpy as np
from scipy import spatial, special

NEIGHBOURS = 3  # k: the least that the source advises, and scikit-learn's


def ksg(x: np.ndarray, y: np.ndarray, *, neighbours: int = NEIGHBOURS) -> float:
    """Estimate I(x; y) by distances to nearest neighbours (Kraskov et al. 2004, Eq. 8).

    psi(k) + psi(N) - mean(psi(nx + 1) + psi(ny + 1)): nx, ny count the other samples that are
    nearer in x, or in y, than the k-th neighbour is in (x, y), by the largest difference of a
    coordinate.

    Args:
        x: (N, Dx) samples, one row each; scales of columns matter.
        y: (N, Dy) samples; row i belongs to row i of `x`.
        neighbours: k.

    Returns:
        Nats; may be a little below 0.

    Raises:
        ValueError: N <= k.
    """
    n = len(x)
    if n <= neighbours:
        raise ValueError(f'{n} samples have no {neighbours} neighbours each: give more')
    both = np.concatenate([x, y], axis=1)
    reach = spatial.cKDTree(both).query(both, neighbours + 1, p=np.inf)[0][:, -1]
    inside = np.nextafter(reach, 0)  # strictly nearer
    mean = np.mean([special.digamma(_nearer(one, inside)) for one in (x, y)], axis=1)
    return float(special.digamma(n) + special.digamma(neighbours) - mean.sum())


def _nearer(x: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Samples (N,) within a radius (N,) of each sample, itself among them."""
    return spatial.cKDTree(x).query_ball_point(x, radius, p=np.inf, return_length=True)


def cca(x: np.ndarray, y: np.ndarray) -> float:
    """Estimate I(x; y) of Gaussian samples by canonical correlations of a shrunk covariance.

    -1/2 sum log(1 - rho^2), computed as log determinants; the covariance of (x, y) is drawn towards
    a multiple of the identity by `shrinkage`, so that it works with fewer samples than dimensions.

    Args:
        x: (N, Dx) samples, one row each.
        y: (N, Dy) samples; row i belongs to row i of `x`.

    Returns:
        Nats; finite even where a column of x is one of y's, whose information is infinite.
    """
    both = np.concatenate([x, y], axis=1)
    both = both - both.mean(axis=0)
    share, size = shrinkage(both), both.shape[1]
    covariance = both.T @ both / len(both)
    target = np.trace(covariance) / size * np.eye(size)
    covariance = (1 - share) * covariance + share * target
    width = x.shape[1]
    logs = [
        np.linalg.slogdet(block)[1]
        for block in (covariance[:width, :width], covariance[width:, width:], covariance)
    ]
    return float(0.5 * (logs[0] + logs[1] - logs[2]))


def shrinkage(x: np.ndarray) -> float:
    """Share of the identity in a covariance (Ledoit & Wolf 2004, section 3.2).

    Args:
        x: (N, D) samples of mean 0.

    Returns:
        In [0, 1]: the estimated error of the sample covariance over its distance to the target.
    """
    n, size = x.shape
    covariance = x.T @ x / n
    squares = np.sum(np.square(covariance))
    distance = squares - np.trace(covariance) ** 2 / size  # |S - m I|^2 with m = tr S / D
    error = (np.mean(np.sum(np.square(x), axis=1) ** 2) - squares) / n
    return float(np.clip(error / distance, 0, 1)) if distance > 0 else 1.0
