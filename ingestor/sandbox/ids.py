"""Names of files and requests: a prefix and a ULID."""

from __future__ import annotations

import re
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FILE_ID = re.compile(r"file_[0-7][0-9A-HJKMNP-TV-Z]{25}")


def ulid(at: float) -> str:
    """26 characters that sort by time: 48 bits of milliseconds, 80 of chance."""
    number = (int(at * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def file_id(at: float) -> str:
    """A name for a file stored at `at`."""
    return "file_" + ulid(at)


def request_id(at: float) -> str:
    """A name for a request that came in at `at`."""
    return "req_" + ulid(at)


def is_file_id(text: str) -> bool:
    """The text could name a file."""
    return _FILE_ID.fullmatch(text) is not None
