"""What is watched: the same numbers in batches as at once, and few programs."""

import functools

import jax
import numpy as np
import pytest

from mi_ssl_jax.core import streams
from mi_ssl_jax.evals import centres, collapse, cosine_mi, monitor
from tests.helpers import tiny

POINTS, LABELS = tiny.POINTS[:47], tiny.DATA['y'][:47]
CENTRES = np.float32([[1, 0], [0, 1], [-1, -1]])


def views(key, example):
    noise = jax.random.normal(key, (2, *example.shape))
    return example + 0.1 * noise[0], example + 0.1 * noise[1], 0 * example


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


def measuring(name, batch_size, *, seeds=1, mode='loop'):
    """(measure, the method, the population's variables, the lagged branch's)."""
    layout = tiny.one_device(seeds=seeds, mode=mode)
    spec = tiny.experiment(name, layout)
    population = tiny.initial(spec)
    held_out = monitor.HeldOut(
        POINTS, LABELS, tiny.CLASSES, views, lambda example: example, CENTRES
    )
    measure = monitor.make(spec.method, layout, held_out, temperature=0.5, batch_size=batch_size)
    variables = population.map(lambda state: state.variables)
    return measure, spec.method, variables, population.map(lambda state: state.lagged)


@pytest.mark.parametrize('name', ['sdmi', 'jmi', 'mocov3'])
def test_numbers_are_those_of_whole_arrays_whatever_the_batch_size(name):
    """47 points and 3 centres in batches of 2: the last ones are filled up."""
    measure, method, variables, lagged = measuring(name, 2)
    line = measure(variables, lagged, end=True)
    own, a, b = variables.first(), method.tracked.a, method.tracked.b
    of_b = lagged.first() if method.tracked.lag else own[b]

    def made(points):
        return jax.vmap(views)(
            jax.random.split(streams.evaluation(streams.VIEWS), len(points)), points
        )

    first, second, _ = made(POINTS)
    za, zb = method.branches[a](own[a], first).z, method.branches[b](of_b, second).z
    for kind, value in cosine_mi.estimates(za, zb, temperature=0.5).items():
        np.testing.assert_allclose(line['mi'][kind], [value], rtol=1e-4, atol=1e-6)
        assert line['mi_interval'][kind]['low'][0] < line['mi_interval'][kind]['high'][0]
    for branch in {a, b}:
        encode = functools.partial(method.branches[branch], own[branch])
        expected = collapse.figures(encode(POINTS).z, LABELS, classes=tiny.CLASSES)
        expected['nn_gap'] = centres.gaps(encode(CENTRES).z)
        jax.tree.map(  # cosines near 1 give angles to 0.05 degrees
            lambda got, value: np.testing.assert_allclose(got, [value], rtol=1e-3, atol=0.05),
            line['collapse'][branch],
            expected,
        )
        z = np.stack([encode(view).z for view in made(CENTRES)[:2]])
        z /= np.linalg.norm(z, axis=-1, keepdims=True)
        np.testing.assert_allclose(line['centres'][branch][0], z, atol=1e-5)


@pytest.mark.parametrize('mode', ['loop', 'scan'])
def test_seeds_are_measured_alike_together_and_alone(mode):
    measure, _, variables, lagged = measuring('sdmi', 10, seeds=2, mode=mode)
    together = measure(variables, lagged)
    alone, _, one, none = measuring('sdmi', 10)
    jax.tree.map(
        lambda both, single: np.testing.assert_allclose(both[:1], single, rtol=1e-3, atol=0.05),
        together,
        alone(one, none),
    )


def test_a_first_evaluation_compiles_few_programs_and_the_second_none():
    """On a GPU each costs a second or more: two encoders of one architecture share a program, and
    so do their views and a batch that is not full."""
    measure, _, variables, lagged = measuring('sdmi', 10)
    with tiny.compilations() as first:
        measure(variables, lagged)
    with tiny.compilations() as second:
        measure(variables, lagged)
    assert not second
    # Keys, un-augmented inputs, views, the network, its seeds' axis and the numbers; the first five
    # again for the centres, which are fewer, and their figures.
    assert len(first) <= 12, [program.get('fun_name') for program in first]
