"""Instants as people and programs read them."""

from __future__ import annotations

from datetime import datetime

from ingestor.observe.wording import in_words


def rfc3339(instant: datetime | None) -> str | None:
    """UTC, as in the manifest; None for none."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def parsed(text: object) -> datetime | None:
    """An aware instant from RFC 3339 text; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else None


def local(instant: datetime) -> str:
    """`2026-11-24 10:00:02`, by the reader's clock."""
    return f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"


def relative(instant: datetime, now: datetime) -> str:
    """`in 3 min 5 s`, `2 h 10 min ago`, `now`."""
    seconds = (instant - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"in {in_words(seconds)}" if seconds > 0 else f"{in_words(-seconds)} ago"


def when(instant: datetime, now: datetime) -> str:
    """Both: `2026-11-24 10:00:02 (in 3 min)`."""
    return f"{local(instant)} ({relative(instant, now)})"
