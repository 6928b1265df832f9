"""The bench command: its table and its file, FLOPs by hand, Pillow's views and gathered crops by
value."""

import dataclasses
import json
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs.base import common, methods
from mi_ssl_jax import augment
from mi_ssl_jax.augment import rgb
from mi_ssl_jax.bench import augmentation, costs, pillow_peer, steps, synthetic, table, timing
from mi_ssl_jax.bench import measuring as bench
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.nets import convolution
from tests.helpers import tiny
from tests.system.test_main import command

NORM = rgb.Norm((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
PLAIN = rgb.View(16, (1.0, 1.0), 'bilinear', (0.4, 0.4, 0.4, 0.1), jitter_p=0.0, grey_p=0.0)


@pytest.fixture(autouse=True, scope='module')
def quick_compilation():
    """Compiling with all optimisations takes longer than everything these tests compute."""
    with tiny.hardly_optimised():
        yield


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp('tfds'))


def points(name, folder, **arguments):
    """A method on the Gaussian mixture with two dense layers."""
    config = common.base()
    config.data.name, config.data.dir, config.data.limit = 'gaussian', folder, 48
    config.views.name, config.batch_size, config.epochs = 'noise', 16, 2
    config.net.name, config.net.projector = 'mlp', (4,)
    config.net.options.mlp = {'widths': (6,)}
    config.method = common.method(name, **methods.arguments(name) | arguments)
    return config


def images(*, streamed=False):
    """SimCLR on images of 32 px, or of 40 px out of photographs, with a small network."""
    config = common.base()
    config.data.name, config.batch_size, config.epochs = 'cifar10', 8, 2
    config.data.streamed, config.data.canvas = streamed, 40
    config.views.name = 'simclr'
    config.views.options = {'data': 'in100' if streamed else 'cifar10', 'size': 32}
    config.net.name, config.net.projector = 'conv4', (4,)
    config.net.options.conv4 = {'width': 2}
    config.method = common.method('simclr', **methods.arguments('simclr') | {'temperature': 0.5})
    return config


def by_name(rows):
    return {(row.config, row.what, row.phase): row for row in rows}


@pytest.mark.slow
def test_the_table_of_two_configurations_has_every_row(folder):
    given = {
        'a': points('sdmi', folder, temperature=0.5),
        'b': points('simclr', folder, temperature=0.5),
    }
    result = bench.measure(given, steps=2, rounds=2)
    found = by_name(result['rows'])
    phased = {
        steps.WHOLE: 'views/s',
        steps.NETWORK: 'views/s',
        'tracing': 's',
        'compilation, cold': 's',
        'compilation, from the cache': 's',
        'device memory': 'MB',
        'of which temporaries': 'MB',
        'model FLOPs per step': 'GFLOP',
        'model FLOPs per second': 'GFLOP/s',
    }
    wanted = {
        (name, what, phase): unit
        for name, phases in (('a', ('e', 'm')), ('b', ('joint',)))
        for phase in phases
        for what, unit in phased.items()
    }
    wanted |= {(name, what, ''): 'views/s' for name in 'ab' for what in (steps.VIEWS, steps.INPUT)}
    ratios = [
        f'a E + M / {what} of b, {clock} time'
        for what in ('one step', '2 steps')
        for clock in ('wall', 'CPU')
    ]
    memory = ['device memory, a / b', 'the same ratio in the paper, 15 GB / 7 GB']
    wanted |= {('', what, ''): 'times' for what in (*ratios, *memory)}
    assert {key: row.unit for key, row in found.items()} == wanted
    for row in found.values():
        assert row.value > 0 and (row.least is None or row.least <= row.value <= row.greatest), row
    whole = found['a', steps.WHOLE, 'e']
    assert whole.value == pytest.approx(16 * 2 / np.median(whole.wall))
    assert len(whole.wall) == len(whole.cpu) == 2
    assert found['', ratios[0], ''].value == pytest.approx(2 * found['', ratios[2], ''].value)
    text = bench.text(result)
    assert all(what in text for _, what, _ in wanted) and 'peak is left out' in text


def test_two_configurations_of_different_batches_are_refused(folder):
    given = {
        'a': points('sdmi', folder, temperature=0.5),
        'b': points('simclr', folder, temperature=0.5),
    }
    given['b'].batch_size = 24
    with pytest.raises(ValueError, match='differ in batch_size'):
        bench.measure(given, steps=1, rounds=1)


def test_the_cache_of_compiled_programs_is_given_back(folder):
    before = jax.config.jax_compilation_cache_dir
    with costs.empty_cache():
        assert jax.config.jax_compilation_cache_dir != before
        jax.jit(lambda x: x * 1.234)(jnp.ones(3))
    assert jax.config.jax_compilation_cache_dir == before


def test_made_up_images_have_the_size_of_the_missing_ones(tmp_path):
    config = images()
    changed = synthetic.replace_data(config, tmp_path)
    assert config.data.name == 'cifar10' and changed.views == config.views
    made = inputs.load(changed)
    assert made.train.x.shape == (1024, 32, 32, 3) and made.train.x.dtype == np.uint8
    assert made.train.x.std() > 20


@pytest.mark.slow
def test_streamed_photographs_are_made_up_and_measured(tmp_path):
    result = bench.measure(
        {'x': synthetic.replace_data(images(streamed=True), tmp_path)}, steps=1, rounds=1
    )
    assert result['settings']['x']['data'] == 'made_up, streamed, 1024 examples'
    assert {row.what for row in result['rows']} >= {
        steps.WHOLE,
        steps.VIEWS,
        steps.NETWORK,
        steps.INPUT,
    }


def test_augmentation_is_held_against_pillow_and_gathers(tmp_path):
    config = synthetic.replace_data(images(), tmp_path)
    rows = by_name(bench.measure({'x': config}, steps=1, rounds=2, augmentation=True)['rows'])
    rates = {what for (_, what, _), row in rows.items() if row.unit == 'views/s'}
    assert rates == {
        augmentation.COMPILED,
        augmentation.PEER,
        augmentation.CROPS,
        augmentation.GATHERS,
    }
    ratio = rows['', 'compiled / Pillow and numpy, wall time', '']
    walls = [
        np.asarray(rows['', name, ''].wall) for name in (augmentation.PEER, augmentation.COMPILED)
    ]
    assert (
        ratio.value == pytest.approx(np.median(walls[0] / walls[1]))
        and ratio.unit == 'times as fast'
    )


def test_augmentation_of_points_is_refused(folder):
    with pytest.raises(ValueError, match='Pillow has no counterpart'):
        bench.measure(
            {'x': points('simclr', folder, temperature=0.5)}, steps=1, rounds=1, augmentation=True
        )


# The peer pipeline and the gathered crop ----------------------------------------


def picture(size=16):
    return np.random.RandomState(3).randint(0, 256, (size, size, 3)).astype(np.uint8)


def test_a_peer_view_without_changes_is_the_image_or_its_mirror():
    """Only the whole image has the area of the whole image: no aspect ratio but 1 fits."""
    made = [
        pillow_peer.one(random.Random(i), Image.fromarray(picture()), view=PLAIN, norm=NORM)
        for i in range(8)
    ]
    plain = (picture() / 255 - NORM.mean) / NORM.std
    flipped = [not np.allclose(one, plain, atol=1e-5) for one in made]
    for one, mirrored in zip(made, flipped, strict=True):
        np.testing.assert_allclose(one, plain[:, ::-1] if mirrored else plain, atol=1e-5)
    assert {*flipped} == {True, False}


@pytest.mark.parametrize(
    'changes',
    [
        {'grey_p': 1.0},
        {'solarize_p': 1.0},
        {'jitter_p': 1.0},
        {'blur_p': 1.0},
        {'crop_last': True, 'scale': (0.1, 0.5)},
    ],
    ids=str,
)
def test_every_operation_of_a_peer_view_does_what_its_name_says(changes):
    norm = rgb.Norm((0, 0, 0), (1, 1, 1))
    made = [
        pillow_peer.one(
            random.Random(i), Image.fromarray(picture()), view=PLAIN._replace(**changes), norm=norm
        )
        for i in range(4)
    ]
    assert all(one.shape == (16, 16, 3) and one.dtype == np.float32 for one in made)
    assert all(one.min() >= 0 and one.max() <= 1 for one in made)
    plain = picture() / 255
    for one in made:
        assert not any(np.allclose(one, same, atol=1e-3) for same in (plain, plain[:, ::-1]))
        if 'grey_p' in changes:
            np.testing.assert_array_equal(one[..., 0], one[..., 2])
        if 'solarize_p' in changes:
            assert one.max() <= 128 / 255
        if 'blur_p' in changes:
            assert one.std() < plain.std()


def test_peer_views_have_the_moments_of_the_compiled_ones():
    """Same laws of every draw: over 400 views the mean and the spread of each channel agree to 0.1
    spreads.

    (A view's mean varies by about 0.8 spreads here: 0.8 / sqrt(400) = 0.04 each, 2 of those apart.)
    """
    pipeline = augment.load('simclr', data='cifar10')
    image = np.asarray(Image.fromarray(picture(8)).resize((32, 32)))
    keys = jax.random.split(jax.random.PRNGKey(0), 400)
    ours = np.asarray(jax.jit(jax.vmap(lambda key: pipeline(key, jnp.asarray(image))[0]))(keys))
    theirs, _ = pillow_peer.batch(random.Random(0), [image] * 400, **pipeline.keywords)
    np.testing.assert_allclose(theirs.mean((0, 1, 2)), ours.mean((0, 1, 2)), atol=0.1 * ours.std())
    np.testing.assert_allclose(theirs.std((0, 1, 2)), ours.std((0, 1, 2)), rtol=0.1)


@pytest.mark.parametrize('method', ['bilinear', 'bicubic'])
def test_crops_by_gathers_equal_crops_by_matrix_products(method):
    view = augmentation.crop_alone(PLAIN._replace(scale=(0.08, 1.0), size=20, method=method))
    keys, image = jax.random.split(jax.random.PRNGKey(1), 16), jnp.asarray(picture())
    made = [
        jax.jit(jax.vmap(lambda key, one=one: one(key, image, view=view, norm=NORM)))(keys)
        for one in (augmentation.gathered, rgb.one)
    ]
    np.testing.assert_allclose(*made, atol=1e-5)


# FLOPs ----------------------------------------


def traced(function, *shapes):
    return costs.count(jax.make_jaxpr(function)(*(jnp.zeros(shape) for shape in shapes)).jaxpr)


def test_flops_of_matrix_products_are_counted_through_loops_and_branches():
    product = 2 * 3 * 4 * 5
    assert traced(jnp.matmul, (3, 4), (4, 5)) == product
    assert traced(jax.vmap(jnp.matmul), (7, 3, 4), (7, 4, 5)) == 7 * product
    assert (
        traced(jax.jit(lambda a, b: jax.lax.map(lambda x: x @ b, a)), (7, 3, 4), (4, 5))
        == 7 * product
    )

    def branches(a, b):
        return jax.lax.cond(a[0, 0] > 0, lambda: a @ b, lambda: 2 * (a @ b) @ (b.T @ b))

    assert traced(branches, (3, 4), (4, 5)) == product + 2 * 5 * 4 * 5 + 2 * 3 * 5 * 5


@dataclasses.dataclass
class Conv:
    stride: int
    padding: str | tuple
    choice: str = 'xla'

    def __call__(self, x, kernel):
        return convolution.load(self.choice)(
            x, kernel, (self.stride,) * 2, self.padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
        )


CONVS = [Conv(stride, 'SAME') for stride in (1, 2)]
CONVS += [Conv(stride, ((1, 1), (1, 1)), 'fast') for stride in (1, 2)]


@pytest.mark.parametrize('conv', CONVS, ids=str)
def test_flops_of_a_convolution_and_of_its_gradients(conv):
    """Each output is 3 * 3 * 6 products; each of the two gradients has as many."""
    side = math.ceil(8 / conv.stride)
    forward = 2 * (2 * side * side * 10) * (3 * 3 * 6)
    shapes = (2, 8, 8, 6), (3, 3, 6, 10)
    assert traced(conv, *shapes) == forward
    both = jax.value_and_grad(lambda x, kernel: conv(x, kernel).sum(), argnums=(0, 1))
    assert traced(both, *shapes) == 3 * forward


def test_the_h100_is_known_and_a_cpu_is_not():
    class Device:
        device_kind = 'NVIDIA H100 80GB HBM3'

    assert (
        costs.peak(Device, 'bfloat16') == 989e12
        and costs.peak(jax.devices('cpu')[0], 'float32') is None
    )


# The command ----------------------------------------


def test_programs_take_turns_and_are_warmed_up_first():
    calls = []
    made = {
        name: timing.Program(lambda count, name=name: calls.append((name, count)), warm)
        for name, warm in (('a', 2), ('b', 5))
    }
    times = timing.alternate(made, steps=3, rounds=2)
    assert calls == [('a', 2), ('b', 5), ('a', 3), ('b', 3), ('a', 3), ('b', 3)]
    assert {name: len(own.wall) for name, own in times.items()} == {'a': 2, 'b': 2}


def test_rates_and_ratios_come_from_the_rounds():
    slow = timing.Times((4.0, 6.0, 8.0), (4.0, 4.0, 4.0))
    fast = timing.Times((2.0, 2.0, 2.0), (1.0, 2.0, 4.0))
    row = table.rate('x', 'e', slow, 24)
    assert (row.value, row.least, row.greatest) == (4.0, 3.0, 6.0)
    wall, cpu = table.ratios('x', slow, fast, 'times')
    assert (wall.value, wall.least, wall.greatest, cpu.value) == (3.0, 2.0, 4.0, 2.0)
    assert timing.total([slow, fast]).wall == (6.0, 8.0, 10.0)
    assert timing.scaled(slow, 0.5).wall == (2.0, 3.0, 4.0)


@pytest.mark.slow
def test_the_command_writes_json_with_units(tmp_path, folder):
    overrides = [
        '--config.data.limit=48',
        '--config.batch_size=16',
        '--config.seeds=1',
        f'--config.data.dir={folder}',
    ]
    result = command(
        '--config=configs/jmi_gaussian.py',
        *overrides,
        '--steps=1',
        '--rounds=1',
        f'--json={tmp_path}/bench.json',
        module='bench',
    )
    assert result.returncode == 0, result.stderr
    written = json.loads((tmp_path / 'bench.json').read_text())
    assert {*written} == {'rows', 'settings', 'machine', 'method'}
    assert all(row['unit'] and row['value'] is not None for row in written['rows'])
    assert written['settings']['jmi_gaussian']['steps'] == 1 and written['machine']['cores'] >= 1
    assert all(row['what'] in result.stdout for row in written['rows'])


BAD = {
    'no configuration': ([], 'no configuration'),
    'misspelt field': (
        [
            '--config=configs/jmi_gaussian.py',
            '--versus=configs/simclr_gaussian.py',
            '--versus.batchsize=3',
        ],
        "did you mean 'batch_size'?",
    ),
    'steps': (['--config=configs/jmi_gaussian.py', '--steps=0'], 'steps'),
    'folder of json': (
        ['--config=configs/jmi_gaussian.py', '--json=/nowhere/x.json'],
        'no folder /nowhere',
    ),
    'json in place of a folder': (
        ['--config=configs/jmi_gaussian.py', '--json=configs'],
        '--json=configs is a folder',
    ),
    'trace': (
        ['--config=configs/jmi_gaussian.py', '--trace=README.md/trace'],
        'cannot use README.md/trace: Not a directory',
    ),
    'two measurements': (
        ['--config=configs/jmi_gaussian.py', '--scaling', '--augmentation'],
        'give one of them',
    ),
    'nothing to make up': (['--config=configs/jmi_gaussian.py', '--synthetic'], 'leave it out'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_one_line_with_status_2(case):
    arguments, expected = BAD[case]
    result = command(*arguments, module='bench')
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2 and len(lines) == 1 and expected in lines[0], result.stderr
