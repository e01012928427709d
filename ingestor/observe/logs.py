"""Log lines by structlog: for people on a terminal, JSON elsewhere. One event is one line, and no secret is in any."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from ingestor.observe.cleaning import clean_facts, clean_text, fault_chain, rfc3339
from ingestor.observe.levels import level_of
from ingestor.observe.repeats import Told
from ingestor.observe.sink import Sink

EventDict = MutableMapping[str, Any]

RESERVED = ("timestamp", "level", "event")
"""Every line starts with these three; a fact of the same name gets a `_` behind its own."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> Sink:
    """Everything that this process logs goes to `stream` (standard error), from `level` on; where it goes.

    `format`: `console`, `json`, or `auto`: console on a terminal. May be called again; the last call counts.
    Libraries that log by `logging` are told from `warning` on, at level `debug` from `info` on.
    """
    sink = Sink(stream)
    is_console = format == "console" or (format == "auto" and is_terminal(sink.stream))
    lowest = _LEVELS[level]
    structlog.configure(
        processors=[_arrange, _console(sink.stream) if is_console else _json_line],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=sink,
        cache_logger_on_first_use=False,
    )
    _route_libraries(logging.INFO if lowest == logging.DEBUG else max(lowest, logging.WARNING))
    return sink


def logger() -> structlog.typing.FilteringBoundLogger:
    """A logger as it is configured now; standard error before `configure_logs`, never standard output."""
    if not structlog.is_configured():
        configure_logs()
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger().bind()
    return bound


def current_sink() -> Sink | None:
    """Where log lines go now; None before `configure_logs`."""
    sink = structlog.get_config()["logger_factory"]
    return sink if isinstance(sink, Sink) else None


def is_terminal(stream: TextIO) -> bool:
    """Whether people look at this stream."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def is_plain(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a terminal must get no control codes: TERM says so."""
    term = (os.environ if environment is None else environment).get("TERM", "")
    return term.lower() in ("", "dumb", "unknown")


class LogObserver:
    """One line for each event. That the same path waits for the same reason is told once, then only at debug.

    `images=False` puts what is about single images at debug: for a run whose display shows them.
    """

    def __init__(self, *, images: bool = True) -> None:
        self._log = logger()
        self._images = images
        self._told = Told()
        self._last_scans: dict[str, tuple[str, ...]] = {}

    def notice(self, event: str, **facts: Any) -> None:
        level = level_of(event, facts) if self._is_news(event, facts) else logging.DEBUG
        if self._log.is_enabled_for(level):
            self._log.log(level, event, **_told_facts(event, facts))

    def _is_news(self, event: str, facts: Mapping[str, Any]) -> bool:
        if event in ("scan_end", "disk_resumed"):
            self._told.forget("disk_paused")  # whatever it was, it is over: the next one is news
        if event == "scan_end":
            return self._differs(facts)
        if event == "disk_paused":
            return self._told.is_new("disk_paused", _texts(facts, "reason", "message"))
        if event not in _ABOUT_IMAGES:
            return True
        return self._images and self._is_said_first(event, facts)

    def _is_said_first(self, event: str, facts: Mapping[str, Any]) -> bool:
        subject = _texts(facts, "folder", "path")
        if event == "image_end" and str(facts.get("outcome")) not in _NOT_YET:
            self._told.forget(subject)
            return True
        if event in ("image_end", "skipped"):
            return self._told.is_new(subject, _texts(facts, "outcome", "reason"))
        return True

    def _differs(self, facts: Mapping[str, Any]) -> bool:
        """Whether this scan saw something else than the one before: a quiet folder is scanned every minute."""
        seen = _texts(facts, "files", "rescued")
        folder = str(facts.get("folder"))
        if self._last_scans.get(folder) == seen:
            return False
        self._last_scans[folder] = seen
        return True


_ABOUT_IMAGES = frozenset({"image_end", "skipped", "fresh_generation", "stage"})
_NOT_YET = frozenset({"retry", "snoozed"})
_READING_ORDER = (
    *("outcome", "folder", "path", "reason", "message", "digest", "key", "file_id", "request_id", "attempt", "seconds"),
    *("delay_seconds", "bytes_read", "bytes_sent", "normalised", "normalise_seconds", "upload_seconds", "warnings"),
)
_PLACES = {name: place for place, name in enumerate(_READING_ORDER)}
_TOO_SMALL = frozenset({"fingerprint_seconds", "describe_seconds", "manifest_seconds", "after_seconds"})


def _texts(facts: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Facts as something to compare, whatever they are."""
    return tuple(str(facts.get(name)) for name in names)


def _told_facts(event: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts in reading order, without those that say nothing; errors with where they came from."""
    told: dict[str, Any] = {}
    for name, value in sorted(facts.items(), key=_place) if event == "image_end" else facts.items():
        if value is None or value == () or value == "" or name in _TOO_SMALL:
            continue
        told[f"{name}_" if name == "level" else name] = round(value, 3) if isinstance(value, float) else value
        if isinstance(value, BaseException):
            told["traceback"] = fault_chain(value)
    return told


def _place(fact: tuple[str, Any]) -> int:
    return _PLACES.get(fact[0], len(_PLACES))


# -- processors ------------------------------------------------------------------------------------


def _arrange(_: Any, method: str, event_dict: EventDict) -> EventDict:
    """Time, level and event first, then the facts, all of them cleaned."""
    arranged: EventDict = {
        "timestamp": rfc3339(datetime.now(UTC)),
        "level": method,
        "event": clean_text(str(event_dict.pop("event", ""))),
    }
    failed = event_dict.pop("exc_info", None)
    if failed:
        error = failed if isinstance(failed, BaseException) else (sys.exc_info() if failed is True else failed)[1]
        if error is not None:
            event_dict["error"], event_dict["traceback"] = error, fault_chain(error)
    for name, value in clean_facts(event_dict).items():
        arranged[f"{name}_" if name in RESERVED else name] = value
    return arranged


def _json_line(_: Any, __: str, event_dict: EventDict) -> str:
    return json.dumps(event_dict, ensure_ascii=False, separators=(",", ":"))


def _console(stream: TextIO) -> Any:
    has_colors = is_terminal(stream) and not is_plain() and not os.environ.get("NO_COLOR")
    return structlog.dev.ConsoleRenderer(colors=has_colors, sort_keys=False, pad_event_to=14)


# -- libraries -------------------------------------------------------------------------------------


class _Routed(logging.Handler):
    """What libraries log, as events like ours."""

    def __init__(self) -> None:
        super().__init__()
        self._complained: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            method = logging.getLevelName(record.levelno).lower()
            tell = getattr(logger(), method if method in _LEVELS else "error")
            tell(record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:  # as every handler of `logging`: never hurts who logs
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Once for each library: its messages may hold anything, so that none is repeated here."""
        if record.name not in self._complained:
            self._complained.add(record.name)
            logger().error("log_line_failed", logger=record.name)


def _route_libraries(lowest: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _Routed):
            root.removeHandler(handler)
    root.addHandler(_Routed())
    root.setLevel(lowest)
    logging.captureWarnings(True)
