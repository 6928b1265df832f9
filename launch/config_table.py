"""The table of all configurations in configs/README.md: python launch/config_table.py --write"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START, END = (
    '<!-- the table: python launch/config_table.py --write -->',
    '<!-- end of the table -->',
)


def table() -> str:
    """One row a configuration: its name and the first sentence of its docstring."""
    rows = []
    for file in sorted((ROOT / 'configs').glob('*.py')):
        text = file.read_text()
        if 'def get_config' in text:
            summary = ast.get_docstring(ast.parse(text)).splitlines()[0]
            rows.append(f'| `{file.stem}` | {summary} |')
    return '\n'.join(['| configuration | what it is |', '|---|---|', *rows])


def filled(text: str) -> str:
    """A document with the table between its marks."""
    before, rest = text.split(START)
    return f'{before}{START}\n{table()}\n{END}{rest.split(END)[1]}'


if __name__ == '__main__':
    readme = ROOT / 'configs' / 'README.md'
    if '--write' in sys.argv:
        readme.write_text(filled(readme.read_text()))
    else:
        print(table())
