"""Several observers as one: each is told, and none of them can hurt the flow."""

from __future__ import annotations

from typing import Any

from ingestor.observe.logs import logger
from ingestor.ports import Observer


class Observers:
    """Tells each of its observers, in order. One that raises is passed over, and that is logged once."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._complained: set[tuple[int, type[Exception]]] = set()

    def notice(self, event: str, **facts: Any) -> None:
        for observer in self._observers:
            try:
                observer.notice(event, **facts)
            except Exception as error:
                self._complain(observer, event, error)

    def _complain(self, observer: Observer, event: str, error: Exception) -> None:
        what = (id(observer), type(error))
        if what in self._complained:
            return
        self._complained.add(what)
        logger().error("observer_failed", observer=type(observer).__name__, told=event, exc_info=error)
