"""An HTML page as a test looks at it: elements in their order, with attributes and text."""

import html.parser
import json

VOID = {'meta', 'link', 'img', 'input', 'br', 'hr'}


class Node:
    def __init__(self, name, attributes, parent):
        self.name, self.attributes, self.parent = name, attributes, parent
        self.children, self.parts = [], []
        self.closed = name in VOID

    @property
    def text(self):
        return ''.join(part.text if isinstance(part, Node) else part for part in self.parts)

    def all(self, name=None, **attributes):
        """Elements below this one with a name and attributes, class_='x' of several classes."""
        found = []
        for child in self.children:
            wanted = {key.strip('_').replace('_', '-'): value for key, value in attributes.items()}
            same = all(
                value in (child.attributes.get(key) or '').split()
                if key == 'class'
                else key in child.attributes and value in (True, child.attributes[key])
                for key, value in wanted.items()
            )
            found += [child] * (same and name in (None, child.name))
            found += child.all(name, **attributes)
        return found


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.open = Node('', {}, None)

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs), self.open)
        self.open.children.append(node)
        self.open.parts.append(node)
        if tag not in VOID:
            self.open = node

    def handle_endtag(self, tag):
        assert self.open.name == tag, f'</{tag}> closes <{self.open.name}>'
        self.open.closed = True
        self.open = self.open.parent

    def handle_data(self, data):
        self.open.parts.append(data)


def read(path):
    """The page's root; every element in it is closed in its place."""
    reader = _Reader()
    reader.feed(path.read_text(encoding='utf-8'))
    reader.close()
    assert reader.open is reader.root
    return reader.root


def payload(root):
    """What the page's script reads."""
    (data,) = root.all('script', id='data')
    return json.loads(data.text)


def cells(root):
    """{run: {heading: text}} of the table."""
    (table,) = root.all('table', id='runs')
    heads = [button.text for button in table.all('button', class_='sort')]
    found = {}
    for row in table.all('tr', data_run=True):
        texts = [cell.text for cell in row.children]
        found[texts[0]] = dict(zip(heads, texts, strict=True))
    return found
