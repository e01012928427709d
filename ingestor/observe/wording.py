"""Numbers, sizes, times and paths as people read them."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len, set_cell_size


def number(value: float) -> str:
    """`30`, `1,234`, `0.5`: no more digits than say something."""
    if value >= 10 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}"


def counted(how_many: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{number(how_many)} {noun}" if how_many == 1 else f"{number(how_many)} {noun}s"


def size(bytes_: float) -> str:
    """`999 B`, `1.2 kB`, `24 MB`: thousands of bytes, as the settings count them."""
    for unit in ("B", "kB", "MB", "GB"):
        if bytes_ < 999.5:
            return f"{bytes_:.1f} {unit}" if unit != "B" and bytes_ < 9.95 else f"{bytes_:.0f} {unit}"
        bytes_ /= 1000
    return f"{bytes_:,.1f} TB"


def rate(per_second: float) -> str:
    """`12/s` where it is more than one a second, else `31/min`."""
    return f"{number(round(per_second, 1))}/s" if per_second > 1 else f"{number(round(per_second * 60, 1))}/min"


def in_words(seconds: float) -> str:
    """`12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`: the two largest units."""
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (left, "s")) if value]
    return " ".join(parts[:2]) or "0 s"


def clock_time(instant: datetime, now: datetime) -> str:
    """`at 17:40` when that is today, else `on Thu 26 Nov at 17:40`; both in the zone of `now`."""
    local = instant.astimezone(now.tzinfo)
    if local.date() == now.date():
        return f"at {local:%H:%M}"
    return f"on {local:%a} {local.day} {local:%b} at {local:%H:%M}"


def end_of(path: str, cells: int, mark: str = "…") -> str:
    """The path, or as much of its end as fits into so many columns: the name tells more than the way to it."""
    if cell_len(path) <= cells:
        return path
    room = cells - cell_len(mark)
    if room <= 0:
        return set_cell_size(mark, max(0, cells))
    kept = path[-room:]
    while cell_len(kept) > room:  # letters that take two columns
        kept = kept[1:]
    return mark + kept
