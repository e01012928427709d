"""How a run looks on a terminal: a bar, what came of the images, when it ends, and what is being worked on."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from ingestor.observe.course import Course
from ingestor.observe.forecast import forecast_words
from ingestor.observe.wording import end_of, in_words, number, rate, size

MOST_WORKERS = 8
_WORDS = {"already_live": "already live", "duplicate": "duplicates"}
_STYLES = {"quarantined": "bold red", "uploaded": "green", "renewed": "green", "replayed": "green"}
_STAGE_CELLS = 12
_SLOW_SECONDS = 5.0


class Display:
    """A run's course at one instant, drawn into whatever width and encoding there is."""

    def __init__(self, course: Course, *, lock: threading.Lock, monotonic: float, now: datetime) -> None:
        self._course = course
        self._lock = lock
        self._monotonic = monotonic
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # One column stays free: some terminals wrap a line that ends in the last one.
        width = max(1, options.max_width - 1)
        narrower = options.update(width=width, no_wrap=True, overflow="ellipsis")
        joint, mark = (" | ", "..") if options.ascii_only else (" · ", "…")
        with self._lock:  # drawn in a thread of its own, while events come
            bar = list(self._bar(console, narrower, width))
            lines = self._lines(joint, mark, width, rows=max(1, console.height - 2))
        yield from bar
        for line in lines:
            line.truncate(width, overflow="crop" if options.ascii_only else "ellipsis")
            yield line

    def _bar(self, console: Console, options: ConsoleOptions, width: int) -> Iterator[Segment]:
        course = self._course
        count = progress_words(course)
        cells = width - len(count) - 1
        if cells >= 8:
            bar = ProgressBar(total=course.expected, completed=course.done, animation_time=self._monotonic)
            drawn = list(console.render(bar, options.update(width=cells)))
            yield from drawn
            yield Segment(" " * (cells + 1 - sum(segment.cell_length for segment in drawn)))
        yield Segment(count[:width])
        yield Segment.line()

    def _lines(self, joint: str, mark: str, width: int, rows: int) -> list[Text]:
        course = self._course
        lines = list(_packed(_outcomes(course), joint, width))
        lines += _packed([Text(words, style="dim") for words in volume_words(course, self._monotonic)], joint, width)
        lines += _packed([Text(words) for words in end_words(course, self._monotonic, self._now)], ", ", width)
        room = min(MOST_WORKERS, rows - len(lines))
        working = course.working
        shown = working if len(working) <= room else working[: max(0, room - 1)]
        for work in shown:
            seconds = self._monotonic - work.began_at
            tail = f" {in_words(seconds)}" if seconds >= _SLOW_SECONDS else ""
            head = f"  {work.stage:<{_STAGE_CELLS}}" if width >= 30 else f"{work.stage[:6]:<7}"
            path = end_of(f"{work.folder}/{work.path}", width - len(head) - len(tail), mark)
            lines.append(Text.assemble((head, "cyan"), path, (tail, "dim")))
        if len(shown) < len(working) and room > 0:
            lines.append(Text(f"  and {len(working) - len(shown)} more", style="dim"))
        return lines


def progress_words(course: Course) -> str:
    """`1,234 of 5,000 24%`, or what is known of it."""
    if course.expected is None:
        return f"{course.done:,} of {max(course.found, course.done):,} so far"
    percent = 100 * course.done // course.expected if course.expected else 100
    return f"{course.done:,} of {course.expected:,} {percent:>3}%"


def volume_words(course: Course, monotonic: float) -> list[str]:
    """Bytes and rate."""
    words = [f"{size(course.bytes_read)} read", f"{size(course.bytes_sent)} sent"]
    per_second = course.per_second(monotonic)
    return [*words, f"{rate(per_second)}"] if per_second else words


def end_words(course: Course, monotonic: float, now: datetime) -> list[str]:
    """When it will be done, or what it waits for."""
    if course.is_draining:
        return ["finishing what is in flight", "Ctrl-C ends it at once"]
    if course.pauses:
        return [f"paused: {why}" for why in course.pauses.values()]
    if course.expected is None:
        return ["still looking for images"]
    if course.done >= course.expected:
        return ["done"]
    expected = course.forecast(monotonic)
    words = forecast_words(expected, course.quota, now)
    quiet = course.quiet_seconds(monotonic)
    return [*words, f"nothing ended for {in_words(quiet)}"] if quiet >= 60 and not expected.is_quota_bound else words


def quarantine_line(folder: object, path: object, reason: object, message: object) -> Text:
    """What is printed the moment it happens. All must be clean."""
    line = Text.assemble(("quarantined", "bold red"), f" {folder}/{path}", (f" {reason}", "bold"))
    return line.append(f": {message}") if message else line


def _outcomes(course: Course) -> list[Text]:
    order = ("uploaded", "renewed", "quarantined", "duplicate", "already_live", "replayed")
    names = [*order, *(name for name in course.outcomes if name not in order)]
    return [
        Text(f"{number(course.outcomes[name])} {_WORDS.get(name, name)}", style=_STYLES.get(name, ""))
        for name in names
        if course.outcomes[name]
    ]


def _packed(pieces: Iterable[Text], joint: str, width: int) -> Iterator[Text]:
    """The pieces on as few lines as hold them."""
    line: Text | None = None
    for piece in pieces:
        if line is not None and cell_len(line.plain) + len(joint) + cell_len(piece.plain) <= width:
            line = Text.assemble(line, joint, piece)
            continue
        if line is not None:
            yield line
        line = piece
    if line is not None:
        yield line
