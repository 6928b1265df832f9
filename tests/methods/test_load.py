"""Methods by name: what they say about themselves, and what they say to a slip of the pen."""

import inspect

import numpy as np
import pytest

from mi_ssl_jax import methods
from mi_ssl_jax.methods import api
from tests.helpers import tiny

# Table 7 of the paper (arXiv 2510.01345), and the devices that its text and the methods' own papers
# name.
TABLE_7 = {
    'sdmi': ('sdmi', 'em', 'explicit'),
    'mocov3': ('sdmi', 'em', 'explicit'),
    'byol': ('sdmi', 'em', 'surrogate'),
    'simsiam': ('sdmi', 'em', 'surrogate'),
    'jmi': ('jmi', 'joint', 'explicit'),
    'simclr': ('jmi', 'joint', 'explicit'),
    'barlow': ('jmi', 'joint', 'surrogate'),
    'vicreg': ('jmi', 'joint', 'surrogate'),
}
DEVICES = {
    'sdmi': {'stop_gradient'},
    'mocov3': {'ema', 'stop_gradient', 'predictor'},
    'byol': {'ema', 'stop_gradient', 'predictor'},
    'simsiam': {'stop_gradient', 'predictor'},
    'jmi': set(),
    'simclr': set(),
    'barlow': set(),
    'vicreg': set(),
}


@pytest.mark.parametrize('name', TABLE_7)
def test_table_7(name):
    method = tiny.method(name)
    assert (method.paradigm, method.update, method.objective) == TABLE_7[name]
    assert {device for device, present in api.structure(method).items() if present} == DEVICES[name]


@pytest.mark.parametrize('name', methods.names())
def test_every_method_is_consistent(name):
    method = tiny.method(name)
    assert method.paradigm in ('sdmi', 'jmi') and method.update in ('em', 'joint')
    assert method.objective in ('explicit', 'surrogate')
    trained = {phase.trains for phase in method.phases}
    followers = {
        branch for branch in method.branches if method.branches[branch].follows is not None
    }
    # Every branch moves, by gradient or after one that does, and never both.
    assert trained | followers == set(method.branches) and not trained & followers
    assert all(method.branches[branch].follows in trained for branch in followers)
    assert [phase.name for phase in method.phases] in (['joint'], ['e'], ['e', 'm'])
    assert {method.tracked.a, method.tracked.b} <= set(method.branches)


@pytest.mark.parametrize(
    'name, arguments',
    [
        ('sdmi', {'marginal': None}),
        ('jmi', {'marginal': 'redundancy'}),
        ('jmi', {'marginal': 'variance_covariance'}),
    ],
)
def test_without_the_bounds_own_marginal_the_objective_is_a_surrogate(name, arguments):
    assert tiny.method(name, **arguments).objective == 'surrogate'


def test_ablations_of_figure_4():
    assert api.structure(tiny.method('sdmi', marginal=None, predictor=True))['predictor']
    assert not api.structure(tiny.method('simsiam', predictor=False))['predictor']
    assert not api.structure(tiny.method('mocov3', predictor=False))['predictor']
    assert tiny.method('simsiam', predictor=False, objective='dv').objective == 'explicit'


def message(call, *arguments, **keywords):
    with pytest.raises(ValueError) as error:
        call(*arguments, **keywords)
    assert '\n' not in str(error.value)
    return str(error.value)


def load(name, **arguments):
    own = tiny.arguments(name) if name in methods.names() else {}
    return methods.load(name, tiny.parts(), **own | arguments)


def test_unknown_method_names_the_nearest_and_lists_all():
    text = message(load, 'simclir')
    assert "did you mean 'simclr'?" in text
    assert all(name in text for name in methods.names())


def test_unknown_argument_names_the_nearest_and_lists_all():
    text = message(load, 'sdmi', temperatur=0.5)
    assert "did you mean 'temperature'?" in text
    assert all(name in text for name in ('objective', 'marginal', 'predictor', 'block_size'))
    assert 'block_sise' in message(load, 'jmi', temperature=1.0, block_sise=3)
    assert 'momentum' in message(
        load, 'simsiam', momentum=0.9
    )  # nothing is near it, but it is named


def test_missing_arguments_are_named():
    text = message(methods.load, 'mocov3', tiny.parts())
    assert 'temperature' in text and 'momentum' in text


@pytest.mark.parametrize(
    'name, arguments, known',
    [
        ('sdmi', {'objective': 'eq13'}, ('dv', 'infonce', 'jsd', 'nwj', 'taylor_dv')),
        ('jmi', {'objective': 'DV'}, ('dv', 'infonce', 'jsd', 'nwj', 'taylor_dv')),
        ('mocov3', {'objective': 'info_nce'}, ('dv', 'infonce', 'jsd', 'nwj', 'taylor_dv')),
        (
            'simclr',
            {'objective': 'ntxent'},
            ('nt_xent', 'dv', 'infonce', 'jsd', 'nwj', 'taylor_dv'),
        ),
        ('simsiam', {'objective': 'cos'}, ('cosine', 'dv', 'infonce', 'jsd', 'nwj', 'taylor_dv')),
        ('sdmi', {'marginal': 'none'}, ('bound', 'None', 'variance_covariance', 'redundancy')),
        ('jmi', {'marginal': 'redundency'}, ('bound', 'None', 'variance_covariance', 'redundancy')),
        ('byol', {'momentum_schedule': 'cos'}, ('cosine', 'constant')),
        ('mocov3', {'momentum_schedule': 'linear'}, ('cosine', 'constant')),
    ],
)
def test_unknown_names_are_listed_with_the_known_ones(name, arguments, known):
    text = message(tiny.method, name, **arguments)
    assert repr(next(iter(arguments.values()))) in text
    assert all(right in text for right in known)


@pytest.mark.parametrize('momentum', [-0.1, 1.5, float('nan')])
def test_momentum_outside_0_and_1(momentum):
    assert 'between 0 and 1' in message(tiny.method, 'byol', momentum=momentum)


@pytest.mark.parametrize('objective', ['dv', 'infonce', 'jsd', 'nwj', 'taylor_dv'])
@pytest.mark.parametrize('name', ['sdmi', 'jmi', 'simsiam', 'simclr', 'mocov3'])
def test_every_bound_goes_into_every_method_that_takes_one(name, objective):
    assert tiny.method(name, objective=objective).objective == 'explicit'


def test_a_method_from_the_users_own_package(tmp_path, monkeypatch):
    (tmp_path / 'my_package').mkdir()
    (tmp_path / 'my_package' / '__init__.py').touch()
    (tmp_path / 'my_package' / 'my_method.py').write_text(
        'from mi_ssl_jax.methods import jmi\n\n\n'
        'VALUES = dict(objective="dv", marginal="bound", marginal_weight=1.0, '
        'block_size=None, critic="cosine")\n\n\n'
        'def build(parts, *, sharpness):\n'
        '    return jmi.build(parts, **VALUES, temperature=1 / sharpness)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    name = 'my_package.my_method:build'
    assert load(name, sharpness=2.0).paradigm == 'jmi'
    assert 'sharpness' in message(load, name)
    assert "did you mean 'sharpness'?" in message(load, name, sharpnes=2.0)
    assert 'my_package.no_such' in message(load, 'my_package.no_such:build')


def test_variants_are_methods_and_every_build_takes_its_arguments_by_keyword():
    assert 'mocov3' in methods.names() and 'moco' not in methods.names()
    for name in methods.names():
        assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in methods.options(name).values())


def test_ema_coefficients():
    progress = np.linspace(0, 1, 5)
    np.testing.assert_allclose(api.momentum(0.9, 'constant', 1.0)(progress), 0.9)
    # 1 - (1 - 0.9) (1 + cos(pi t)) / 2 at t = 0, 1/4, 1/2, 3/4, 1.
    half = 0.5**0.5
    expected = 1 - 0.1 * np.array([2, 1 + half, 1, 1 - half, 0]) / 2
    np.testing.assert_allclose(api.momentum(0.9, 'cosine', 1.0)(progress), expected, rtol=1e-6)
    # To another end: .99 + (.9 - .99) (1 + cos(pi t)) / 2.
    expected = 0.99 - 0.09 * np.array([2, 1 + half, 1, 1 - half, 0]) / 2
    np.testing.assert_allclose(api.momentum(0.9, 'cosine', 0.99)(progress), expected, rtol=1e-6)
    with pytest.raises(ValueError, match='momentum_end=1.5: an EMA coefficient lies between'):
        api.momentum(0.9, 'cosine', 1.5)


def test_structures_list_every_method_and_what_modules_add_to_it():
    found = methods.structures()
    assert set(methods.names()) < set(found)
    assert all(found[name] == (name, {}) for name in methods.names())
    assert found['mmi, momentum_encoder=True'] == ('mmi', {'momentum_encoder': True})
    for (
        name,
        arguments,
    ) in found.values():  # each one differs from its method by default in what it is made of
        made = [tiny.method(name, **changes) for changes in ({}, arguments)]
        nets = [{key: str(branch.net) for key, branch in one.branches.items()} for one in made]
        assert not arguments or nets[0] != nets[1]
