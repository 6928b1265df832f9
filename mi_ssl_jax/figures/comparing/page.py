"""The page itself: one file that needs neither a server nor a network."""

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from mi_ssl_jax.figures import run_files, statistics
from mi_ssl_jax.figures.comparing import columns, media, series
from mi_ssl_jax.figures.comparing.columns import Column
from mi_ssl_jax.figures.comparing.markup import data, document, element, section
from mi_ssl_jax.figures.comparing.summary import Summary

LONG = 36  # characters from which on a cell's text may be broken


def write(runs: Sequence[Summary], left_out: Sequence[str], path: Path) -> list[str]:
    """Write the page of the runs. left_out: a line for each run that is not there. Returns a line
    for each picture that could not be read. The file is either the old one or whole.
    """
    shown, faults = media.pictures(runs)
    notes = [*left_out, *(note for run in runs for note in run.notes), *faults]
    table = columns.of(runs)
    style, script = (
        Path(__file__).with_name(f'page.{ending}').read_text() for ending in ('css', 'js')
    )
    title = f'{statistics.counted(len(runs), "run")} compared'
    head = [
        element('meta', charset='utf-8'),
        element('meta', http_equiv='Content-Security-Policy', content=_policy(script)),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('meta', name='color-scheme', content='light dark'),
        element('title', title),
        element('link', rel='icon', href='data:,'),
        element('style', style),
    ]
    body = [
        element(
            'header',
            element('h1', title),
            element('p', ', '.join(_subjects(runs))),
            element(
                'noscript',
                element('p', 'The curves and the switches need JavaScript; the rest does not.'),
            ),
        ),
        element(
            'main',
            _notes(notes),
            _table(runs, table),
            _shared(runs),
            _curves(table),
            shown,
            media.embeddings(runs),
        ),
        data('data', series.payload(runs)),
        element('script', script),
    ]
    scratch = path.with_name(f'.{os.getpid()}.{path.name}')
    try:
        scratch.write_text(document(head, body), encoding='utf-8')
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return faults


def _policy(script: str) -> str:
    """Nothing is loaded, and no script runs but the page's own, whatever a file may hold."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = {'default': "'none'", 'img': 'data:', 'style': "'unsafe-inline'"}
    allowed['script'] = f"'sha256-{digest}'"
    return '; '.join(f'{kind}-src {source}' for kind, source in allowed.items())


def _subjects(runs: Sequence[Summary]) -> list[str]:
    methods = dict.fromkeys(run_files.look(run.run).label for run in runs)
    names = dict.fromkeys(run.run.config['data']['name'] for run in runs)
    return [*methods, f'on {" and ".join(names)}']


def _notes(lines: Sequence[str]) -> Element | None:
    if not lines:
        return None
    return element(
        'details',
        element('summary', f'{statistics.counted(len(lines), "note")} on files'),
        element('ul', [element('li', line) for line in lines]),
        open=len(lines) <= 3,
        class_='notes',
    )


# The table
# --------------------------------------------------------------------------------------------------


def _table(runs: Sequence[Summary], table: Sequence[Column]) -> Element:
    """A row a run, with the switch that shows it everywhere on the page."""
    present = [name for name in columns.GROUPS if any(own.group == name for own in table)]
    groups = [
        element(
            'label',
            element('input', type='checkbox', checked=True, data_columns=name),
            f' {columns.GROUPS[name]}',
        )
        for name in present[1:]
    ]
    names = element('th', _sorter('run'), scope='col', rowspan='2', class_='name')
    above = [
        element(
            'th',
            columns.GROUPS[name],
            scope='colgroup',
            colspan=str(sum(own.group == name for own in table)),
            class_=f'of-{name}',
        )
        for name in present
    ]
    below = [
        element(
            'th', _sorter(own.title), scope='col', title=own.note or None, class_=f'of-{own.group}'
        )
        for own in table
    ]
    head = element('thead', element('tr', names, above), element('tr', below))
    rows = [_row(number, run, table) for number, run in enumerate(runs)]
    return section(
        'Runs',
        element(
            'div',
            element(
                'label',
                'Filter ',
                element('input', type='search', id='filter', placeholder='name, method, setting'),
            ),
            element('button', 'All on', type='button', id='all'),
            element('button', 'All off', type='button', id='none'),
            element('output', '', id='count'),
            class_='controls',
        ),
        element('fieldset', element('legend', 'Columns'), groups, class_='controls'),
        element(
            'div',
            element('table', head, element('tbody', rows), id='runs'),
            class_='scroll',
            tabindex='0',
            role='region',
            aria_label='Table of runs',
        ),
        element('p', 'A run that is switched off or filtered out is in no curve or picture.'),
        _meanings(table),
    )


def _meanings(table: Sequence[Column]) -> Element:
    items = [(element('dt', own.title), element('dd', own.note)) for own in table if own.note]
    return element('details', element('summary', 'What the columns mean'), element('dl', items))


def _sorter(title: str) -> Element:
    return element('button', title, type='button', class_='sort')


def _row(number: int, run: Summary, table: Sequence[Column]) -> Element:
    switch = element('input', type='checkbox', checked=True, class_='show')
    swatch = element(
        'svg',
        element('path', d='M0 5h26'),
        viewBox='0 0 26 10',
        class_='swatch',
        aria_hidden='true',
    )
    name = element(
        'th',
        element('label', switch, swatch, element('span', run.name)),
        scope='row',
        class_='name',
        data_value=run.name.lower(),
    )
    cells = [
        element(
            'td',
            own.cells[number].text,
            class_=f'of-{own.group}' + ' long' * (len(own.cells[number].text) > LONG),
            data_value=own.cells[number].value,
        )
        for own in table
    ]
    return element('tr', name, cells, data_run=str(number), title=str(run.folder))


def _shared(runs: Sequence[Summary]) -> Element:
    same = columns.shared(runs)
    items = [(element('dt', name), element('dd', value)) for name, value in same.items()]
    return element(
        'details',
        element('summary', f'{statistics.counted(len(same), "setting")} in common'),
        element('dl', items),
    )


# Curves
# --------------------------------------------------------------------------------------------------


def _curves(table: Sequence[Column]) -> Element:
    """Empty panels, which the script fills. Colours follow the run or a column of few values."""
    kinds = [
        own
        for own in table
        if own.group in ('run', 'settings')
        and own.title != 'epochs'
        and 1 < len({cell.text for cell in own.cells}) <= min(24, len(own.cells) - 1)
    ]
    colours = [element('option', 'run', value='')] + [
        element('option', own.title, value=str(table.index(own))) for own in kinds
    ]
    axes = {'epochs': 'epochs', 'steps': 'steps', 'clock': 'wall time', 'share': 'share of the run'}
    return section(
        'Curves',
        element(
            'div',
            element(
                'label',
                'Against ',
                element(
                    'select', [element('option', axes[key], value=key) for key in axes], id='axis'
                ),
            ),
            element('label', 'Colour by ', element('select', colours, id='colour')),
            element('label', element('input', type='checkbox', id='bands'), ' ± 1 SD over seeds'),
            class_='controls',
        ),
        element('div', '', id='legend', role='group', aria_label='Switches of the curves'),
        element('div', '', id='panels', class_='grid'),
        element(
            'details',
            element('summary', 'More curves'),
            element('div', '', id='more', class_='grid'),
            id='others',
        ),
        element(
            'p',
            'Means over seeds. Of two encoders or phases the second is thinner. Point at a curve,'
            ' or focus a panel and use the arrow keys, to read its values; a click on a key of the'
            ' legend switches it off and on.',
            element('span', '', id='thinned'),
        ),
    )
