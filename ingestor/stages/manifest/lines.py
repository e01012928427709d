"""Lines of the manifest: made from the ledger's entries, and found again in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ingestor.model import HistoryEntry, Json

VERSION = 1

_FIELDS = (
    *("reason", "message", "source", "sha256", "idempotency_key", "generation", "file_id", "purpose", "mime_type"),
    *("size_bytes", "width_px", "height_px", "created_at", "expires_at", "metadata", "replayed", "normalised"),
    *("sent_sha256", "request_id"),
)
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
_HEAD = re.compile(rb'\{"v": \d+, "seq": (\d{1,15}), "at": "([^"]+)", ')
_TEXT = rb'("(?:[^"\\]|\\.)*")'
_PLACE = re.compile(_HEAD.pattern + rb'"event": "\w+", "folder": ' + _TEXT + rb', "path": ' + _TEXT + rb"[,}]")


def manifest_line(entry: HistoryEntry) -> dict[str, Any]:
    """One line of the manifest. INTERFACE.md, Manifest."""
    return {
        "v": VERSION,
        "seq": entry.seq,
        "at": at_text(entry),
        "event": entry.event,
        "folder": entry.folder,
        "path": entry.path,
        **{name: entry.detail[name] for name in sorted(entry.detail, key=_place)},
    }


def _place(name: str) -> tuple[int, str]:
    """Fields stand as people read them: which file, which id, for how long, then the rest."""
    return _PLACES.get(name, len(_PLACES)), name


def at_text(entry: HistoryEntry) -> str:
    return entry.at.isoformat().replace("+00:00", "Z")


def encode(line: dict[str, Any]) -> bytes:
    """UTF-8 and a newline. A path whose bytes are not UTF-8 is written with JSON's own escapes."""
    text = json.dumps(line, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line of a manifest file, as far as its beginning and its end tell."""

    seq: int
    at: str
    data: bytes

    def place(self) -> tuple[Json, Json] | None:
        """Folder and path; None for a line that is not as we write them."""
        found = _PLACE.match(self.data)
        try:
            return (json.loads(found[3]), json.loads(found[4])) if found else None
        except ValueError:
            return None

    def is_json(self) -> bool:
        try:
            return isinstance(json.loads(self.data), dict)
        except (ValueError, RecursionError):
            return False


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a manifest file."""

    lines: tuple[FoundLine, ...]
    end: int
    """Where its last line ends, in bytes from the beginning of the file."""
    stray: bool
    """There is something in it that is no line of ours, other than a torn end of the file."""
    torn: bool
    """The file does not end with a line of ours."""


def found_line(data: bytes) -> FoundLine | None:
    """What a line of a file is; None where it is torn, or none of ours."""
    head = _HEAD.match(data)
    if head is None or not data.endswith(b"}\n"):
        return None
    return FoundLine(int(head[1]), head[2].decode("utf-8", "replace"), data)


def pages(file: Iterable[bytes], lines: int) -> Iterator[Page]:
    """A manifest file from its beginning, so many lines at once."""
    found: list[FoundLine] = []
    end, reached, stray = 0, 0, False
    for data in file:
        reached += len(data)
        line = found_line(data)
        if line is None:
            stray = stray or data.endswith(b"\n")
            continue
        # What was passed over before a line of ours is no torn end.
        stray = stray or reached - len(data) > end
        found.append(line)
        end = reached
        if len(found) == lines:
            yield Page(tuple(found), end, stray=stray, torn=False)
            found, stray = [], False
    yield Page(tuple(found), end, stray=stray, torn=reached > end)
