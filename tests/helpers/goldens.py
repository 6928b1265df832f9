"""Golden values: losses, gradients and outputs computed by independent implementations in float64.

`tests/golden/NAME.json` lists the cases, `NAME.npz` holds their arrays. A case is

    {"id", "family", "peer", "function", "args", "dtype", "inputs", "outputs", "grads", "note"}

where a value is a number or `{"array": KEY}`, and a gradient is `{"array": KEY, "l2", "sum",
"absmax"}` (the array is left out for the largest ones). `peer` says who computed the numbers
('direct' = from the equation).

Tolerances: numbers 1e-9 relative; gradients 1e-7 of the largest entry, 1e-6 where they are stored
in float32.
"""

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

FOLDER = pathlib.Path(__file__).parents[1] / 'golden'


class Grad(NamedTuple):
    """An expected gradient; `value` is None where only its summary is stored."""

    value: np.ndarray | None
    l2: float
    sum: float
    absmax: float


class Case(NamedTuple):
    """One golden case; floating-point inputs and outputs are widened to float64 (exact)."""

    id: str
    family: str
    peer: str
    function: str
    args: Mapping[str, Any]
    dtype: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    grads: Mapping[str, Grad]
    note: str


def cases(name: str) -> Iterator[Case]:
    """The cases of `tests/golden/NAME.json` in file order."""
    entries = json.loads((FOLDER / f'{name}.json').read_text())['cases']
    with np.load(FOLDER / f'{name}.npz') as arrays:
        for entry in entries:
            read = {
                field: {key: _value(item, arrays) for key, item in entry[field].items()}
                for field in ('inputs', 'outputs')
            }
            grads = {key: _grad(item, arrays) for key, item in entry['grads'].items()}
            yield Case(**{**entry, **read, 'grads': grads})


def x64():
    """Context in which jax computes in float64."""
    return jax.enable_x64(True)


def assert_value(actual: Any, expected: Any, *, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    """A loss or an output equals its golden value."""
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=atol)


def assert_grad(actual: Any, expected: Grad, *, atol: float = 0.0) -> None:
    """A gradient equals its golden value, relative to the largest entry; `atol` where the truth is
    zero."""
    actual = np.asarray(actual)
    if expected.value is None:
        np.testing.assert_allclose(np.linalg.norm(actual), expected.l2, rtol=1e-7, atol=atol)
        np.testing.assert_allclose(np.max(np.abs(actual)), expected.absmax, rtol=1e-7, atol=atol)
        np.testing.assert_allclose(np.sum(actual), expected.sum, atol=1e-7 * expected.l2 + atol)
        return
    relative = 1e-7 if expected.value.dtype == np.float64 else 1e-6
    np.testing.assert_allclose(
        actual, expected.value, rtol=0, atol=relative * expected.absmax + atol
    )


def _value(item: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """A stored number, 'nan' or 'inf' as text, or an array by its key."""
    if isinstance(item, str):
        return float(item)
    if not isinstance(item, dict):
        return item
    array = arrays[item['array']]
    return array.astype(np.float64) if array.dtype.kind == 'f' else array


def _grad(item: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Grad:
    value = arrays[item['array']] if 'array' in item else None
    return Grad(value, *(float(item[field]) for field in ('l2', 'sum', 'absmax')))
