"""The public namespace: imported lazily, and everything in it documented."""

import importlib
import inspect
import pathlib
import re
import subprocess
import sys
import types

import pytest

import mi_ssl_jax as ms
from tests.helpers import subprocesses

# Loaders by name pass the options on to what the name refers to, the user's own code included.
PASS_ON_OPTIONS = {
    'augment.evaluation',
    'augment.load',
    'augment.supervised',
    'methods.load',
    'nets.load',
}


def members(module: types.ModuleType, prefix: str = '') -> dict[str, object]:
    """Public name -> object: what `__all__` lists, here and in the modules that it lists."""
    found = {}
    for name in module.__all__:
        value = getattr(module, name)
        inner = inspect.ismodule(value)
        found |= members(value, f'{prefix}{name}.') if inner else {prefix + name: value}
    return found


MEMBERS = members(ms)
FUNCTIONS = {name: value for name, value in MEMBERS.items() if inspect.isfunction(value)}


def in_a_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=subprocesses.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    code = (
        'import sys, mi_ssl_jax; print(sorted({name.split(".")[0] for name in sys.modules} &'
        ' {"jax", "jaxlib", "flax", "optax", "chex", "numpy", "scipy", "ml_collections"}))'
    )
    assert in_a_new_process(code) == '[]'


def test_package_lists_its_names_before_it_loads_them():
    code = 'import sys, mi_ssl_jax as ms; print("losses" in dir(ms), "jax" in sys.modules)'
    assert in_a_new_process(code) == 'True False'


@pytest.mark.parametrize('name', ms.__all__)
def test_every_listed_name_is_there(name):
    assert getattr(ms, name) is not None and name in dir(ms)


def test_lazy_and_declared_names_agree():
    assert {*ms._MODULES, *ms._MEMBERS, '__version__'} == set(ms.__all__)


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'loses'"):
        _ = ms.loses


@pytest.mark.parametrize(
    'first',
    [
        'import mi_ssl_jax.estimate_mi',
        'from mi_ssl_jax.estimate_mi import main',
        'import mi_ssl_jax; mi_ssl_jax.estimate_mi; import mi_ssl_jax.estimate_mi',
    ],
)
def test_estimate_mi_is_the_function_beside_the_command_of_that_name(first):
    code = (
        f'{first}\nimport sys, types, mi_ssl_jax as ms\nfrom mi_ssl_jax import estimate_mi\n'
        'print(type(ms.estimate_mi).__name__, ms.estimate_mi is estimate_mi,'
        ' hasattr(sys.modules["mi_ssl_jax.estimate_mi"], "main"))'
    )
    assert in_a_new_process(code) == 'function True True'


def test_members_can_be_replaced(monkeypatch):
    monkeypatch.setattr(ms, 'estimate_mi', 'another')
    assert ms.estimate_mi == 'another'


def test_losses_hold_every_method():
    losses = set(importlib.import_module('mi_ssl_jax.losses').__all__)
    spelt = {'simclr': 'nt_xent', 'mocov1': 'moco', 'mocov2': 'moco'}
    assert {spelt.get(name, name) for name in ms.methods.names()} <= losses


def arguments_of(doc: str) -> list[str]:
    """Names that the section Args documents."""
    section = re.search(r'^Args:\n((?:    .*\n|\n)+)', doc + '\n', re.MULTILINE)
    names = re.findall(r'^    (\*{0,2}\w+): ', section[1], re.MULTILINE) if section else []
    return [name.lstrip('*') for name in names]


def complaints(name: str, function: types.FunctionType) -> list[str]:
    """What the documentation or the signature of a public function lacks."""
    doc, parameters = inspect.getdoc(function) or '', inspect.signature(function).parameters
    summary, _, rest = doc.partition('\n')
    open_ended = [p for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    found = {
        'no one-line summary that ends with a full stop': not re.match(r'[A-Z].*\.$', summary)
        or rest.split('\n')[0] != '',
        f'Args documents {arguments_of(doc)}, not {list(parameters)}': arguments_of(doc)
        != list(parameters),
        'no section Returns': '\nReturns:\n' not in doc,
        'takes any arguments: spell them': bool(open_ended) and name not in PASS_ON_OPTIONS,
        'raises errors that Raises does not name': 'raise ValueError' in inspect.getsource(function)
        and '\nRaises:\n    ValueError: ' not in doc,
    }
    return [f'{name}: {complaint}' for complaint, holds in found.items() if holds]


@pytest.mark.parametrize('name', FUNCTIONS)
def test_public_functions_are_documented(name):
    assert not complaints(name, FUNCTIONS[name])


def undocumented(x, *more, y, **options):
    """What is
    this."""
    raise ValueError


def misnamed(x):
    """Take one thing.

    Args:
        y: another thing.

    Returns:
        Nothing.
    """


def test_what_is_missing_is_seen():
    assert len(complaints('undocumented', undocumented)) == 5
    assert complaints('misnamed', misnamed) == ["misnamed: Args documents ['y'], not ['x']"]


def test_public_classes_are_documented():
    classes = {name: value for name, value in MEMBERS.items() if inspect.isclass(value)}
    assert classes and [name for name, value in classes.items() if not value.__doc__] == []


def test_the_package_is_marked_as_typed():
    assert (pathlib.Path(ms.__file__).parent / 'py.typed').is_file()
