"""Ordered work on several threads (OpenCV, file reading and hashing release Python's lock)."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

COUNT = min(32, os.cpu_count() or 1)


def in_order(
    function: Callable[[Any], Any], items: Iterable[Any], *, ahead: int
) -> Iterator[tuple[Any, Any]]:
    """(item, function(item)) for every item in turn; at most `ahead` results wait for the
    reader.
    """
    waiting = collections.deque()
    pool = ThreadPoolExecutor(COUNT)
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
