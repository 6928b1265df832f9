"""EMP-SSL against its formula in float64: value, gradient, both of its matrices, the method."""

import jax
import numpy as np
import pytest

from mi_ssl_jax.methods import api, empssl
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(41)
# Patches of few samples in many dimensions, and of many in few: the loss takes the smaller matrix.
PATCHES = {'wide': RNG.standard_normal((3, 4, 7)), 'long': RNG.standard_normal((5, 9, 3))}
OPTIONS = {'invariance_weight': 200.0, 'distortion': 0.2}


def oracle(z):
    """-200 mean cosine with the mean over patches, minus the mean coding rate, by loops."""
    u = oracles.unit(z)
    patches, n, d = z.shape
    cosines = [
        np.dot(u[v, i], u[:, i].mean(axis=0)) / np.linalg.norm(u[:, i].mean(axis=0))
        for v in range(patches)
        for i in range(n)
    ]
    rates = []
    for own in u:
        moment = sum(np.outer(row, row) for row in own)
        rates.append(0.5 * np.linalg.slogdet(np.eye(d) + d / (n * 0.2) * moment)[1])
    return -200 * np.mean(cosines) - np.mean(rates)


@pytest.mark.parametrize('name', PATCHES)
def test_value_and_gradient(name):
    z = PATCHES[name]
    with goldens.x64():
        value, gradient = jax.jit(jax.value_and_grad(lambda z: empssl.empssl_loss(z, **OPTIONS)))(z)
    np.testing.assert_allclose(value, oracle(z), rtol=1e-12)
    expected = oracles.numerical_gradient(oracle, z)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_the_coding_rate_is_that_of_the_eigenvalues():
    """A sum over singular values, the same for z and for z turned."""
    z = PATCHES['wide'][0]
    with goldens.x64():
        found = empssl.coding_rate(z, distortion=0.5)
        turned = empssl.coding_rate(
            z @ np.linalg.qr(RNG.standard_normal((7, 7)))[0], distortion=0.5
        )
    singular = np.linalg.svd(z, compute_uv=False)
    np.testing.assert_allclose(found, 0.5 * np.log1p(7 / (4 * 0.5) * singular**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(turned, found, rtol=1e-12)


def test_the_joint_term_draws_patches_together_and_the_marginal_term_images_apart():
    alike = np.tile(PATCHES['long'][:1], (4, 1, 1))
    joint, marginal = empssl.empssl_terms(alike, **OPTIONS)
    np.testing.assert_allclose(joint, 200, rtol=1e-6)  # its largest value
    one = np.tile(alike[:, :1], (1, 9, 1))
    collapsed = empssl.empssl_terms(one, **OPTIONS)
    assert collapsed.joint == pytest.approx(200, rel=1e-6) and collapsed.marginal > marginal


def test_the_method_is_the_loss_of_all_its_views():
    method = tiny.method('empssl', **OPTIONS)
    patches = np.float32(PATCHES['long'])
    views = {'theta': api.Views(tuple(patches), (), {})}
    loss = method.phases[0].loss(views, (), None)
    np.testing.assert_allclose(loss.value, oracle(PATCHES['long']), rtol=1e-5)
    np.testing.assert_allclose(loss.value, loss.terms['marginal'] - loss.terms['joint'], rtol=1e-6)
    assert (method.paradigm, method.objective) == ('jmi', 'surrogate')
    assert not any(api.structure(method).values())
