"""The last 24 hours as a drawing: uploads and quarantines as bars, the quota that was left as a line below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ingestor.observe.instants import parsed
from ingestor.observe.wording import number

MINUTES_A_BAR = 15
LEFT, RIGHT, WIDTH = 44, 8, 960
TOP, BARS_HEIGHT, GAP, QUOTA_HEIGHT, BOTTOM = 10, 130, 30, 60, 24
HEIGHT = TOP + BARS_HEIGHT + GAP + QUOTA_HEIGHT + BOTTOM
_STEPS = (1, 2, 5)

Series = Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str
    """`uploads` or `quarantined`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A quarter of an hour in numbers; None: nothing is known of it."""

    began_at: datetime
    uploads: int
    quarantined: int
    rate_limited: int
    quota_left: int | None

    @property
    def is_quiet(self) -> bool:
        return not (self.uploads or self.quarantined or self.rate_limited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that a template draws, in the units of an SVG of `width` by `height`."""

    width: int
    height: int
    left: int
    right: int
    bars_base: int
    quota_top: int
    quota_base: int
    bars: tuple[Bar, ...]
    held: tuple[float, ...]
    """Where the API asked us to wait."""
    quota_line: str
    """Path data; empty: nothing is known of the quota."""
    bar_ticks: tuple[Tick, ...]
    quota_ticks: tuple[Tick, ...]
    hour_ticks: tuple[Tick, ...]
    periods: tuple[Period, ...]
    summary: str


def chart_of(minutes: Mapping[str, Any], capacity: int | None) -> Chart:
    """`minutes` as `Recent.snapshot` tells it: numbers for each minute, oldest first, from `first_at` on."""
    periods = _periods(minutes)
    bars_base = TOP + BARS_HEIGHT
    quota_top = bars_base + GAP
    step, most = _scale(max(period.uploads + period.quarantined for period in periods))
    full = max([capacity or 1, *(period.quota_left or 0 for period in periods)])
    width = (WIDTH - LEFT - RIGHT) / len(periods)

    def x(index: float) -> float:
        return round(LEFT + index * width, 1)

    def bar_y(value: float) -> float:
        return round(bars_base - value * BARS_HEIGHT / most, 1)

    def quota_y(value: float) -> float:
        return round(quota_top + QUOTA_HEIGHT - value * QUOTA_HEIGHT / full, 1)

    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bars_base=bars_base,
        quota_top=quota_top,
        quota_base=quota_top + QUOTA_HEIGHT,
        bars=tuple(_bars(periods, x, bar_y, round(width * 0.8, 1))),
        held=tuple(x(index + 0.4) for index, period in enumerate(periods) if period.rate_limited),
        quota_line=_line(periods, x, quota_y),
        bar_ticks=tuple(Tick(at=bar_y(value), text=number(value)) for value in range(0, most + 1, step)),
        quota_ticks=tuple(Tick(at=quota_y(value), text=number(value)) for value in (0, full)),
        hour_ticks=tuple(_hours(periods, x)),
        periods=periods,
        summary=_summary(periods),
    )


def _periods(minutes: Mapping[str, Any]) -> tuple[Period, ...]:
    first_at = parsed(minutes["first_at"])
    assert first_at is not None
    starts = range(0, len(minutes["uploads"]), MINUTES_A_BAR)
    return tuple(
        Period(
            began_at=first_at + timedelta(minutes=start),
            uploads=_sum(minutes["uploads"], start),
            quarantined=_sum(minutes["quarantined"], start),
            rate_limited=_sum(minutes["rate_limited"], start),
            quota_left=_least(minutes["quota_left"], start),
        )
        for start in starts
    )


def _sum(series: Series, start: int) -> int:
    return int(sum(value or 0 for value in series[start : start + MINUTES_A_BAR]))


def _least(series: Series, start: int) -> int | None:
    """The least says how near to empty it was."""
    known = [value for value in series[start : start + MINUTES_A_BAR] if value is not None]
    return int(min(known)) if known else None


def _scale(most: int) -> tuple[int, int]:
    """A step of 1, 2 or 5 times a power of ten, and as many of them as reach over `most`: at most five."""
    power = 1
    while True:
        for factor in _STEPS:
            step = factor * power
            if step * 4 >= most:
                return step, step * max(1, -(-most // step))
        power *= 10


def _bars(
    periods: Sequence[Period], x: Callable[[float], float], y: Callable[[float], float], width: float
) -> list[Bar]:
    """Quarantined ones stand on top of the uploaded ones."""
    bars = []
    for index, period in enumerate(periods):
        base = y(0)
        for kind, value in (("uploads", period.uploads), ("quarantined", period.quarantined)):
            if value:
                height = round(max(1.0, y(0) - y(value)), 1)
                base = round(base - height, 1)
                bars.append(Bar(x=x(index + 0.1), y=base, width=width, height=height, kind=kind))
    return bars


def _line(periods: Sequence[Period], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Steps; a gap where nothing is known."""
    parts: list[str] = []
    before: int | None = None
    for index, period in enumerate(periods):
        left = period.quota_left
        if left is not None:
            parts.append(f"{'M' if before is None else 'L'}{x(index)} {y(left)}H{x(index + 1)}")
        before = left
    return "".join(parts)


def _hours(periods: Sequence[Period], x: Callable[[float], float]) -> list[Tick]:
    """Every fourth hour, by the clock of this machine."""
    ticks = []
    for index, period in enumerate(periods):
        began_at = period.began_at.astimezone()
        into_hours = began_at.hour % 4 * 60 + began_at.minute
        into = (240 - into_hours) % 240
        if into < MINUTES_A_BAR:
            at = began_at + timedelta(minutes=into)
            ticks.append(Tick(at=x(index + into / MINUTES_A_BAR), text=f"{at:%H:%M}"))
    return ticks


def _summary(periods: Sequence[Period]) -> str:
    uploads = sum(period.uploads for period in periods)
    quarantined = sum(period.quarantined for period in periods)
    held = sum(period.rate_limited for period in periods)
    known = [period.quota_left for period in periods if period.quota_left is not None]
    quota = f"; the quota was down to {number(min(known))}" if known else ""
    waits = f"; the API asked us to wait {number(held)} times" if held else ""
    return f"{number(uploads)} uploads and {number(quarantined)} quarantined{quota}{waits}"
