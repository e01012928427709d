"""A run as people follow it: a live display on a terminal, elsewhere a log line now and then."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ingestor.observe.cleaning import clean
from ingestor.observe.course import Course
from ingestor.observe.display import Display, end_words, quarantine_line
from ingestor.observe.forecast import QuotaView
from ingestor.observe.logs import current_sink, is_plain, is_terminal, logger
from ingestor.ports import Clock

LINE_SECONDS = 30.0
REFRESHES_A_SECOND = 4.0


class Progress:
    """An observer, and a context: inside of it the terminal, if there is one, shows how far the run is.

    While it draws (`is_live`), log lines appear above it, and an image's quarantine is a line of its own there: log
    with `LogObserver(images=False)` then. Elsewhere it logs an event `progress` every `line_seconds`.
    """

    def __init__(
        self, stream: TextIO, clock: Clock, total: int | None = None, *, line_seconds: float = LINE_SECONDS
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._line_seconds = line_seconds
        self._lock = threading.Lock()
        self._course = Course(clock.monotonic(), total)
        self._next_line_at = clock.monotonic() + line_seconds
        self._stack = ExitStack()
        self._console: Console | None = None
        self.is_live = is_terminal(stream) and not is_plain()
        """Whether this draws: on a terminal that can."""

    def __enter__(self) -> Self:
        if self.is_live:
            self._draw()
        else:
            self._stack.enter_context(_Ticking(self._line_seconds / 3, self.tick))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone: nobody is left to see it
            self._stack.close()
        self._console = None

    # -- fed

    def notice(self, event: str, **facts: Any) -> None:
        with self._lock:
            self._course.notice(event, facts, self._clock.monotonic())
        if self._console is None:
            self.tick()
        elif event == "image_end" and facts.get("outcome") == "quarantined":
            words = [clean(facts.get(name)) for name in ("folder", "path", "reason", "message")]
            self._console.print(quarantine_line(*words), soft_wrap=True)

    def set_total(self, total: int) -> None:
        """How many images will come to an end in this run."""
        with self._lock:
            self._course.total = total

    def set_quota(self, per_minute: float, left: int) -> None:
        """What the quota allows: uploads that each minute adds, and those that could be sent now."""
        with self._lock:
            self._course.quota = QuotaView(per_minute=per_minute, left=left)

    # -- told

    def tick(self) -> None:
        """Log where the run stands, if it is time to; called by itself while inside of the context."""
        with self._lock:
            now = self._clock.monotonic()
            if self.is_live or now < self._next_line_at:
                return
            self._next_line_at = now + self._line_seconds
            facts = self._line(now)
        logger().info("progress", **facts)

    def _line(self, now: float) -> dict[str, Any]:
        course = self._course
        return {
            "done": course.done,
            "total": course.expected if course.expected is not None else f"{max(course.found, course.done)} so far",
            **course.outcomes,
            "bytes_read": course.bytes_read,
            "bytes_sent": course.bytes_sent,
            "per_minute": round(course.per_second(now) * 60, 1),
            "forecast": ", ".join(end_words(course, now, self._clock.now())),  # UTC, as the line's own time
        }

    def _draw(self) -> None:
        console = self._console = Console(file=self._stream, markup=False, emoji=False, highlight=False)
        live = Live(
            console=console,
            get_renderable=self._display,
            refresh_per_second=REFRESHES_A_SECOND,
            transient=True,
            redirect_stdout=False,  # results go there, whatever is drawn
            redirect_stderr=False,
        )
        self._stack.enter_context(live)
        sink = current_sink()
        if sink is not None and is_terminal(sink.stream):
            self._stack.enter_context(sink.through(self._above))

    def _above(self, line: str) -> None:
        assert self._console is not None
        self._console.print(Text.from_ansi(line), soft_wrap=True)

    def _display(self) -> Display:
        return Display(
            self._course, lock=self._lock, monotonic=self._clock.monotonic(), now=self._clock.now().astimezone()
        )


class _Ticking:
    """Calls a function now and then, also while nothing happens."""

    def __init__(self, seconds: float, call: Any) -> None:
        self._seconds = seconds
        self._call = call
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._call()
