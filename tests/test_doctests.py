"""The examples in the docstrings of the public namespace run and print what they say."""

import doctest
import functools
import inspect

import jax
import jax.numpy as jnp
import pytest

import mi_ssl_jax as ms

MODULES = {name: getattr(ms, name) for name in ms.__all__ if inspect.ismodule(getattr(ms, name))}
MODULES['augment.ops'] = ms.augment.ops
GLOBALS = {'functools': functools, 'jax': jax, 'jnp': jnp, 'ms': ms}


def examples(name: str) -> list[doctest.DocTest]:
    """The examples of a public module's members, or of one member of the package."""
    module = MODULES.get(name)
    own = (
        {key: getattr(module, key) for key in module.__all__}
        if module
        else {name: getattr(ms, name)}
    )
    finder = doctest.DocTestFinder(recurse=False, exclude_empty=True)
    return [
        test
        for key, member in own.items()
        if callable(member)
        for test in finder.find(member, f'{name}.{key}', globs=dict(GLOBALS))
        if test.examples
    ]


@pytest.mark.parametrize('name', [*MODULES, 'estimate_mi'])
def test_examples(name):
    tests = examples(name)
    assert tests, 'no example to run'
    output = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        runner.run(test, out=output.append)
    assert runner.summarize(verbose=False).failed == 0, ''.join(output)
