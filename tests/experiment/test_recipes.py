"""The presets with published numbers hold their sources' values; ours say that they are ours."""

import importlib
import pathlib

import pytest

from configs.base import images
from mi_ssl_jax import augment
from mi_ssl_jax.experiment import build

ROOT = pathlib.Path(__file__).parents[2]
STRONG = ((0.8, 0.8, 0.8, 0.2), (0.5, 0.5), (0, 0), 0.08)
WEAK = ((0.4, 0.4, 0.4, 0.1), (0.5, 0.5), (0, 0), 0.08)
ASYMMETRIC = ((0.4, 0.4, 0.2, 0.1), (0, 0), (0, 0.2), 0.08)
# solo-learn's results on CIFAR-10 and CIFAR-100: numbers, optimiser, rate, decay, projector,
# predictor, views (jitter, blur, solarize, least crop).
SOLO = {
    'simclr': ('90.74 65.78', 'lars', 0.4, 1e-4, (2048, 256), None, STRONG),
    'simsiam': ('90.51 66.04', 'sgd', 0.5, 1e-5, (2048,) * 3, (512,), WEAK),
    'byol': ('92.58 70.46', 'lars', 1.0, 1e-5, (4096, 256), (4096,), ASYMMETRIC),
    'mocov2': ('92.94 69.89', 'sgd', 0.3, 1e-4, (2048, 256), None, WEAK),
    'mocov3': ('93.10 68.83', 'lars', 0.3, 1e-6, (4096, 256), (4096,), ASYMMETRIC),
    'barlow': ('92.10 70.90', 'lars', 0.3, 1e-4, (2048,) * 3, None, ASYMMETRIC),
    'vicreg': (
        '92.07 68.54',
        'lars',
        0.3,
        1e-4,
        (2048,) * 3,
        None,
        ((0.4, 0.4, 0.2, 0.1), (0, 0), (0.1, 0.1), 0.2),
    ),
    'dino': ('89.52 66.76', 'lars', 0.3, 1e-6, (2048, 256), None, ASYMMETRIC),
    'swav': ('89.17 64.88', 'lars', 0.6, 1e-6, (2048, 128), None, STRONG),
    'wmse': (
        '88.67 61.33',
        'adam',
        2e-3,
        1e-6,
        (1024, 64),
        None,
        ((0.8, 0.8, 0.8, 0.2), (0, 0), (0, 0), 0.2),
    ),
}
ARGUMENTS = {  # what the rows say of the methods themselves
    'simclr': {'temperature': 0.2, 'head_norm': False, 'objective': 'nt_xent'},
    'byol': {'momentum': 0.99, 'momentum_schedule': 'cosine', 'momentum_end': 1.0},
    'mocov2': {
        'queue_size': 32_768,
        'temperature': 0.2,
        'momentum': 0.99,
        'momentum_schedule': 'cosine',
        'momentum_end': 0.999,
    },
    'mocov3': {'temperature': 0.2, 'momentum': 0.99, 'momentum_end': 1.0},
    'barlow': {'redundancy_weight': 0.0051, 'loss_scale': 0.1},
    # Its code adds both views' variance terms: tests/methods/test_golden_methods.py.
    'vicreg': {'invariance_weight': 25, 'variance_weight': 2 * 25, 'covariance_weight': 1},
    'dino': {'prototypes': 4096, 'momentum': 0.9995, 'momentum_schedule': 'cosine'},
    'swav': {
        'prototypes': 3000,
        'frozen_epochs': 2,
        'temperature': 0.1,
        'queue_size': 3840,
        'queue_epoch': 50,
    },
    'wmse': {'slice_size': 128},
}
DATA = {'cifar10': 0, 'cifar100': 1}
# Method without a recipe of its own -> where its preset begins.
OURS = {'sdmi': 'mocov3', 'jmi': 'simclr'}


def load(name):
    module = importlib.import_module(f'configs.{name}')
    return module.get_config(), module.__doc__


def of_views(config):
    """(jitter, blur, solarize, least crop) of the two views that a configuration makes."""
    made = augment.load(config.views.name, **config.views.options).keywords['views']
    assert len(made) == 2 and made[0].jitter == made[1].jitter and made[0].jitter_p == 0.8
    blur, solarize = (
        tuple(getattr(view, name) for view in made) for name in ('blur_p', 'solarize_p')
    )
    assert made[0].scale == made[1].scale and made[0].scale[1] == 1
    return made[0].jitter, blur, solarize, made[0].scale[0]


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize('method', SOLO)
def test_solo_learns_rows(method, data):
    config, text = load(f'{method}_{data}_tuned')
    numbers, optimiser, lr, decay, projector, predictor, views = SOLO[method]
    assert f'{numbers.split()[DATA[data]]} %' in text and 'online' in text
    assert (config.data.name, config.views.options.data) == (data, data)
    assert (config.optimizer.name, config.weight_decay) == (optimiser, decay)
    assert build.learning_rate(config) == config.lr == lr  # a batch of 256
    assert (config.batch_size, config.epochs, config.warmup_epochs) == (256, 1000, 10)
    assert config.schedule.start * lr == pytest.approx(3e-5) and config.schedule.final == 0
    assert config.net.projector == projector
    assert predictor is None or config.net.predictor == predictor
    assert (config.net.name, config.net.options.resnet18.stem) == ('resnet18', 'small')
    assert of_views(config) == views
    if optimiser == 'lars':
        lars = config.optimizer.lars
        assert (lars.eta, lars.ratio, lars.clip, lars.vectors) == (0.02, 'parts', True, False)
    for name, value in ARGUMENTS.get(method, {}).items():
        assert config.method[name] == value, name


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize('method', OURS)
def test_our_starting_points_are_said_to_be_ours(method, data):
    """All that is not the method's own is the relative's."""
    (config, text), (relative, _) = (
        load(f'{method}_{data}_tuned'),
        load(f'{OURS[method]}_{data}_tuned'),
    )
    assert 'our starting point' in text.splitlines()[0] and 'No recipe' in text
    own, other = config.to_dict(), relative.to_dict()
    assert config.method.temperature == relative.method.temperature
    for values in (own, other):
        values['method'] = values['net']['predictor'] = None
    assert own == other


@pytest.mark.parametrize(
    'data, number, weight', [('cifar10', 93.18, 250), ('cifar100', 71.61, 1000)]
)
def test_corinfomax_and_mmi_by_its_recipe(data, number, weight):
    config, text = load(f'corinfomax_{data}_tuned')
    assert f'{number} %' in text and 'offline' in text
    method = config.method
    assert (method.invariance_weight, method.decay, method.eps) == (weight, 0.01, 1e-8)
    assert (config.optimizer.name, config.batch_size, config.epochs) == ('sgd', 512, 1000)
    assert (build.learning_rate(config), config.weight_decay) == (0.5, 1e-4)
    assert config.net.projector == (2048, 2048, 64) and config.schedule.final == 0
    assert of_views(config) == ((0.4, 0.4, 0.2, 0.1), (1, 0.1), (0, 0.2), 0.08)
    mmi, text = load(f'mmi_{data}_tuned')
    assert 'our starting point' in text.splitlines()[0] and 'No recipe' in text
    own, other = mmi.to_dict(), config.to_dict()
    own['method'] = other['method'] = None
    assert own == other


@pytest.mark.parametrize('data, numbers', [('cifar10', '80.6 90.7 93.1'), ('cifar100', '70.1')])
def test_emp_ssl(data, numbers):
    """Twenty patches; SGD with Nesterov's momentum inside solo-learn's LARS."""
    config, text = load(f'empssl_{data}_tuned')
    assert all(number in text for number in numbers.split()) and 'offline' in text
    assert 'mean over 128 patches' in ' '.join(text.split())  # what our probe does not do
    assert (config.batch_size, config.epochs, config.warmup_epochs) == (100, 30, 0)
    assert (build.learning_rate(config), config.weight_decay) == (0.3, 1e-4)
    lars = config.optimizer.lars
    assert (lars.eta, lars.ratio, lars.clip, lars.vectors) == (0.005, 'parts', True, False)
    assert config.optimizer.nesterov and config.optimizer.momentum == 0.9
    assert config.method.to_dict() == {
        'name': 'empssl',
        'invariance_weight': 200,
        'distortion': 0.2,
    }
    assert config.net.projector == (4096, 4096, 1024)
    assert not config.net.options.resnet18.zero_init_residual
    made = augment.load(config.views.name, **config.views.options).keywords['views']
    assert len(made) == 20 and {(view.scale, view.ratio) for view in made} == {
        ((0.25, 0.25), (1, 1))
    }


def test_vicreg_in_the_units_of_eb_jepa():
    """Invariance + 1 (hinge a + hinge b) + 100 (mean of the D (D - 1) squared covariances, a and
    b)."""
    config, text = load('vicreg_cifar10_300')
    assert '90.12 %' in text and 'mean of three seeds' in text and config.epochs == 300
    method, width = config.method, config.net.projector[-1]
    assert config.net.projector == (2048, 1024)
    assert (
        method.invariance_weight == 1 and method.variance_weight == 2 * 1
    )  # VICReg halves the sum
    assert method.covariance_weight / width == pytest.approx(100 / (width * (width - 1)))


def test_lightlys_simclr():
    config, text = load('simclr_cifar10_200')
    assert '84.7 %' in text and 'kNN' in text
    assert (config.batch_size, config.epochs, config.warmup_epochs) == (128, 200, 0)
    assert (build.learning_rate(config), config.weight_decay) == (0.06, 5e-4)
    assert config.optimizer.name == 'sgd' and config.method.temperature == 0.5
    assert of_views(config) == ((0.4, 0.4, 0.4, 0.1), (0, 0), (0, 0), 0.08)
    assert config.net.projector == (512, 128)


def test_the_papers_presets_stay_as_they_were():
    """A tuned preset stands beside the paper's and shares nothing with it that it could change."""
    load('simclr_cifar10_tuned')
    config = images.cifar('simclr', 'cifar10')
    assert (config.optimizer.name, config.schedule.start, config.method.temperature) == (
        'sgd',
        0,
        0.1,
    )
