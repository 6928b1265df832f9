"""Standard output and error that nobody reads end nothing: the work is in the run's files."""

import os
import sys
from typing import Any, TextIO


class Unheard:
    """A stream that goes quiet for good when it can no longer be written."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # a closed pipe, a full device; a closed file
            self._silence()
            return len(text)

    def flush(self) -> None:
        """Flush, or drop what is left."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._silence()

    def _silence(self) -> None:
        """Point the descriptor at nothing, so that what is buffered goes there when Python ends."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, self._stream.fileno())
        except (OSError, ValueError):  # no descriptor, or closed: nothing is written any more
            self._stream = open(nothing, 'w', closefd=False)
            return
        os.close(nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep_going() -> None:
    """Let the process outlive its readers: `| head`, a closed output, a full /dev/full."""
    for name in ('stdout', 'stderr'):
        stream = getattr(sys, name)
        if not isinstance(stream, Unheard):
            setattr(sys, name, Unheard(stream or open(os.devnull, 'w')))
