"""Tasks of known mutual information: their true values by independent means, and their samplers
against them."""

import chex
import jax
import numpy as np
import pytest
from scipy import integrate, stats

from mi_ssl_jax.core import gaussian_entropy
from mi_ssl_jax.data import known_mi
from mi_ssl_jax.data.known_mi import families, truth
from mi_ssl_jax.figures import run_files
from tests.helpers import tiny

ONE_OF_EACH = [
    'gaussian_3x3_1nats',
    'independent_1x1',
    'gaussian_sparse_1x1',
    'gaussian_dense_25x25',
    'student_1x1_dof1_asinh',
    'generalised_5x5_beta0.5',
    'uniform_noise_1x1_width0.75',
    'mixture_cross_1x1',
    'gaussian_sparse_1x1_half_cube',
    'gaussian_sparse_5x5_spiral',
    'gaussian_dense_5x1',
    'wiggly_1x1',
    'bimodal_1x1',
    'swiss_roll_2x1',
    'waves_1x1',
    'galaxy_2x1',
    'embeddings_labels_16x10',
]
GRID = np.linspace(-14, 14, 1401)


@pytest.fixture(autouse=True)
def quick_compilation():
    with tiny.hardly_optimised():
        yield


def draw(name, n, seed=0):
    return known_mi.load(name).sample(jax.random.key(seed), n)


def on_grid(log_density):
    """I(x; y) in float64 from log p(x, y) on a square grid alone: the marginals are its row and
    column sums."""
    x, y = np.meshgrid(GRID, GRID, indexing='ij')
    joint = np.exp(log_density(x, y))
    joint /= joint.sum()
    log_independent = np.add.outer(
        *(np.log(np.maximum(joint.sum(axis=axis), 1e-300)) for axis in (1, 0))
    )
    inside = joint > 0
    return np.sum(joint[inside] * (np.log(joint[inside]) - log_independent[inside]))


def squares(x, y, rho):
    return (x**2 - 2 * rho * x * y + y**2) / (1 - rho**2)


# True values
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('rho', [0.0, 0.5, 0.9])
def test_gaussian_against_a_grid(rho):
    expected = on_grid(lambda x, y: -0.5 * squares(x, y, rho))
    np.testing.assert_allclose(truth.gaussian(families.dense(1, rho), 1).mi, expected, atol=1e-10)


def test_gaussian_of_many_dimensions():
    pair = -0.5 * np.log(1 - 0.8**2)
    assert truth.gaussian(families.sparse(25, 0.8, pairs=2), 25).mi == pytest.approx(
        2 * pair, rel=1e-12
    )
    assert truth.gaussian(families.of_information(3, 4.0), 3).mi == pytest.approx(4.0, rel=1e-12)
    # Equicorrelated: det of d variables = (1 - rho)^(d - 1) (1 + (d - 1) rho).
    expected = 0.5 * np.log((1 + 24 * 0.5) ** 2 / ((1 - 0.5) * (1 + 49 * 0.5)))
    assert truth.gaussian(families.dense(25, 0.5), 25).mi == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('dof, dx, dy', [(1, 1, 1), (2, 2, 2), (3, 1, 4), (5, 5, 5)])
def test_student_closed_form_against_quadrature_over_radii(dof, dx, dy):
    value = truth.elliptical(
        lambda u: -(dof + dx + dy) / 2 * np.log1p(np.exp(2 * u) / dof),
        dx,
        dy,
        highest=40.0,
        step=0.08,
    )
    assert value.error < 1e-9
    np.testing.assert_allclose(truth.student(dof, dx, dy).mi, value.mi, atol=1e-9)


def test_student_with_many_degrees_of_freedom_is_gaussian():
    added = [truth.student(dof, 3, 3).mi for dof in (1, 10, 100, 1e4)]
    assert added == sorted(added, reverse=True) and 0 < added[-1] < 1e-6


@pytest.mark.parametrize('beta, rho', [(0.5, 0.0), (1, 0.6), (2, 0.6), (4, 0.0)])
def test_generalised_gaussian_against_a_grid(beta, rho):
    def log_density(x, y):
        scale = (
            1 if beta > 0.5 else 9.0
        )  # narrower, since tails of exp(-r / 2) would leave the grid
        return -0.5 * (scale * squares(x, y, rho)) ** beta

    expected = truth.gaussian(families.dense(1, rho), 1).mi + truth.generalised(beta, 1, 1).mi
    # The grid's own error: a kink at the origin for beta = 0.5, tails cut at 14.
    np.testing.assert_allclose(on_grid(log_density), expected, atol=1e-4 if beta == 0.5 else 1e-7)


@pytest.mark.parametrize('dimension', [1, 5])
def test_generalised_gaussian_of_beta_1_is_gaussian(dimension):
    value = truth.generalised(1.0, dimension, dimension)
    assert abs(value.mi) < 1e-9 and value.error < 1e-9


@pytest.mark.parametrize('width', [0.1, 0.4, 0.5, 0.75, 2.0])
def test_uniform_noise_against_quadrature(width):
    def density(y):  # of y: the share of [y - width, y + width] inside [0, 1]
        return max(0.0, min(1.0, y + width) - max(0.0, y - width)) / (2 * width)

    corners = sorted({-width, width, 1 - width, 1 + width})
    entropy = sum(
        integrate.quad(lambda y: -density(y) * np.log(max(density(y), 1e-300)), low, high)[0]
        for low, high in zip(corners, corners[1:])
    )
    np.testing.assert_allclose(
        truth.uniform_noise(width).mi, entropy - np.log(2 * width), atol=1e-8
    )


def test_mixtures_by_quadrature_and_by_sampling():
    one = truth.Mixture(np.ones(1), np.full((1, 2), 0.3), families.dense(1, 0.7)[None])
    np.testing.assert_allclose(
        truth.mixture_quadrature(one).mi, -0.5 * np.log(1 - 0.7**2), atol=1e-10
    )
    quadrature = truth.mixture_quadrature(families.cross(0.9))
    sampled = truth.mixture_monte_carlo(families.cross(0.9), 1)
    assert quadrature.error < 1e-8 and sampled.error < 1e-3
    assert abs(quadrature.mi - sampled.mi) < 4 * sampled.error


def test_the_papers_clusters_have_the_papers_information():
    task = known_mi.load('mixture_clusters_2x2')
    assert task.error < 5e-4
    assert abs(task.mi - run_files.paper()['true_mi']['nats']) < 4 * np.hypot(task.error, 0.0002)


# Samplers
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', known_mi.NAMES)
def test_every_task_has_its_truth_with_its_error(name):
    task = known_mi.load(name)
    assert 0 <= task.mi < 5 and 0 <= task.error < 1e-3
    assert (task.mi == 0) == ('independent' in name)
    assert f'_{task.dx}x{task.dy}' in name


@pytest.mark.parametrize('name', ONE_OF_EACH)
def test_samples(name):
    task = known_mi.load(name)
    sample = jax.jit(task.sample, static_argnums=1)
    x, y = sample(jax.random.key(0), 50)
    chex.assert_shape([x, y], [(50, task.dx), (50, task.dy)])
    chex.assert_type([x, y], np.float32)
    chex.assert_tree_all_finite((x, y))
    chex.assert_trees_all_equal(sample(jax.random.key(0), 50), (x, y))
    assert not np.array_equal(x, sample(jax.random.key(1), 50)[0])


@pytest.mark.parametrize(
    'name',
    [
        'gaussian_sparse_5x5',
        'gaussian_dense_5x5',
        'generalised_5x5_beta0.5',
        'generalised_1x1_beta8',
    ],
)
def test_covariance(name):
    size = 1 if '1x1' in name else 5
    expected = families.dense(5, 0.5) if 'dense' in name else families.sparse(size, 0.8, pairs=2)
    # Standard error 0.005 for the Gaussian, twice that for the heaviest tails.
    np.testing.assert_allclose(np.cov(np.hstack(draw(name, 50_000)).T), expected, atol=0.05)


def test_student_samples_have_the_law_of_their_truth():
    x, y = np.float64(draw('student_2x2_dof2', 20_000))
    scale, z = families.sparse(2, 0.8, pairs=2), np.hstack([x, y])
    ratio = stats.multivariate_t(shape=scale, df=2).logpdf(z) - sum(
        stats.multivariate_t(shape=np.eye(2), df=2).logpdf(half) for half in (x, y)
    )
    mi = known_mi.load('student_2x2_dof2').mi
    assert abs(ratio.mean() - mi) < 4 * ratio.std() / np.sqrt(len(ratio))
    radius = np.einsum('ni,ij,nj->n', z, np.linalg.inv(scale), z) / 4
    assert stats.kstest(radius, stats.f(4, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize('beta', known_mi.BETAS)
def test_generalised_samples_have_their_radial_law(beta):
    z = np.float64(np.hstack(draw(f'generalised_5x5_beta{beta:g}', 20_000)))
    radius = np.einsum('ni,ij,nj->n', z, np.linalg.inv(families.sparse(5, 0.8, pairs=2)), z) ** 0.5
    # r = a (2 G)^(1 / (2 beta)), G of the Gamma law: a generalised gamma law of mean square D.
    law = stats.gengamma(5 / beta, 2 * beta)
    assert stats.kstest(radius * np.sqrt(law.moment(2) / 10), law.cdf).pvalue > 1e-3


def test_mixture_samples_have_the_law_of_their_truth():
    for name, parts in (
        ('mixture_cross_1x1', families.cross(0.9)),
        ('mixture_clusters_2x2', families.clusters(count=5, sigma=0.05, noise=0.1)),
    ):
        task, z = known_mi.load(name), np.float64(np.hstack(draw(name, 20_000)))
        ratio, _ = truth._log_ratio(parts, z, task.dx)
        assert abs(ratio.mean() - task.mi) < 4 * ratio.std() / np.sqrt(len(ratio))


def test_uniform_samples():
    x, y = np.float64(draw('uniform_noise_1x1_width0.1', 20_000))
    assert stats.kstest(x[:, 0], stats.uniform().cdf).pvalue > 1e-3
    assert stats.kstest((y - x)[:, 0], stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    'name, base, inverse',
    [
        (
            'gaussian_sparse_5x5_spiral',
            'gaussian_sparse_5x5',
            lambda z: families.spiral(z, speed=-1 / 3),
        ),
        (
            'gaussian_sparse_1x1_half_cube',
            'gaussian_sparse_1x1',
            lambda z: np.sign(z) * np.abs(z) ** (2 / 3),
        ),
        ('student_2x2_dof2_asinh', 'student_2x2_dof2', np.sinh),
    ],
)
def test_transforms_can_be_undone(name, base, inverse):
    maps, plain = draw(name, 1000), draw(base, 1000)
    assert not np.allclose(maps[0], plain[0], rtol=0.1)
    for mapped, original in zip(maps, plain):
        np.testing.assert_allclose(inverse(mapped), original, rtol=1e-4, atol=1e-4)
    assert known_mi.load(name).mi == known_mi.load(base).mi


def test_spiral_is_a_rotation_by_the_squared_radius():
    x = np.float32([[1.0, 0.0, 2.0]])
    expected = [[np.cos(2.5), np.sin(2.5), 2.0]]
    np.testing.assert_allclose(families.spiral(x, speed=0.5), expected, rtol=1e-6)


# Second-order mutual information
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'name',
    [
        'gaussian_3x3_0.5nats',
        'gaussian_3x3_1nats',
        'gaussian_3x3_2nats',
        'gaussian_sparse_1x1',
        'gaussian_sparse_5x5',
        'gaussian_dense_5x5',
        'independent_5x5',
    ],
)
def test_gaussian_mi_within_two_hundredths_of_the_truth(name):
    actual = gaussian_entropy.gaussian_mi(*draw(name, 20_000), eps=0.0)
    np.testing.assert_allclose(actual, known_mi.load(name).mi, atol=0.02)


def test_unknown_name():
    with pytest.raises(ValueError, match="no task 'gauss'; there are gaussian_3x3_0.5nats"):
        known_mi.load('gauss')


# The tasks of several shapes
# --------------------------------------------------------------------------------------------------


def test_marginals_of_the_maps():
    """Uniform by Phi; a mixture's quantiles; the swiss roll's radius over its angle."""
    x, y = np.float64(draw('normal_cdf_1x1', 20_000))
    assert stats.kstest(x[:, 0], stats.uniform().cdf).pvalue > 1e-3
    x, y = np.float64(draw('bimodal_1x1', 20_000))
    law = [stats.norm(-2, 0.5), stats.norm(2, 0.5)]
    levels = 0.3 * law[0].cdf(y[:, 0]) + 0.7 * law[1].cdf(y[:, 0])
    assert stats.kstest(levels, stats.uniform().cdf).pvalue > 1e-3
    x = np.float64(draw('swiss_roll_2x1', 20_000)[0])
    turns = np.linalg.norm(x, axis=1) * 21 / (1.5 * np.pi)  # 1 + 2 u
    assert stats.kstest((turns - 1) / 2, stats.uniform().cdf).pvalue > 1e-3


def test_one_dimensional_maps_increase():
    """So that they are invertible and change no mutual information."""
    grid = np.linspace(-6, 6, 2001, dtype=np.float32)[:, None]
    for name in ('wiggly', 'bimodal'):
        assert np.all(np.diff(np.asarray(getattr(families, name)(grid))[:, 0]) > 0), name


def test_dimensions_that_differ_on_both_sides():
    # x: d equicorrelated variables, y: one more. det of d of them: (1 - r)^(d - 1) (1 + (d - 1) r).
    def log_det(d):
        return (d - 1) * np.log(0.5) + np.log(1 + (d - 1) * 0.5)

    for d in (5, 25):
        task = known_mi.load(f'gaussian_dense_{d}x1')
        assert (task.dx, task.dy) == (d, 1)
        assert task.mi == pytest.approx(0.5 * (log_det(d) - log_det(d + 1)), rel=1e-12)


def test_mixtures_of_one_dimension_by_both_means():
    for parts in (families.waves(count=4), families.inliers(share=0.2, correlation=0.95)):
        quadrature, sampled = (
            truth.mixture_quadrature(parts),
            truth.mixture_monte_carlo(parts, 1),
        )
        assert quadrature.error < 1e-6
        assert abs(quadrature.mi - sampled.mi) < 4 * sampled.error


def test_labels_that_embeddings_tell_and_do_not_tell():
    """log K where the classes lie apart; two classes against quadrature over the line between."""
    assert truth.classes_monte_carlo(np.eye(10), 0.01).mi == pytest.approx(np.log(10), abs=1e-9)
    found = truth.classes_monte_carlo(np.array([[-1.0], [1.0]]), 0.8)
    grid = np.linspace(-9, 9, 4001)
    one, other = (stats.norm(centre, 0.8).pdf(grid) for centre in (-1, 1))
    expected = np.sum(one * np.log(one / (0.5 * (one + other)))) * (grid[1] - grid[0])
    assert abs(found.mi - expected) < 4 * found.error
    x, y = draw('embeddings_labels_16x10', 200)
    np.testing.assert_array_equal(np.sum(y, axis=1), 1)
