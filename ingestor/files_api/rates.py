"""Who is told of the rate headers that came with each answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from ingestor.model import RateHeaders
from ingestor.policy.verdicts import Call

RatesListener = Callable[[Call, RateHeaders], None]


class TellsRates(Protocol):
    """An API that tells of each request, exactly once, the rate headers of its answer (none: empty)."""

    def listen(self, listener: RatesListener) -> None: ...


class Heard:
    """Tells the listener once when a request is over, with the headers of its answer if there was one."""

    __slots__ = ("_listener", "call", "headers")

    def __init__(self, listener: RatesListener, call: Call) -> None:
        self._listener = listener
        self.call = call
        self.headers = RateHeaders()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener(self.call, self.headers)


def nobody(call: Call, headers: RateHeaders) -> None:
    """Nobody listens."""
