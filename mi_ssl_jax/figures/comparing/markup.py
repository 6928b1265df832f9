"""Elements of an HTML page. The serialiser escapes all text and attributes, whatever they hold."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import Any

Child = ET.Element | str | None


def element(kind: str, /, *children: Child | Iterable[Child], **attributes: Any) -> ET.Element:
    """An element. children: elements, text and lists of them; None is left out. attributes:
    data_run=3 becomes data-run="3", class_ becomes class, True is an attribute without a value,
    None and False are none.
    """
    found = ET.Element(kind)
    for key, value in attributes.items():
        if value is not None and value is not False:
            found.set(key.rstrip('_').replace('_', '-'), '' if value is True else clean(str(value)))
    _fill(found, children)
    return found


def section(title: str, *children: Child | Iterable[Child]) -> ET.Element:
    """A part of the page under its heading."""
    name = f'heading-{title.lower()}'
    return element(
        'section',
        element('h2', title, id=name),
        children,
        aria_labelledby=name,
    )


def _fill(parent: ET.Element, children: Iterable[Any]) -> None:
    for child in children:
        if isinstance(child, ET.Element):
            parent.append(child)
        elif isinstance(child, str):
            if len(parent):
                parent[-1].tail = (parent[-1].tail or '') + clean(child)
            else:
                parent.text = (parent.text or '') + clean(child)
        elif child is not None:
            _fill(parent, child)


def clean(text: str) -> str:
    """The text without what UTF-8 cannot hold, as in the name of a file that is not UTF-8."""
    return text.encode('utf-8', 'replace').decode().replace('\0', '\N{REPLACEMENT CHARACTER}')


def data(identity: str, value: Any) -> ET.Element:
    """A JSON value for the page's script; no text in it can end the element that holds it."""
    text = json.dumps(value, allow_nan=False, separators=(',', ':'))
    for character in '<>&':
        text = text.replace(character, f'\\u{ord(character):04x}')
    return element('script', text, type='application/json', id=identity)


def document(head: Iterable[Child], body: Iterable[Child]) -> str:
    """The page of a head and a body."""
    root = element('html', element('head', head), element('body', body), lang='en')
    return '<!doctype html>\n' + ET.tostring(root, encoding='unicode', method='html') + '\n'
