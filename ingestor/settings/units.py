"""Durations and sizes as people write them: `90s`, `5m`, `10MB`."""

from __future__ import annotations

import re
from decimal import Decimal

SECONDS_OF = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
BYTES_OF = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}
# Twelve digits are more than any duration or size here needs, and keep every result exact as a float.
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,6})?"
DURATION_PATTERN = rf"^{_NUMBER}(?:ms|s|m|h|d)$"
SIZE_PATTERN = rf"^{_NUMBER} ?(?:B|[kKMGT]B|[KMGT]iB)$"
WHOLE_PATTERN = r"^-?[0-9]{1,3}(?:_?[0-9]{1,3}){0,5}$"


def parse_seconds(text: str) -> float:
    """Seconds of a duration such as `500ms`, `90s`, `5m`, `24h` or `7d`. Raises `ValueError`."""
    if not re.fullmatch(DURATION_PATTERN, text, re.ASCII):
        raise ValueError(text)
    unit = text.lstrip("0123456789.")
    return float(Decimal(text.removesuffix(unit)) * SECONDS_OF[unit])


def write_seconds(seconds: float) -> str:
    """A duration that `parse_seconds` reads as just these seconds: `90s`, `5m`, `24h`."""
    exact = Decimal(str(seconds))
    for unit in ("d", "h", "m"):
        if exact % SECONDS_OF[unit] == 0 and exact > SECONDS_OF[unit]:
            return f"{int(exact / SECONDS_OF[unit])}{unit}"
    if exact % 1 and exact % SECONDS_OF["ms"] == 0:
        return f"{int(exact / SECONDS_OF['ms'])}ms"
    return f"{exact.normalize():f}s"


def parse_bytes(text: str) -> int:
    """Bytes of a size such as `10MB` (10,000,000) or `10MiB` (10,485,760). Raises `ValueError`."""
    if not re.fullmatch(SIZE_PATTERN, text, re.ASCII):
        raise ValueError(text)
    unit = text.lstrip("0123456789. ")
    return int(Decimal(text.removesuffix(unit).strip()) * BYTES_OF[unit])


def write_bytes(size: int) -> str:
    """The shortest size that `parse_bytes` reads as just so many bytes."""
    for unit in ("TB", "TiB", "GB", "GiB", "MB", "MiB", "kB", "KiB"):
        if size and size % BYTES_OF[unit] == 0:
            return f"{size // BYTES_OF[unit]}{unit}"
    return f"{size}B"


def parse_whole(text: str) -> int:
    """A whole number, with or without underscores between its digits. Raises `ValueError`."""
    if not re.fullmatch(WHOLE_PATTERN, text, re.ASCII):
        raise ValueError(text)
    return int(text)
