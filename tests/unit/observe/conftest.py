"""Logs that end where a test can read them, and a clean slate after each test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from ingestor.observe.cleaning import forget_secrets
from ingestor.observe.logs import configure_logs
from tests.unit.observe.kit import Lines, Screen


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    forget_secrets()
    logging.captureWarnings(False)
    root.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)


@pytest.fixture
def logged() -> Lines:
    """What is logged, as JSON lines from level debug on."""
    stream = Lines()
    configure_logs("debug", "json", stream)
    return stream


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Screen]]:
    """Opens terminals: `screen(columns)`. This process is told their size as a shell would tell it."""
    opened: list[Screen] = []
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def open_screen(columns: int, rows: int = 24) -> Screen:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(rows))
        opened.append(Screen(columns, rows))
        return opened[-1]

    yield open_screen
    for one in opened:
        one.close()
