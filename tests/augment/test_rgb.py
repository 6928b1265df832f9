"""Whole image pipelines against their operations one by one, and the recipes against the methods'
table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from mi_ssl_jax import augment
from mi_ssl_jax.augment import jitter, ops, recipes, resample, rgb
from tests.helpers import goldens

NORM = recipes.IMAGES['cifar10'].norm
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 20, 24, 3), dtype=np.uint8)
KEYS = jax.random.split(jax.random.key(0), len(IMAGES))


def _one_by_one(key, image, view):
    """The same view from `ops` alone, on the same draws."""
    key_box, key_jitter, key_chances = jax.random.split(key, 3)
    flip, grey, blur, sigma, solarize = jax.random.uniform(key_chances, (5,), jnp.float32)

    def crop(image):
        box = resample.random_box(key_box, *image.shape[:2], scale=view.scale, ratio=(3 / 4, 4 / 3))
        image = jnp.clip(ops.resized_crop(image, box, size=view.size, method=view.method), 0, 1)
        return ops.horizontal_flip(image) if flip < 0.5 else image

    def colour(image):
        chosen = jitter.draw(key_jitter, strength=view.jitter, probability=view.jitter_p)
        steps = (ops.brightness, ops.contrast, ops.saturation, ops.hue)
        if view.grey_first:
            image = greyed(image)
        for step in np.argsort(chosen.ranks):
            image = steps[step](image, (*chosen.factors, chosen.shift)[step])
        return image if view.grey_first else greyed(image)

    def greyed(image):
        return ops.grayscale(image) if grey < view.grey_p else image

    image = jnp.asarray(image, jnp.float32) / 255
    image = crop(colour(image)) if view.crop_last else colour(crop(image))
    if blur < view.blur_p:
        low, high = view.blur_sigma
        image = ops.gaussian_blur(image, kernel_size=3, sigma=low + (high - low) * sigma)
    if solarize < view.solarize_p:
        image = ops.solarize(image, 0.5)
    return (image - jnp.asarray(NORM.mean)) / jnp.asarray(NORM.std)


class PipelineTest(parameterized.TestCase):
    @parameterized.named_parameters(
        ('crop_first', 'bicubic', False, False),
        ('crop_last', 'bilinear', True, False),
        ('grey_first', 'bilinear', False, True),
    )
    def test_equals_its_operations(self, method, crop_last, grey_first):
        view = rgb.View(
            16,
            (0.2, 1.0),
            method,
            (0.4, 0.4, 0.2, 0.1),
            grey_p=0.3,
            blur_p=0.5,
            solarize_p=0.5,
            crop_last=crop_last,
            grey_first=grey_first,
        )
        make = jax.jit(jax.vmap(lambda key, image: rgb.one(key, image, view=view, norm=NORM)))
        made = make(KEYS, IMAGES)
        chex.assert_shape(made, (len(IMAGES), 16, 16, 3))
        chex.assert_type(made, jnp.float32)
        for key, image, actual in zip(KEYS, IMAGES, made, strict=True):
            expected = _one_by_one(key, image, view)
            # 1e-5 in [0, 1], over standard deviations of 0.24. Solarizing jumps where a value meets
            # 0.5.
            far = (
                np.abs(np.abs(expected * jnp.asarray(NORM.std) + jnp.asarray(NORM.mean)) - 0.5)
                > 1e-4
            )
            np.testing.assert_allclose(
                np.where(far, actual, 0), np.where(far, expected, 0), atol=5e-5
            )

    @pytest.mark.slow
    def test_views_do_not_depend_on_the_batch(self):
        pipeline = jax.jit(jax.vmap(augment.load('byol', data='cifar10', size=16)))
        whole = pipeline(KEYS, IMAGES)
        part = pipeline(KEYS[5:8], IMAGES[5:8])
        # Another batch size may be compiled into another order of sums.
        chex.assert_trees_all_close(part, jax.tree.map(lambda view: view[5:8], whole), atol=1e-5)
        assert len(np.unique(np.concatenate(whole).reshape(24, -1), axis=0)) == 24

    @pytest.mark.slow
    def test_multi_crop_keeps_the_order_of_the_views(self):
        """White stays white in each view but the solarized one, which is black; local views are
        smaller."""
        bright = rgb.View(8, (1.0, 1.0), 'bilinear', (0.0, 0.0, 0.0, 0.0), grey_p=1.0)
        dark, small = bright._replace(solarize_p=1.0), bright._replace(size=4)
        image = jnp.full((8, 8, 3), 255, jnp.uint8)
        norm = rgb.Norm((0.0,) * 3, (1.0,) * 3)
        made = rgb.make(KEYS[0], image, views=(bright, dark, small, small, bright), norm=norm)
        assert [view.shape for view in made] == [
            (8, 8, 3),
            (8, 8, 3),
            (4, 4, 3),
            (4, 4, 3),
            (8, 8, 3),
        ]
        white = 0.9999  # the grey weights' sum
        means = [view.mean() for view in made]
        np.testing.assert_allclose(means, [white, 1 - white, white, white, white], atol=1e-5)


# b, c, s, h | jitter p | grey p | blur p of each view | solarize p of each view | area of the
# first, the last
_TABLE = {
    ('simclr', 'imagenet'): (
        (0.8, 0.8, 0.8, 0.2),
        0.8,
        0.2,
        (0.5, 0.5),
        (0, 0),
        (0.08, 1),
        (0.08, 1),
    ),
    ('simclr', 'cifar10'): ((0.4, 0.4, 0.4, 0.1), 0.8, 0.2, (0, 0), (0, 0), (0.08, 1), (0.08, 1)),
    ('simclr', 'tin'): ((0.8, 0.8, 0.8, 0.2), 0.8, 0.2, (0.5, 0.5), (0, 0), (0.08, 1), (0.08, 1)),
    ('simsiam', 'imagenet'): (
        (0.4, 0.4, 0.4, 0.1),
        0.8,
        0.2,
        (0.5, 0.5),
        (0, 0),
        (0.2, 1),
        (0.2, 1),
    ),
    ('mocov2', 'cifar100'): ((0.4, 0.4, 0.4, 0.1), 0.8, 0.2, (0, 0), (0, 0), (0.2, 1), (0.2, 1)),
    ('mocov1', 'imagenet'): ((0.4, 0.4, 0.4, 0.4), 1.0, 0.2, (0, 0), (0, 0), (0.2, 1), (0.2, 1)),
    ('byol', 'imagenet'): (
        (0.4, 0.4, 0.2, 0.1),
        0.8,
        0.2,
        (1.0, 0.1),
        (0, 0.2),
        (0.08, 1),
        (0.08, 1),
    ),
    ('barlow', 'cifar10'): ((0.4, 0.4, 0.2, 0.1), 0.8, 0.2, (0, 0), (0, 0.2), (0.08, 1), (0.08, 1)),
    ('mocov3', 'imagenet'): (
        (0.4, 0.4, 0.2, 0.1),
        0.8,
        0.2,
        (1.0, 0.1),
        (0, 0.2),
        (0.2, 1),
        (0.2, 1),
    ),
    ('mocov3', 'tin'): ((0.4, 0.4, 0.2, 0.1), 0.8, 0.2, (1.0, 0.1), (0, 0.2), (0.08, 1), (0.08, 1)),
    ('vicreg', 'imagenet'): (
        (0.4, 0.4, 0.2, 0.1),
        0.8,
        0.2,
        (1.0, 0.1),
        (0, 0.2),
        (0.08, 1),
        (0.08, 1),
    ),
    ('vicreg', 'cifar10'): ((0.4, 0.4, 0.2, 0.1), 0.8, 0.2, (0, 0), (0.1, 0.1), (0.2, 1), (0.2, 1)),
    ('dino', 'imagenet'): (
        (0.4, 0.4, 0.2, 0.1),
        0.8,
        0.2,
        (1.0, 0.1) + (0.5,) * 8,
        (0, 0.2) + (0,) * 8,
        (0.4, 1),
        (0.05, 0.4),
    ),
    ('swav', 'imagenet'): (
        (0.8, 0.8, 0.8, 0.2),
        0.8,
        0.2,
        (0.5,) * 8,
        (0,) * 8,
        (0.14, 1),
        (0.05, 0.14),
    ),
    ('empssl', 'cifar10'): (
        (0.4, 0.4, 0.4, 0.2),
        0.8,
        0.2,
        (0.1,) * 20,
        (0.1,) * 20,
        (0.25, 0.25),
        (0.25, 0.25),
    ),
    ('wmse', 'cifar10'): ((0.4, 0.4, 0.4, 0.1), 0.8, 0.1, (0, 0), (0, 0), (0.2, 1), (0.2, 1)),
}


@pytest.mark.parametrize('name, data', _TABLE)
def test_recipes(name, data):
    strength, jitter_p, grey_p, blur, solarize, first, last = _TABLE[name, data]
    images = recipes.IMAGES[data]
    made = recipes.RECIPES[name](images.kind, images.size)
    assert {(view.jitter, view.jitter_p, view.grey_p) for view in made} == {
        (strength, jitter_p, grey_p)
    }
    assert tuple(view.blur_p for view in made) == blur
    assert tuple(view.solarize_p for view in made) == solarize
    assert (made[0].scale, made[-1].scale) == (first, last)
    assert made[0].size == {'cifar': 32, 'tiny': 64, 'imagenet': 224}[images.kind]


def test_moco_v1_alone_turns_grey_before_the_jitter():
    first = {
        name
        for name, recipe in recipes.RECIPES.items()
        if all(view.grey_first for view in recipe('imagenet', 224))
    }
    assert first == {'mocov1'}


def test_crops_are_resized_as_each_methods_code_does():
    bilinear = {
        name
        for name, recipe in recipes.RECIPES.items()
        if {view.method for view in recipe('imagenet', 224)} == {'bilinear'}
    }
    assert bilinear == {'simsiam', 'mocov1', 'mocov2', 'mocov3', 'swav', 'empssl'}
    for name in recipes.RECIPES.keys() - bilinear:
        assert {view.method for view in recipes.RECIPES[name]('imagenet', 224)} == {'bicubic'}


@pytest.mark.parametrize('name', sorted(recipes.RECIPES))
@pytest.mark.parametrize('data', ['cifar10', 'tiny_imagenet', 'imagenet100'])
def test_every_pipeline_has_static_shapes(name, data):
    pipeline = augment.load(name, data=data)
    made = jax.eval_shape(jax.vmap(pipeline), KEYS, IMAGES)
    side = recipes.IMAGES[data].size
    local = {'dino': 8, 'swav': 6}.get(name, 0) if side > 32 else 0
    local = 8 if name == 'dino_vit' else local
    small = 96 if side == 224 else side // 2
    whole = 20 if name == 'empssl' else 2
    assert [view.shape for view in made] == [(12, side, side, 3)] * whole + [
        (12, small, small, 3)
    ] * local
    assert jax.eval_shape(augment.evaluation(name, data=data), IMAGES[0]).shape == (side, side, 3)


@pytest.mark.parametrize(
    'name, options, shape, dtype',
    [
        ('noise', {}, (2,), jnp.float32),
        ('digits', {}, (8, 8, 1), jnp.uint8),
        ('byol', {'data': 'tiny_imagenet'}, (64, 64, 3), jnp.uint8),
    ],
)
def test_views_stay_float32_where_jax_computes_in_float64(name, options, shape, dtype):
    with goldens.x64():
        example = jnp.ones(shape, dtype)
        made = [
            *jax.eval_shape(augment.load(name, **options), jax.random.key(0), example),
            jax.eval_shape(augment.evaluation(name, **options), example),
        ]
        assert [view.dtype for view in made] == [jnp.float32] * 3


def test_views_lowered_for_a_gpu_have_no_loops_and_products_of_the_tensor_cores():
    """For a CPU the products are in whole precision and the turns of the jitter are loops."""
    views = jax.jit(jax.vmap(augment.load('byol', data='cifar10', size=16)))

    def lowered(platform):
        text = jax.export.export(views, platforms=[platform])(KEYS, IMAGES).mlir_module()
        return (
            text.count(kind) for kind in ('stablehlo.dot_general', 'HIGHEST', 'stablehlo.while')
        )

    products, whole, loops = lowered('cuda')
    assert products and not whole and not loops
    products, whole, loops = lowered('cpu')
    assert whole == 2 * products and loops
    for platform in ('rocm', 'tpu'):  # only NVIDIA's GPUs have TF32
        products, whole, _ = lowered(platform)
        assert whole == 2 * products


def test_blur_kernels_are_simclrs():
    assert [rgb.blur_taps(size) for size in (224, 96, 64, 32, 16)] == [23, 9, 7, 3, 3]


def test_evaluation_is_the_image_itself_at_its_own_size():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    norm = recipes.IMAGES['cifar100'].norm
    expected = (image / 255 - np.asarray(norm.mean)) / np.asarray(norm.std)
    np.testing.assert_allclose(
        augment.evaluation('simclr', data='cifar100')(image), expected, atol=1e-6
    )


def test_evaluation_on_imagenet_is_the_centre_seven_eighths():
    """Half of the image is white: the cut runs through the middle of the centre crop, whatever its
    size."""
    image = np.zeros((100, 160, 3), np.uint8)
    image[:, 80:] = 255
    plain = augment.evaluation('byol', data='imagenet', size=44)(
        image
    )  # 88 px of the short side, halved
    norm = recipes.IMAGES['imagenet'].norm
    pixels = plain * jnp.asarray(norm.std) + jnp.asarray(norm.mean)
    # An antialiased edge on a pixel border leaves an eighth of the other side in the nearest pixel.
    np.testing.assert_allclose(pixels[:, :21], 0, atol=1e-5)
    np.testing.assert_allclose(pixels[:, 23:], 1, atol=1e-5)
    np.testing.assert_allclose(pixels[:, 21:23, 0], [[0.125, 0.875]] * 44, atol=1e-5)


def test_options_and_errors():
    assert len(augment.load('dino', data='tin', local_views=2).keywords['views']) == 4
    patches = augment.load('empssl', data='cifar10', local_views=5).keywords['views']
    assert len(patches) == 7 and len(set(patches)) == 1 and patches[0].ratio == (1, 1)
    changed = augment.load(
        'simclr', data='cifar10', size=16, blur_p=0.5, scale=[0.3, 1.0]
    ).keywords['views']
    assert {(view.size, view.blur_p, view.scale) for view in changed} == {(16, 0.5, (0.3, 1.0))}
    for options, message in (
        ({}, "views 'simclr' need data=NAME, one of cifar10, .*; not None"),
        ({'data': 'cifar'}, "need data=NAME, one of cifar10, .*; not 'cifar'"),
        (
            {'data': 'cifar10', 'blurp': 1},
            'do not take blurp; options: data, size, mean, std, local_views, .*blur_p',
        ),
        ({'data': 'cifar10', 'local_views': 2}, 'have no local views: leave local_views out'),
        ({'data': 'cifar10', 'mean': (0.5,)}, 'must have a number for each of the 3 channels'),
    ):
        for build in (augment.load, augment.evaluation):
            with pytest.raises(ValueError, match=message):
                build('simclr', **options)
    with pytest.raises(
        ValueError, match=r'views of images need uint8 \(H, W, 3\), not float32 \(8, 8, 3\)'
    ):
        augment.load('simclr', data='cifar10')(KEYS[0], jnp.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match=r'need uint8 \(H, W, 3\), not uint8 \(8, 8, 1\)'):
        augment.evaluation('simclr', data='cifar10')(jnp.zeros((8, 8, 1), jnp.uint8))
