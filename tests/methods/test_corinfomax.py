"""CorInfoMax against its formula in float64: value, gradient, two steps of its moments."""

import jax
import numpy as np

from mi_ssl_jax.methods import api, corinfomax
from tests.helpers import goldens, oracles, tiny

RNG = np.random.default_rng(31)
ZA = RNG.standard_normal((9, 4))
ZB = ZA + 0.5 * RNG.standard_normal((9, 4))
OPTIONS = {'invariance_weight': 250.0, 'decay': 0.01, 'eps': 1e-8}


def step(past, z):
    """mu = .01 mu + .99 mean, R = .01 R + .99 mean (z - mu)(z - mu)^T, one sample at a time."""
    mean, covariance = past
    mean = 0.01 * mean + 0.99 * z.mean(axis=0)
    return mean, 0.01 * covariance + 0.99 * sum(np.outer(x - mean, x - mean) for x in z) / len(z)


def oracle(za, zb, moments):
    za, zb = oracles.unit(za), oracles.unit(zb)
    moved = [step(past, z) for past, z in zip(moments, (za, zb))]
    volumes = [np.linalg.slogdet(own[1] + 1e-8 * np.eye(4))[1] for own in moved]
    return 250 * np.mean((za - zb) ** 2) - sum(volumes) / 4, moved


def start():
    return [(np.zeros(4), np.eye(4))] * 2


def test_value_and_moments_of_two_steps():
    moments, expected = corinfomax.moments_init(4), start()
    with goldens.x64():
        moments = jax.tree.map(np.float64, moments)
        for za, zb in ((ZA, ZB), (ZB[::-1], ZA[::-1] + 0.1)):
            loss, moments = jax.jit(
                lambda *arguments: corinfomax.corinfomax_loss(*arguments, **OPTIONS)
            )(za, zb, moments)
            value, expected = oracle(za, zb, expected)
            np.testing.assert_allclose(loss, value, rtol=1e-10)
            for own, (mean, covariance) in zip(moments, expected):
                np.testing.assert_allclose(own.mean, mean, rtol=1e-10, atol=1e-14)
                np.testing.assert_allclose(own.covariance, covariance, rtol=1e-10, atol=1e-14)


def test_gradient_equals_differences_at_the_second_step():
    _, past = oracle(ZA, ZB, start())

    def loss(za, zb):
        moments = tuple(corinfomax.Moments(*own) for own in past)
        return corinfomax.corinfomax_loss(za, zb, moments, **OPTIONS)[0]

    with goldens.x64():
        actual = jax.jit(jax.grad(loss, (0, 1)))(ZB, ZA)
    for place, z in enumerate((ZB, ZA)):
        arguments = [ZB, ZA]

        def by_hand(own, place=place, arguments=arguments):
            arguments[place] = own
            return oracle(*arguments, past)[0]

        expected = oracles.numerical_gradient(by_hand, z)
        np.testing.assert_allclose(actual[place], expected, rtol=1e-5, atol=1e-6)


def test_the_moments_take_no_gradient_into_the_next_step():
    def second(za):
        _, moments = corinfomax.corinfomax_loss(za, ZB, corinfomax.moments_init(4), **OPTIONS)
        return corinfomax.corinfomax_loss(ZB, ZB + 0.1, moments, **OPTIONS)[0]

    np.testing.assert_array_equal(jax.grad(second)(ZA), 0)


def test_the_method_is_the_loss():
    method = tiny.method('corinfomax', **OPTIONS)
    views = {'theta': api.Views((np.float32(ZA), np.float32(ZB)), (), {})}
    aux = method.init_aux(jax.random.PRNGKey(0))
    loss = method.phases[0].loss(views, aux, None)
    expected, moved = oracle(ZA, ZB, start())
    np.testing.assert_allclose(loss.value, expected, rtol=1e-4)
    np.testing.assert_allclose(loss.value, loss.terms['marginal'] - loss.terms['joint'], rtol=1e-6)
    np.testing.assert_allclose(loss.aux[0].covariance, moved[0][1], atol=1e-6)
    assert (method.paradigm, method.objective) == ('jmi', 'surrogate')
    assert not any(api.structure(method).values())
