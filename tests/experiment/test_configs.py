"""The configurations: the paper's values (tests/paper.json), docstrings, each one in a small
run."""

import importlib
import itertools
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.base import common, images
from mi_ssl_jax import augment, data, methods
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs, schema
from mi_ssl_jax.runs import run, run_folder
from mi_ssl_jax.runs.checkpoint import Store
from tests.helpers import subprocesses, tiny

ROOT = pathlib.Path(__file__).parents[2]
PAPER = json.loads((ROOT / 'tests' / 'paper.json').read_text())
NAMES = sorted(
    path.stem for path in (ROOT / 'configs').glob('*.py') if 'def get_config' in path.read_text()
)
METHODS = tuple(PAPER['table4_configurations'])
FILES = {
    'cifar10': 'cifar10',
    'cifar100': 'cifar100',
    'tiny_imagenet': 'tin',
    'imagenet100': 'in100',
}
ABLATIONS = {  # name: the configuration it varies, what it changes (Figure 4; section 3.2.1)
    'sdmi_nodv': ('sdmi', {'marginal': 'none'}),
    'sdmi_nodv_pred': ('sdmi', {'marginal': 'none', 'predictor': True}),
    'simsiam_nopred': ('simsiam', {'predictor': False}),
    'simsiam_sdmi': ('simsiam', {'predictor': False, 'objective': 'dv'}),
    'mocov3_nopred': ('mocov3', {'predictor': False}),
}
ON_IMAGES = list(itertools.product(METHODS, FILES))
ON_CIFAR = list(itertools.product(METHODS, ('cifar10', 'cifar100')))


def load(name: str) -> ConfigDict:
    return importlib.import_module(f'configs.{name}').get_config()


def test_the_fields_are_those_of_the_common_configuration():
    assert set(schema.names(common.base())) == set(schema.FIELDS)


@pytest.mark.parametrize('name', NAMES)
def test_has_every_field_and_no_other(name):
    schema.check(load(name), name)


def test_a_field_too_few_or_too_many_is_named():
    config = common.base()
    del config.accumulate, config.mi.every
    with pytest.raises(
        ValueError, match=r'^my\.py lacks accumulate, mi\.every: see configs/base/common\.py'
    ):
        schema.check(config, 'my.py')
    config = common.base()
    config.data.options.clusters = 5  # an open group
    config.mi.exampels = 3
    with pytest.raises(ValueError, match=r"^my\.py: nothing reads the field 'mi\.exampels'$"):
        schema.check(config, 'my.py')
    del config.mi.examples
    with pytest.raises(ValueError, match=r"'mi\.exampels'; did you mean 'mi\.examples'\?$"):
        schema.check(config, 'my.py')


def test_the_folder_of_another_version_is_refused_in_one_line(tmp_path):
    config = json.loads(common.base().to_json())
    del config['accumulate']
    run_folder.write_json(tmp_path / 'config.json', config)
    with pytest.raises(ValueError, match='config.json lacks accumulate'):
        run_folder.read_config(tmp_path)


def docstring(name: str) -> str:
    return importlib.import_module(f'configs.{name}').__doc__


# What a configuration is
# --------------------------------------------------------------------------------------------------


def test_no_configuration_is_overlooked():
    ends = ('gaussian', 'digits', *FILES.values())
    assert {f'{method}_{end}' for method in METHODS for end in ends} <= set(NAMES)
    assert {f'{name}_cifar10' for name in ABLATIONS} <= set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_docstring_says_what_it_is_and_how_to_run_it(name):
    lines = docstring(name).splitlines()
    assert lines[0].endswith('.') and len(lines[0].split()) > 3
    assert f'python -m mi_ssl_jax.main --config=configs/{name}.py' in lines


def test_reading_them_needs_ml_collections_alone():
    """Neither JAX nor this package: a configuration is data, for tools on machines that do not
    train."""
    missing = ('jax', 'jaxlib', 'flax', 'optax', 'chex', 'tensorflow_datasets', 'mi_ssl_jax')
    code = (
        f'import importlib, sys\nfor name in {missing}: sys.modules[name] = None\n'
        'for name in sys.argv[1:]: importlib.import_module(f"configs.{name}").get_config()\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code, *NAMES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=subprocesses.environment(),
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('name', NAMES)
def test_every_argument_of_the_method_can_be_overridden(name):
    config = load(name)
    assert set(config.method) - {'name'} == set(methods.options(config.method.name))


def test_two_configurations_share_no_field():
    one, other = load('jmi_cifar10'), load('jmi_cifar10')
    one.method.block_size = 64
    one.net.options.conv4.width = 4
    assert other.method.block_size == 0 and other.net.options.conv4.width != 4


# The paper's values
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('method, name', ON_CIFAR)
def test_cifar_has_the_values_of_tables_3_and_5(method, name):
    config, fixed, best = (
        load(f'{method}_{name}'),
        PAPER['table3_sweep1'],
        PAPER['table5_best'][method][name],
    )
    assert config.method.name == method and config.data.name == config.views.options.data == name
    assert (config.net.name, config.batch_size) == (fixed['encoder'], fixed['batch_size'])
    assert config.epochs == 1000  # the text above Table 3: the best one is trained for 1000 epochs
    assert (config.lr, config.weight_decay) == (best['lr'], best['weight_decay'])
    assert config.net.projector == widths(best, fixed['feature_dim'])
    assert config.net.predictor == (fixed['prediction_dim'],) * (fixed['prediction_layers'] - 1)
    assert config.seed == fixed['seed'] and config.warmup_epochs == 0
    assert_method(config, temperature=best['temperature'], predictor=best['predictor'])


@pytest.mark.parametrize('method, name', [pair for pair in ON_IMAGES if pair not in ON_CIFAR])
def test_larger_images_have_the_values_of_table_6(method, name):
    config, table = load(f'{method}_{FILES[name]}'), PAPER['table6'][name]
    assert config.method.name == method and config.data.name == config.views.options.data == name
    batch = (
        table.get('batch_size_sdmi', table['batch_size'])
        if method == 'sdmi'
        else table['batch_size']
    )
    assert config.batch_size == batch
    for field in ('epochs', 'warmup_epochs', 'lr', 'weight_decay'):
        assert config[field] == table[field], field
    assert config.net.name == table['encoder']
    assert config.net.projector == widths(table, table['feature_dim'])
    predictor = PAPER['table5_best'][method]['cifar10']['predictor']  # Table 6 says nothing of it
    assert_method(config, temperature=0.1, predictor=predictor)


def widths(row: dict, features: int) -> tuple[int, ...]:
    return (features,) * (row['projection_layers'] - 1) + (row['projection_dim'],)


def assert_method(config: ConfigDict, *, temperature: float | None, predictor: bool):
    """What Tables 3 and 5 say of a method: temperature, predictor, EMA, VICReg's coefficients."""
    method, ema = config.method, PAPER['table3_sweep1']['momentum']
    if method.name in PAPER['table3_sweep1']['temperature']['methods']:
        assert method.temperature == temperature
    assert ('momentum' in method) == (method.name in ema['methods'])
    if 'momentum' in method:
        assert (method.momentum, method.momentum_schedule) == (ema['value'], 'constant')
    if method.name == 'vicreg':
        assert (method.invariance_weight, method.variance_weight, method.covariance_weight) == (
            25,
            25,
            1,
        )
        assert method.eps == 1e-4
    branches = setup(config).method.branches.values()
    assert any(branch.net.predictor is not None for branch in branches) == predictor


@pytest.mark.parametrize('method, name', ON_IMAGES)
def test_docstring_has_the_papers_accuracy(method, name):
    table = PAPER['table1_linear_probe_percent']
    rows = ['sdmi (f_theta)', 'sdmi (g_xi)'] if method == 'sdmi' else [method]
    text = docstring(f'{method}_{FILES[name]}')
    for cell in (table[row][name] for row in rows):
        assert f'{cell["mean"]:.2f} +- {cell["std"]:.2f}' in text


@pytest.mark.parametrize('method, name', ON_IMAGES)
def test_our_choices_stand(method, name):
    """Not the paper's, but said to be ours in configs/base/images.py: change both together."""
    config = load(f'{method}_{FILES[name]}')
    assert (config.optimizer.name, config.optimizer.momentum) == ('sgd', 0.9)
    size, stem = {'tiny_imagenet': (64, 'small'), 'imagenet100': (224, 'imagenet')}.get(
        name, (32, 'small')
    )
    assert config.views.options.size == size and config.views.name == images.VIEWS.get(
        method, method
    )
    assert config.net.options[config.net.name].stem == stem
    assert config.net.options.resnet50.zero_init_residual
    assert config.net.options.resnet18.zero_init_residual == (method != 'byol')
    assert config.data.streamed == (name == 'imagenet100')
    if method == 'barlow':
        assert config.method.redundancy_weight == 0.005


def test_mmi_on_imagenet_100_is_trained_as_its_number_most_likely_was():
    config = load('mmi_in100')
    assert (config.net.name, config.epochs, config.net.options.resnet18.stem) == (
        'resnet18',
        400,
        'imagenet',
    )
    text = docstring('mmi_in100')
    assert '81.1 %' in text and '--config.net.name=resnet50 --config.epochs=800' in text


@pytest.mark.parametrize('name', ABLATIONS)
def test_ablations_differ_from_their_method_in_what_they_are_named_after(name):
    parent, changes = ABLATIONS[name]
    expected = load(f'{parent}_cifar10')
    expected.method.update(changes)
    assert load(f'{name}_cifar10').to_dict() == expected.to_dict()


def test_simsiam_sdmi_names_the_numbers_of_figure_4():
    for cell in (PAPER['figure4_linear_probe_cifar10'][row] for row in ('simsiam', 'simsiam_sdmi')):
        assert f'{cell["mean"]:.2f} +- {cell["std"]:.2f}' in docstring('simsiam_sdmi_cifar10')


# Runs on made-up data
# --------------------------------------------------------------------------------------------------

SHAPES = {
    'gaussian': (2,),
    'digits': (8, 8, 1),
    'cifar10': (32, 32, 3),
    'cifar100': (32, 32, 3),
    'tiny_imagenet': (64, 64, 3),
    'my_vectors': (6,),
    'my_series': (20, 2),
    'my_scans': (32, 32, 5),
}
FLOATS = ('gaussian', 'my_vectors', 'my_series')
GRAPHS = {'sbm': (6, 64), 'karate': (6, 34), 'graph_npz': (6, 10)}  # nodes, features


def made_up(name, data_dir, *, short_side=None, size=40, **options):
    """A data set of the real one's shape with random content: `size` examples to train on, 16 held
    out."""
    if name in GRAPHS:
        return graphs(name, size)
    shape, rng = SHAPES.get(name) or (short_side, short_side, 3), np.random.default_rng(0)

    def drawn(*shape):
        if name in FLOATS:
            return rng.normal(size=shape).astype(np.float32)
        return rng.integers(0, 256, shape, np.uint16 if name == 'my_scans' else np.uint8)

    def split(count):
        return data.Split(drawn(count, *shape), np.arange(count, dtype=np.int32) % 4)

    centres = drawn(4, 2) if name == 'gaussian' else None
    return data.Resident(name, split(size), split(16), shape, ('a', 'b', 'c', 'd'), centres)


def graphs(name, size):
    """As many small graphs as there would be images: a step takes a batch of them, and every node
    is a row."""
    (nodes, features), rng = GRAPHS[name], np.random.default_rng(0)

    def split(count):
        x = {
            'features': rng.normal(size=(count, nodes, features)).astype(np.float32),
            'edges': rng.integers(0, nodes, (count, 8, 2)).astype(np.int32),
            'mask': np.ones((count, 8), bool),
        }
        return data.Split(x, rng.integers(-1, 4, (count, nodes)).astype(np.int32))

    return data.Resident(
        name, split(size), split(16), (nodes, features), ('a', 'b', 'c', 'd'), None
    )


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    monkeypatch.setattr(data, 'load', made_up)


def setup(config: ConfigDict) -> experiments.Setup:
    """The real networks and methods; only the data are few. Nothing is compiled in mode 'loop'."""
    config.update({'batch_size': 16, 'mode': 'loop', 'data': {'streamed': False, 'short_side': 24}})
    config.probe.labels, config.mi.examples = ('all',), 0  # fewer of them would be too few
    return experiments.setup(config)


@pytest.mark.parametrize('name', NAMES)
def test_builds(name):
    config = load(name)
    ready = setup(config)
    last = (
        config.net.options[config.net.name].widths if config.net.name == 'gcn' else (3,)
    )  # the Gaussian encoder's 3
    assert ready.width == (config.net.projector or last)[-1]
    assert ready.spec.steps_per_pass == 2 and ready.spec.passes == config.epochs
    example = ready.source.example
    made = jax.eval_shape(ready.spec.views, jax.random.PRNGKey(0), example)
    options = inputs.views_options(config, ready.source)
    plain = jax.eval_shape(augment.evaluation(config.views.name, **options), example)
    assert len(made) >= 2 and made[0] == made[1]  # shapes and types; further views may be smaller
    assert made[0] == plain


@pytest.mark.parametrize(
    'name, features, heads',
    [
        ('mocov3_cifar10', 512, [(512, 2048), (2048, 256), (256, 256), (256, 256)]),
        ('simsiam_in100', 2048, [(2048, 512), (512, 512), (512, 256), (256, 256), (256, 256)]),
    ],
)
def test_the_papers_widths_reach_the_network(name, features, heads):
    """Feature dimension: hidden layers of the projector. Prediction dimension: of the predictor."""
    online = experiments.abstract(setup(load(name))).variables['online']['params']
    kernels = [
        leaf.shape[1:] for head in ('projector', 'predictor') for _, leaf in in_order(online[head])
    ]
    assert kernels == heads and heads[0][0] == features


@pytest.mark.parametrize(
    'network, features', [('conv4', 64), ('resnet18', 512), ('resnet50', 2048)]
)
def test_another_network_can_be_named(network, features):
    """--config.net.name=conv4 for a CPU."""
    config = load('jmi_cifar10')
    config.net.name = network
    projector = experiments.abstract(setup(config)).variables['theta']['params']['projector']
    assert in_order(projector)[0][1].shape[1:] == (features, 2048)


def in_order(head: dict) -> list:
    """The weights of a head's linear layers, first layer first."""
    return sorted((name, layer['kernel']) for name, layer in head.items() if 'kernel' in layer)


OPERATIONS = ('jitter_p', 'grey_p', 'blur_p', 'solarize_p')  # of views beside the crop
FEW = {'slice_size': 16}  # arguments that must fit a batch of 16


def small(config: ConfigDict) -> ConfigDict:
    """The configuration with two steps an epoch, a network that compiles in seconds, crops alone as
    views."""
    config.update(
        {
            'batch_size': 16,
            'epochs': 1,
            'warmup_epochs': 0,
            'seeds': 1,
            'data': {'streamed': False, 'short_side': 24},
            'mi': {'batch_size': 16, 'examples': 0},
            'probe': {'labels': ('all',)},
        }
    )
    if config.net.projector:
        config.update({'mode': 'loop', 'net': {'projector': (16, 4), 'predictor': (8,)}})
    if 'size' in config.views.options:
        config.views.options.update({'size': 16, **dict.fromkeys(OPERATIONS, 0.0)})
        if config.net.name == 'vit':  # takes views of several sizes
            config.net.options.vit.update({'width': 8, 'heads': 2, 'depth': 1})
        else:
            config.net.name, config.net.options.mlp = 'mlp', ConfigDict({'widths': (6,)})
    config.method.update({name: value for name, value in FEW.items() if name in config.method})
    return config


def different() -> list[str]:
    """One name of each set of configurations that are the same in a small run: all but the name of
    the data, which are made up."""
    found = {}
    for name in NAMES:
        own = small(load(name)).to_dict()
        own['data']['name'] = SHAPES.get(own['data']['name'], own['data']['name'])
        own['views']['options'].pop('data', None)
        found.setdefault(repr(own), name)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize('name', different())
def test_two_steps_and_back_from_the_checkpoint(name, tmp_path, monkeypatch):
    saved = []

    class Recording(Store):
        def save(self, number, tree, *rest):
            saved.append(tree)
            super().save(number, tree, *rest)

    monkeypatch.setattr(run, 'Store', Recording)
    # What is watched takes longest to compile and is the same for all: see tests/runs/test_run.py.
    watched = {'mi': {'cos_dv': np.zeros(1)}, 'collapse': {}}
    monkeypatch.setattr(experiments, 'measure', lambda _: lambda *_, **__: dict(watched))
    with tiny.hardly_optimised():
        run.run(small(load(name)), tmp_path)
        ready = experiments.setup(run_folder.read_config(tmp_path))
        population, progress = run.restore(ready, tmp_path)
    restored = experiments.stacked(population)
    assert progress['epoch'] == 1 and {int(count[0]) for count in restored.steps.values()} == {2}
    for there, back in zip(jax.tree.leaves(saved[-1]), jax.tree.leaves(restored), strict=True):
        np.testing.assert_array_equal(there, back)
    lines = map(json.loads, (tmp_path / 'metrics.jsonl').read_text().splitlines())
    logged = {phase for line in lines for phase in line.get('loss', {})}
    assert logged == {phase.name for phase in ready.method.phases}


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [name for name in NAMES if load(name).net.name.startswith(('resnet', 'vit'))]
)
def test_the_real_network_can_be_initialised(name):
    """Its shapes alone: the arrays take seconds and say no more."""
    ready = setup(load(name))
    assert set(experiments.abstract(ready).variables) == set(ready.method.branches)
