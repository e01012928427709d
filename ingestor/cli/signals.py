"""SIGTERM and SIGINT: the first drains, the second aborts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def on_signals(stop: Callable[[], None], abort: Callable[[], None]) -> Iterator[list[int]]:
    """While inside, the first signal calls `stop`, each further one `abort`. Gives the list of those that came."""
    loop = asyncio.get_running_loop()
    came: list[int] = []

    def handle(number: int) -> None:
        came.append(number)
        (stop if len(came) == 1 else abort)()

    for number in _SIGNALS:
        loop.add_signal_handler(number, handle, number)
    try:
        yield came
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def on_signal(number: int, call: Callable[[], None]) -> Iterator[None]:
    """While inside, each such signal calls `call`."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        # Not back to the default, which would end the process between two lives.
        signal.signal(number, signal.SIG_IGN)
