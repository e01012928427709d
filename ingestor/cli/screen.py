"""What `backfill` shows while it runs: a live display on a terminal, log lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ingestor.observe.logs import LogObserver, configure_logs
from ingestor.ports import Observer
from ingestor.runtime.parts import Parts
from ingestor.runtime.tally import Tally
from ingestor.settings import Settings


class Screen:
    """The observer of a run, and what it draws."""

    def __init__(self, settings: Settings, *, quiet: bool) -> None:
        configure_logs(settings.log.level, settings.log.format)
        self.observer: Observer = LogObserver()
        self._quiet = quiet

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def follow(self, tally: Tally, parts: Parts) -> None:
        """Show how far this run is."""

    def sum_up(self, tally: Tally) -> None:
        """Show what came out."""
