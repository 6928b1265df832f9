"""Images with their views for a person: the normalisation is undone, the pipeline is described, the
command draws."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from mi_ssl_jax import augment, data
from mi_ssl_jax.data.splits import Resident, Split
from mi_ssl_jax.experiment import view_samples
from mi_ssl_jax.figures import views as pictures

ROOT = Path(__file__).parents[2]
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)


def config(name, on, **options):
    return ConfigDict(
        {
            'seed': 0,
            'views': {'name': name, 'options': options},
            'data': {
                'name': on,
                'dir': '',
                'streamed': False,
                'short_side': 0,
                'canvas': 0,
                'options': {},
            },
        }
    )


@pytest.fixture
def held(monkeypatch):
    """Every data set is IMAGES."""
    split = Split(IMAGES, np.zeros(len(IMAGES), np.int32))
    monkeypatch.setattr(
        data,
        'load',
        lambda name, where, short_side=None: Resident(
            name, split, split, IMAGES.shape[1:], ('a',), None
        ),
    )


@pytest.mark.parametrize(
    'name, options, example',
    [
        ('simclr', {'data': 'cifar10'}, IMAGES[0]),
        ('vicreg', {'data': 'cifar100'}, IMAGES[0]),
        ('digits', {}, IMAGES[0, :8, :8, :1]),
    ],
)
def test_normalisation_is_undone(name, options, example):
    seen = np.asarray(augment.evaluation(name, **options)(example))
    undo, _ = view_samples.undone(augment.load(name, **options))
    np.testing.assert_allclose(undo(seen), example / 255, atol=1e-6)  # float32


def test_views_of_one_image_are_its_own(held):
    """Without colours, a view of a grey level is that level, whatever the crop."""
    levels = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None] * 25, IMAGES.shape)
    IMAGES[:] = levels
    found = view_samples.make(
        config('simclr', 'cifar10', data='cifar10', jitter_p=0.0, grey_p=0.0), 3
    )
    assert len(found.images) == len(found.views) == 3
    for image, own, level in zip(
        found.images, found.views, (0, 75, 150)
    ):  # examples 0, 3 and 6 of 10
        np.testing.assert_allclose(image, level / 255)
        assert len(own) == 2
        np.testing.assert_allclose(own, level / 255, atol=1e-5)


def test_pipelines_in_words():
    assert (
        view_samples.described(augment.load('simclr', data='cifar10'))
        == 'Views 1 to 2: crop of 8 to 100 % of the area to 32 px (bicubic), flip p 0.5, jitter'
        ' (brightness 0.4, contrast 0.4, saturation 0.4, hue 0.1) p 0.8, grey p 0.2'
    )
    two = view_samples.described(augment.load('byol', data='imagenet100', size=96))
    assert (
        two.startswith('View 1: ')
        and 'blur 0.1 to 2 px p 1. View 2: ' in two
        and two.endswith('solarize p 0.2')
    )
    assert 'Views 3 to 6: crop of 5 to 14 %' in view_samples.described(
        augment.load('swav', data='tin', local_views=4)
    )
    assert view_samples.described(augment.load('noise', sigma=0.2)) == 'sigma = 0.2'
    assert 'rotation = 5.0, shift = 1.0' in view_samples.described(
        augment.load('digits', rotation=5.0)
    )


def my_views(key, image, *, strength: float):
    return image * strength, image * 0.0


def test_the_users_own_views_are_stretched():
    pipeline = augment.load(f'{__name__}:my_views', strength=3.0)
    undo, words = view_samples.undone(pipeline)
    np.testing.assert_allclose(undo(np.array([-1.0, 1.0, 3.0])), [0, 0.5, 1])
    assert undo(np.zeros(3)).tolist() == [0, 0, 0] and 'stretched' in words
    assert view_samples.described(pipeline) == 'strength = 3.0'


def test_more_images_than_there_are(held):
    with pytest.raises(ValueError, match='--images=11, but there are 10 training examples'):
        view_samples.make(config('simclr', 'cifar10', data='cifar10'), 11)


@pytest.fixture
def command(monkeypatch):
    """-> command(*arguments): what `python -m mi_ssl_jax.figures.views` does before its errors
    become one line."""

    def run(*arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, 'argv', ['views', *map(str, arguments)])
        pictures.main()

    return run


def test_the_command_draws(command, tmp_path, capsys):
    picture = tmp_path / 'new' / 'digits.png'
    command(
        '--config=configs/jmi_digits.py',
        '--images=2',
        f'--config.data.dir={tmp_path}',
        f'--output={picture}',
    )
    assert capsys.readouterr().out.strip() == f'drew {picture}'
    assert picture.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--config=configs/jmi_gaussian.py'], 'gaussian holds points, not images'),
        ([], 'no configuration: give --config'),
        (['--config=configs/jmi_digits.py', '--output=a.txt'], 'end it in .png'),
        (['--config=configs/jmi_digits.py', '--images=0'], 'images'),
        (['--config=configs/jmi_digits.py', '--config.views.options.size=4'], 'size'),
    ],
)
def test_bad_input_to_the_command(command, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    with pytest.raises(ValueError, match=words):
        command(*arguments)
