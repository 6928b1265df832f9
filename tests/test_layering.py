"""The import law: a module imports only from layers below its own, and what belongs in one place
stays there.

A rule is a function (module name, source) -> complaints. Each is applied to every module and, so
that it is known to be able to fail, to small sources that break it.
"""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.helpers import subprocesses

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = 'mi_ssl_jax'

# The rooms by level: a module imports only from levels below its own. Units of one level are
# siblings: neither imports the other, but for the commands, which may use one another.
LEVELS = (
    ('core', 'parallel', 'figures'),
    ('nets', 'augment', 'data'),
    ('methods',),
    ('train', 'evals', 'losses'),
    ('experiment',),
    ('runs',),
    ('cli',),
    (
        'main',
        'probe',
        'embed',
        'estimate_mi',
        'compare',
        'export',
        'finetune',
        'readout',
        'bench',
        'sweep',
    ),
    ('reproduce',),
)
LEVEL = {unit: level for level, units in enumerate(LEVELS) for unit in units}
COMMAND = LEVEL['main']
# A person's commands that live inside a room: each is of the commands' level by itself.
COMMANDS = {'mi_ssl_jax.figures.views', 'mi_ssl_jax.data.prepare'}

PURE = {'jax', 'chex', 'collections', 'functools', 'itertools', 'math', 'operator', 'typing'}
ALLOWED = {  # top-level packages a unit may import from outside
    'core': PURE | {'importlib'},  # plugins loads the user's own parts
    'parallel': {'jax'} | sys.stdlib_module_names,
}

ONLY_IN_PARALLEL = {
    'pmap',
    'shard_map',
    'xmap',
    'psum',
    'pmean',
    'pmax',
    'pmin',
    'psum_scatter',
    'ppermute',
    'pshuffle',
    'pswapaxes',
    'pbroadcast',
    'pvary',
    'all_gather',
    'all_to_all',
    'axis_index',
    'axis_size',
    'Mesh',
    'make_mesh',
    'NamedSharding',
    'PartitionSpec',
    'donate_argnums',
    'donate_argnames',  # only a step has a state to donate
}
AXIS_ARGUMENTS = {'axis_name', 'spmd_axis_name', 'bn_axis_name', 'bn_cross_replica_axis_name'}

# Units whose functions are compiled by their caller; in train/ only the initial state is compiled
# in place.
UNCOMPILED = {'core', 'nets', 'augment', 'methods', 'train'}
COMPILES = {'mi_ssl_jax.train.state'}

MAX_LINES = 380
# module -> why it may be longer
LONGER = {f'{PACKAGE}.parallel': 'the one file that names devices, axes and collectives'}


def unit_of(name: str) -> str:
    """'mi_ssl_jax.core.bounds' -> 'core'; '' for the package itself and names such as
    __version__."""
    parts = name.split('.')
    inside = parts[0] == PACKAGE and len(parts) > 1 and not parts[1].startswith('__')
    return parts[1] if inside else ''


def imported(name: str, source: str) -> Iterator[str]:
    """Absolute names of all that a module imports, at the top or inside a function."""
    package = name.split('.') if name.endswith('.__init__') else name.split('.')[:-1]
    package = [part for part in package if part != '__init__']
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = '.'.join(base + ([node.module] if node.module else []))
            yield from (f'{stem}.{alias.name}' for alias in node.names)


def imports_from_below(name: str, source: str) -> Iterator[str]:
    unit = unit_of(name)
    if not unit:  # the package itself: the public namespace, which imports lazily
        return
    if unit not in LEVEL:
        yield f'{name} belongs to no room: give it a level in LEVELS'
        return
    level = COMMAND if name in COMMANDS else LEVEL[unit]
    for target in imported(name, source):
        other = unit_of(target)
        if other in ('', unit):
            continue
        other_level = COMMAND if target in COMMANDS else LEVEL.get(other, len(LEVELS))
        if other_level > level or other_level == level != COMMAND:
            yield f'{name} (level {level}) imports {target} (level {other_level})'


def imports_from_outside(name: str, source: str) -> Iterator[str]:
    unit = unit_of(name)
    for target in imported(name, source):
        top = target.split('.')[0]
        if top == 'tensorflow':
            yield f'{name} imports tensorflow'
        if unit == 'figures' and top in ('jax', 'jaxlib', 'flax', 'optax', 'chex'):
            yield f'{name} imports {top}; figures read files only'
        if unit in ALLOWED and top not in ALLOWED[unit] | {PACKAGE}:
            yield (
                f'{name} imports {top}; {unit} may import only'
                f' {", ".join(sorted(ALLOWED[unit] - {PACKAGE}))}'
            )


def configs_are_plain(name: str, source: str) -> Iterator[str]:
    for target in imported(name, source):
        if target.split('.')[0] not in ('ml_collections', 'configs'):
            yield f'{name} imports {target}; a config imports ml_collections and configs only'


def names_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """All identifiers that refer to something: names, attributes, imported names, keywords of
    calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.name.split('.')[-1], node.lineno) for alias in node.names)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno


def defaults_in(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """(name, value) of every keyword in a call, parameter default, assignment and entry of a dict
    display."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.arguments):
            positional = node.posonlyargs + node.args
            yield from (
                (arg.arg, value)
                for arg, value in zip(reversed(positional), reversed(node.defaults))
            )
            yield from ((arg.arg, value) for arg, value in zip(node.kwonlyargs, node.kw_defaults))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign):
            yield from (
                (target.id, node.value) for target in node.targets if isinstance(target, ast.Name)
            )
        elif isinstance(node, ast.Dict):
            yield from (
                (key.value, value)
                for key, value in zip(node.keys, node.values)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )


def devices_in_parallel_only(name: str, source: str) -> Iterator[str]:
    if name == f'{PACKAGE}.parallel':
        return
    tree = ast.parse(source)
    for word, line in names_in(tree):
        if word in ONLY_IN_PARALLEL:
            yield f'{name}:{line} names {word}, which belongs in parallel.py'
        if word == 'jit' and unit_of(name) in UNCOMPILED and name not in COMPILES:
            yield f'{name}:{line} compiles; its caller does, and parallel.py compiles steps'
    for word, value in defaults_in(tree):
        if (
            word in AXIS_ARGUMENTS
            and isinstance(value, ast.Constant)
            and isinstance(value.value, str)
        ):
            yield (
                f'{name}:{value.lineno} spells the axis name {value.value!r}; it comes from'
                ' parallel.py'
            )


def short(name: str, source: str) -> Iterator[str]:
    lines = len(source.splitlines())
    if lines > MAX_LINES and name not in LONGER:
        yield f'{name} has {lines} lines: a module is missing, or LONGER lacks the reason'


def sources(folder: str) -> dict[str, str]:
    """Module name -> source, for every module under a folder of the repository."""
    files = sorted((ROOT / folder).rglob('*.py'))
    return {
        '.'.join(file.relative_to(ROOT).with_suffix('').parts): file.read_text() for file in files
    }


RULES = {
    imports_from_below: [PACKAGE],
    imports_from_outside: [PACKAGE],
    devices_in_parallel_only: [PACKAGE],
    configs_are_plain: ['configs'],
    short: [PACKAGE, 'configs'],
}


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_law(rule):
    modules = {name: source for folder in RULES[rule] for name, source in sources(folder).items()}
    assert modules, 'no modules found: the law would hold for want of anything to judge'
    complaints = [complaint for name, source in modules.items() for complaint in rule(name, source)]
    assert not complaints, '\n'.join(complaints)


BROKEN = [
    (imports_from_below, 'core.bounds', 'from mi_ssl_jax.nets import mlp'),
    (imports_from_below, 'core.bounds', 'import mi_ssl_jax.parallel'),
    (imports_from_below, 'parallel', 'from mi_ssl_jax import core'),
    (imports_from_below, 'data.source', 'from ..augment import views'),
    (imports_from_below, 'data.__init__', 'from .. import nets'),
    (imports_from_below, 'methods.byol', 'from mi_ssl_jax.train.step import step'),
    (imports_from_below, 'train.loop', 'def run():\n    from mi_ssl_jax.evals import mi'),
    (imports_from_below, 'evals.mi', 'import mi_ssl_jax.train.loop as loop'),
    (imports_from_below, 'figures.curves', 'from mi_ssl_jax.core import linalg'),
    (imports_from_below, 'train.loop', 'from mi_ssl_jax import main'),
    (imports_from_below, 'figures.curves', 'def main():\n    from mi_ssl_jax.cli import guard'),
    (imports_from_below, 'loose', 'import jax'),
    (imports_from_below, 'runs.run', 'from mi_ssl_jax.cli import guard'),
    (imports_from_below, 'cli.guard', 'from mi_ssl_jax import main'),
    (imports_from_below, 'experiment.build', 'from mi_ssl_jax.runs import run'),
    (imports_from_below, 'bench.steps', 'from mi_ssl_jax.reproduce import training'),
    (imports_from_outside, 'core.bounds', 'from flax import linen as nn'),
    (imports_from_outside, 'core.bounds', 'import os'),
    (imports_from_outside, 'parallel', 'import numpy as np'),
    (imports_from_outside, 'data.source', 'import tensorflow as tf'),
    (imports_from_outside, 'figures.curves', 'import jax.numpy as jnp'),
    (configs_are_plain, None, 'import jax'),
    (configs_are_plain, None, 'from mi_ssl_jax import methods'),
    (devices_in_parallel_only, 'methods.jmi', 'def loss(x):\n    return jax.lax.pmean(x, axis)'),
    (devices_in_parallel_only, 'train.step', 'from jax import pmap'),
    (devices_in_parallel_only, 'evals.mi', 'from jax.sharding import Mesh'),
    (devices_in_parallel_only, 'train.step', 'step = jax.jit(step)'),
    (
        devices_in_parallel_only,
        'train.step',
        '@functools.partial(jit, static_argnums=0)\ndef step(): ...',
    ),
    (devices_in_parallel_only, 'evals.linear', 'fit = jax.jit(fit, donate_argnums=0)'),
    (devices_in_parallel_only, 'nets.mlp', 'norm = nn.BatchNorm(axis_name="batch")'),
    (devices_in_parallel_only, 'nets.mlp', 'class Net:\n    axis_name: str | None = "batch"'),
    (devices_in_parallel_only, 'nets.mlp', 'def net(x, *, axis_name="batch"): ...'),
    (devices_in_parallel_only, 'nets.mlp', 'def net(x, axis_name="batch"): ...'),
    (devices_in_parallel_only, 'nets.heads', 'style = {"axis_name": "batch"}'),
    (short, 'core.bounds', '\n' * 381),
]
KEPT = [
    (
        imports_from_below,
        'core.bounds',
        'import jax\nfrom mi_ssl_jax.core import pairs\nfrom . import critics',
    ),
    (
        imports_from_below,
        'methods.byol',
        'from mi_ssl_jax.core import bounds\nfrom ..nets import mlp',
    ),
    (imports_from_below, 'train.loop', 'from mi_ssl_jax import __version__, methods, parallel'),
    (imports_from_below, 'main', 'from mi_ssl_jax import evals, figures, train'),
    (imports_from_below, 'reproduce', 'from mi_ssl_jax import main'),
    (imports_from_below, 'figures.views', 'def main():\n    from mi_ssl_jax.cli import guard'),
    (imports_from_below, 'reproduce.cifar10', 'from mi_ssl_jax.bench import costs'),
    (imports_from_outside, 'data.source', 'import tensorflow_datasets as tfds'),
    (
        imports_from_outside,
        'core.bounds',
        'import functools\nimport jax.numpy as jnp\nfrom typing import NamedTuple',
    ),
    (
        configs_are_plain,
        None,
        'from ml_collections import ConfigDict\nfrom configs.base import common',
    ),
    (devices_in_parallel_only, 'parallel', 'step = jax.pmap(step, axis_name="devices")'),
    (
        devices_in_parallel_only,
        'nets.mlp',
        'def net(x, *, axis_name=None):\n    return norm(axis_name=axis_name)',
    ),
    (devices_in_parallel_only, 'evals.linear', 'fit = jax.jit(fit)'),
    (short, 'core.bounds', '\n' * 380),
]


def qualified(name: str | None) -> str:
    return f'{PACKAGE}.{name}' if name else 'configs.base.common'


@pytest.mark.parametrize('rule, name, source', BROKEN)
def test_law_sees_what_breaks_it(rule, name, source):
    assert list(rule(qualified(name), source))


@pytest.mark.parametrize('rule, name, source', KEPT)
def test_law_lets_pass_what_keeps_it(rule, name, source):
    assert not list(rule(qualified(name), source))


def test_exceptions_are_still_needed():
    modules = sources(PACKAGE)
    assert [name for name in LONGER if len(modules.get(name, '').splitlines()) <= MAX_LINES] == []
    assert [name for name in COMPILES if 'jit' not in modules.get(name, 'jit')] == []
    assert [name for name in COMMANDS if '__main__' not in modules[name]] == []


def import_without_jax(modules: list[str], path: pathlib.Path) -> subprocess.CompletedProcess:
    """Import the modules in a process in which JAX and what stands on it cannot be imported."""
    code = (
        'import sys, importlib\nfor name in ("jax", "jaxlib", "flax", "optax", "chex", "orbax"):'
        ' sys.modules[name] = None\nfor name in sys.argv[1:]: importlib.import_module(name)\n'
    )
    return subprocess.run(
        [sys.executable, '-c', code, *modules],
        env=subprocesses.environment(path),
        capture_output=True,
        text=True,
    )


def test_figures_need_no_jax():
    modules = [
        name.removesuffix('.__init__') for name in sources(PACKAGE) if unit_of(name) == 'figures'
    ]
    if not modules:
        pytest.skip('there are no figures yet')
    result = import_without_jax(modules, ROOT)
    assert result.returncode == 0, result.stderr


def test_jax_by_a_detour_is_seen(tmp_path):
    (tmp_path / 'drawing.py').write_text('import reading\n')
    (tmp_path / 'reading.py').write_text('import jax\n')
    result = import_without_jax(['drawing'], tmp_path)
    assert result.returncode != 0 and 'import of jax halted' in result.stderr
