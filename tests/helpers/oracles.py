"""Slow, obvious float64 numpy versions of the library's mathematics: one loop or one formula
each."""

import math

import numpy as np


def unit(x, eps=1e-12):
    x = np.asarray(x, np.float64)
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), eps)


def standardise(x, eps):
    x = np.asarray(x, np.float64)
    return (x - x.mean(0)) / np.sqrt(x.var(0) + eps)


def cosine(za, zb, temperature):
    return unit(za) @ unit(zb).T / temperature


def negative_squared_distance(za, zb, temperature):
    return np.array(
        [[-np.sum((a - b) ** 2) / temperature for b in np.float64(zb)] for a in np.float64(za)]
    )


def off_diagonal(scores):
    """The N (N - 1) entries off the diagonal, as a list."""
    return [scores[i][j] for i in range(len(scores)) for j in range(len(scores)) if i != j]


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def log_mean_exp(values):
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values) / len(values))


def mean(values):
    return math.fsum(values) / len(values)


def dv(scores):
    return mean(np.diagonal(scores)) - log_mean_exp(off_diagonal(scores))


def infonce(scores):
    return mean([row[i] - log_mean_exp(row) for i, row in enumerate(scores)])


def jsd(scores):
    joint = -mean([softplus(-s) for s in np.diagonal(scores)])
    return joint - mean([softplus(s) for s in off_diagonal(scores)])


def nwj(scores):
    return mean(np.diagonal(scores)) - mean([math.exp(s - 1) for s in off_diagonal(scores)])


def taylor_dv(scores, variance_weight=0.5):
    negatives = off_diagonal(scores)
    centre = mean(negatives)
    return (
        mean(np.diagonal(scores))
        - centre
        - variance_weight * mean([(s - centre) ** 2 for s in negatives])
    )


def eq13(za, zb):
    c = np.float64(za).T @ np.float64(zb) / len(za)
    return -np.trace(c) + sum(s * s for s in off_diagonal(c))


BOUNDS = {'dv': dv, 'infonce': infonce, 'jsd': jsd, 'nwj': nwj, 'taylor_dv': taylor_dv}


def nn_angle_gaps(points):
    """(mean, min, max, population SD) of nearest-neighbour angles in degrees."""
    z = unit(points)
    angles = np.degrees(np.arccos(np.clip(z @ z.T, -1.0, 1.0)))
    gaps = [min(angles[i][j] for j in range(len(z)) if j != i) for i in range(len(z))]
    return np.mean(gaps), min(gaps), max(gaps), np.std(gaps)


def effective_rank(z):
    singular = np.linalg.svd(np.float64(z), compute_uv=False)
    p = [s / sum(singular) for s in singular]
    return math.exp(-sum(q * math.log(q) for q in p if q > 0))


def lidar(z, delta=1e-4):
    """Thilak et al. 2024, Eqs. 1 to 4, by whole covariance matrices; z (n, q, D)."""
    z = np.float64(z)
    n, q, width = z.shape
    means = [own.mean(axis=0) for own in z]
    centre = sum(means) / n
    between = sum(np.outer(m - centre, m - centre) for m in means) / (n - 1)
    within = delta * np.eye(width)
    for own, m in zip(z, means):
        for view in own:
            within = within + np.outer(view - m, view - m) / (n * (q - 1))
    values, vectors = np.linalg.eigh(within)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ between @ root)
    p = [max(value, 0.0) / sum(eigenvalues) for value in eigenvalues]
    return math.exp(-sum(own * math.log(own) for own in p if own > 0))


def alpha_req(z, first=4, last=100):
    """Agrawal et al. 2022: the line through log eigenvalue and log rank, with weights 1 / rank."""
    z = np.float64(z)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(z.T)))[::-1]
    ranks = np.arange(first, min(last, len(eigenvalues)) + 1)
    # polyfit weighs the distances, not their squares.
    slope, _ = np.polyfit(
        np.log(ranks), np.log(eigenvalues[ranks - 1]), deg=1, w=1 / np.sqrt(ranks)
    )
    return -slope


def alignment(za, zb):
    return mean([np.sum((a - b) ** 2) for a, b in zip(unit(za), unit(zb))])


def uniformity(z, t):
    z = unit(z)
    return log_mean_exp(off_diagonal([[-t * np.sum((a - b) ** 2) for b in z] for a in z]))


def numerical_gradient(function, x, step=1e-6):
    """Central differences of a scalar function of one float64 array."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def gaussian_pairs(generator, n, rho, dimension=1):
    """n samples of x, y, standard normal in each of `dimension` coordinates, correlated by rho."""
    x = generator.standard_normal((n, dimension))
    return x, rho * x + math.sqrt(1 - rho**2) * generator.standard_normal((n, dimension))


def gaussian_mi(rho, dimension=1):
    """True mutual information of `gaussian_pairs`, nats."""
    return -0.5 * dimension * math.log(1 - rho**2)


def gaussian_log_ratio(x, y, rho):
    """log p(x_i, y_j) / (p(x_i) p(y_j)): the optimal critic, (N, N), up to each bound's additive
    constant."""
    difference = ((y[None, :, :] - rho * x[:, None, :]) ** 2).sum(-1) / (1 - rho**2)
    return -0.5 * x.shape[1] * math.log(1 - rho**2) - 0.5 * (difference - (y**2).sum(-1)[None, :])


def cosdv_on_sphere(temperature):
    """Population cos-DV of identical views uniform on S^2: 1/t - log(t sinh(1/t))."""
    return 1 / temperature - math.log(temperature * math.sinh(1 / temperature))


def column(scores, j):
    """The entries of column j off the diagonal."""
    return [scores[i][j] for i in range(len(scores)) if i != j]


def tuba(scores, log_baseline):
    n = len(scores)
    joint = mean([scores[j][j] - log_baseline[j] for j in range(n)])
    return (
        1
        + joint
        - mean([math.exp(s - log_baseline[j]) for j in range(n) for s in column(scores, j)])
    )


def i_alpha(scores, log_baseline, alpha):
    def baseline(entries, j):
        return alpha * mean([math.exp(s) for s in entries]) + (1 - alpha) * math.exp(
            log_baseline[j]
        )

    n = len(scores)
    joint = mean([scores[j][j] - math.log(baseline(scores[:, j], j)) for j in range(n)])
    ratios = [
        mean([math.exp(s) for s in others]) / baseline(others, j)
        for j, others in enumerate(column(scores, j) for j in range(n))
    ]
    return 1 + joint - mean(ratios)


def smile(scores, clip):
    return mean(np.diagonal(scores)) - log_mean_exp(
        [min(clip, max(-clip, s)) for s in off_diagonal(scores)]
    )


def log_density(y, centre, log_variance):
    """Log density of one diagonal Gaussian at one point."""
    return sum(
        -0.5 * (math.log(2 * math.pi) + v + (a - m) ** 2 / math.exp(v))
        for a, m, v in zip(y, centre, log_variance, strict=True)
    )


def club(y, centre, log_variance):
    table = [
        [log_density(b, m, v) for b in np.float64(y)]
        for m, v in zip(centre, log_variance, strict=True)
    ]
    return mean(np.diagonal(table)) - mean([entry for row in table for entry in row])


def sinkhorn(scores, epsilon, iterations):
    q = np.exp(np.float64(scores) / epsilon)
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(0, keepdims=True) / q.shape[1]
        q = q / q.sum(1, keepdims=True) / q.shape[0]
    return q * q.shape[0]


def gaussian_plugin_mi(za, zb, eps=0.0):
    """MI of the Gaussian with the samples' covariance (1 / N) plus eps on the diagonal."""
    za, zb = np.float64(za), np.float64(zb)
    a, b, both = (
        np.linalg.slogdet(np.atleast_2d(np.cov(z.T, bias=True)) + eps * np.eye(z.shape[1]))[1]
        for z in (za, zb, np.concatenate([za, zb], axis=1))
    )
    return 0.5 * (a + b - both)
