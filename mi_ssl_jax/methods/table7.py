"""The paper's Table 7, read off the methods themselves: python -m mi_ssl_jax.main --list"""

from collections.abc import Callable
from typing import Any

from mi_ssl_jax import methods, nets
from mi_ssl_jax.methods import api

_UPDATE = {'em': 'EM', 'joint': 'Joint'}
_OBJECTIVE = {'explicit': 'explicit MI', 'surrogate': 'MI surrogate'}


def rows(values: Callable[[str], dict[str, Any]]) -> list[dict[str, str]]:
    """One row a method and structure: the table's three columns, and which of the four structural
    devices it has.
    """
    parts = api.Parts(nets.load('mlp'), (8, 3), (8,), 3)
    table = []
    for label, (name, arguments) in methods.structures().items():
        method = methods.load(name, parts, **{**values(name), **arguments})
        devices = {key: 'yes' if has else '-' for key, has in api.structure(method).items()}
        table.append(
            {
                'method': label,
                'update': _UPDATE[method.update],
                'objective': _OBJECTIVE[method.objective],
                'paradigm': method.paradigm.upper(),
                **devices,
            }
        )
    return table


def text(values: Callable[[str], dict[str, Any]]) -> str:
    """The rows as aligned columns, grouped by paradigm."""
    table = sorted(rows(values), key=lambda row: (row['paradigm'] != 'SDMI', row['method']))
    widths = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    lines = ['  '.join(key.ljust(width) for key, width in widths.items())]
    lines += ['  '.join(row[key].ljust(width) for key, width in widths.items()) for row in table]
    return '\n'.join(line.rstrip() for line in lines)
