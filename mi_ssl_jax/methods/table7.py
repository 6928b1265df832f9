"""The paper's Table 7, read off the methods themselves: python -m mi_ssl_jax.main --list"""

import inspect

from mi_ssl_jax import methods, nets
from mi_ssl_jax.methods import api

# Any value serves an argument that has no default: the structure does not depend on it.
_EXAMPLES = {
    'temperature': 1.0,
    'momentum': 0.996,
    'queue_size': 8,
    'slice_size': 8,
    'prototypes': 8,
    'queue_epoch': 0,
}
_UPDATE = {'em': 'EM', 'joint': 'Joint'}
_OBJECTIVE = {'explicit': 'explicit MI', 'surrogate': 'MI surrogate'}


def rows() -> list[dict[str, str]]:
    """One row a method and structure: the table's three columns, and which of the four structural
    devices it has.
    """
    parts = api.Parts(nets.load('mlp'), (8, 3), (8,), 3)
    table = []
    for label, (name, arguments) in methods.structures().items():
        required = [
            key for key, p in methods.options(name).items() if p.default is inspect.Parameter.empty
        ]
        method = methods.load(name, parts, **{key: _EXAMPLES[key] for key in required}, **arguments)
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


def text() -> str:
    """The rows as aligned columns, grouped by paradigm."""
    table = sorted(rows(), key=lambda row: (row['paradigm'] != 'SDMI', row['method']))
    widths = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    lines = ['  '.join(key.ljust(width) for key, width in widths.items())]
    lines += ['  '.join(row[key].ljust(width) for key, width in widths.items()) for row in table]
    return '\n'.join(line.rstrip() for line in lines)
