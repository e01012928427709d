"""Column types: what the flow holds, in a spelling that SQLite and PostgreSQL store alike."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from ingestor.policy.idempotency import canonical_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2})")


class Instant(TypeDecorator[datetime]):
    """An aware instant as microseconds since 1970, UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND


class Unsigned64(TypeDecorator[int]):
    """Inodes and devices use all 64 bits on some file systems; SQL integers are signed."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None or value < 1 << 63 else value - (1 << 64)

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None or value >= 0 else value + (1 << 64)


class FsText(TypeDecorator[str]):
    """A path as text. Names may hold any byte but `/` and NUL; a byte that is not UTF-8 is kept as `\\xNN`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape_path(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None or "\\" not in value else unescape_path(value)


def escape_path(path: str) -> str:
    """`path` with surrogate escapes as `\\xNN` and backslashes doubled: text that every database takes."""
    if "\\" not in path and path.isascii():
        return path
    doubled = path.replace("\\", "\\\\")
    return re.sub(r"[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", doubled)


def unescape_path(text: str) -> str:
    """What `escape_path` was given."""
    return _ESCAPED.sub(_unescape, text)


def _unescape(found: re.Match[str]) -> str:
    what = found[1]
    return "\\" if what == "\\" else chr(0xDC00 + int(what[1:], 16))


class JsonText(TypeDecorator[Any]):
    """A JSON value in its canonical spelling, so that equal values are equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class FactText(JsonText):
    """A JSON value that may be null."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return canonical_json(value)
