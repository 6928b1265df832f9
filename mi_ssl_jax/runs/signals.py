"""SIGINT and SIGTERM: a run finishes its step and saves; whatever happens, it ends within `GRACE`
seconds.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

from mi_ssl_jax.runs import exits

# seconds from a signal to the end of the process; cluster managers commonly kill after 30
GRACE = 25.0
NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(exits.Stopped):
    """A signal ended the command; exit status 128 + its number."""

    def __init__(self, number: int, standing: str):
        super().__init__(f'stopped by {signal.Signals(number).name} {standing}', 128 + number)


@contextlib.contextmanager
def watched(standing: Callable[[], str], *, at_once: bool = False) -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM in the list it yields, or raises Interrupted where they come
    (at_once).

    One that was collected and not acted on raises Interrupted at the end: a signal is never lost.
    standing: how a line 'stopped by SIGTERM ...' ends. A compilation or a long step does not let
    the interpreter see a
    signal, so a thread watches too: it ends the process, with that line, when GRACE seconds have
    passed, and without a word at a second signal. The status is 128 + the signal's number in every
    case.
    """
    asked = []

    def handle(number, frame):
        asked.append(number)
        if at_once:
            raise Interrupted(number, standing())

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # who runs us there handles signals
        yield asked
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(
        target=_attend, args=(reader, standing, GRACE), daemon=True, name='signals'
    )
    thread.start()
    before = {number: signal.signal(number, handle) for number in NUMBERS}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield asked
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        thread.join()
    if asked:
        raise Interrupted(asked[0], f'at the end; {standing()}')


def _attend(reader: int, standing: Callable[[], str], grace: float) -> None:
    """Read the signals' numbers from a pipe until its other end is closed."""
    first, deadline = None, None
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0)
        if not select.select([reader], [], [], left)[0]:
            print(
                f'stopped by {signal.Signals(first).name} during an operation that takes'
                f' longer than {grace:g} s; {standing()}',
                file=sys.stderr,
                flush=True,
            )
            os._exit(128 + first)
        numbers = os.read(reader, 64)
        if not numbers:
            os.close(reader)
            return
        for number in (number for number in numbers if number in NUMBERS):
            if first is not None:
                os._exit(128 + number)
            first, deadline = number, time.monotonic() + grace
