"""One line for whatever a damaged file does to its reader, and names that are safe to print."""

import contextlib
from collections.abc import Iterable, Iterator

LISTED = 12  # names of a file in a message


@contextlib.contextmanager
def reading(what: object, remedy: str = '') -> Iterator[None]:
    """Turns an error of the body into a ValueError of one line: 'WHAT: the reason REMEDY'.

    Parsers of foreign bytes raise whatever they stumble upon (KeyError, zlib.error, MemoryError,
    RuntimeError, SyntaxError ...), hence all of them.
    """
    try:
        yield
    except Exception as error:
        raise ValueError(f'{shown(what)}: {line(error)}{remedy}') from error


def line(error: BaseException) -> str:
    """The first line that an error says, at most 200 characters; its type if it says nothing."""
    said = getattr(error, 'strerror', None) or str(error)
    words = [words.strip() for words in said.splitlines() if words.strip()]
    return shown(words[0])[:200] if words else type(error).__name__


def counted(count: int, noun: str) -> str:
    """'1 file', '2,000 files'."""
    return f'{count:,} {noun}{"s" * (count != 1)}'


def listed(names: Iterable[str]) -> str:
    """The names of a file's arrays, some of them where there are many."""
    every = list(names)
    more = f' and {len(every) - LISTED} more' if len(every) > LISTED else ''
    return (', '.join(every[:LISTED]) or 'no arrays') + more


def shown(name: object) -> str:
    """One printable line: line breaks and bytes that are not UTF-8 are escaped."""
    return ''.join(
        letter if letter.isprintable() else letter.encode('unicode_escape').decode()
        for letter in str(name)
    )
