"""The manifest written out: its present lines, page by page, in one of three forms."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from ingestor.disk import disk_fault, printable
from ingestor.model import Event
from ingestor.observe.instants import parsed
from ingestor.runtime.system_clock import SystemClock
from ingestor.stages.manifest import encode, manifest_line

if TYPE_CHECKING:
    from ingestor.ledger import LedgerReader

PAGE = 2_000

FIELDS = (
    "v", "seq", "at", "event", "folder", "path", "source", "sha256", "idempotency_key", "generation", "file_id",
    "purpose", "mime_type", "size_bytes", "width_px", "height_px", "created_at", "expires_at", "metadata", "replayed",
    "normalised", "sent_sha256", "request_id", "reason", "message",
)  # fmt: skip
"""The columns of the CSV: every field that a line may have. INTERFACE.md, Manifest."""

_HAS_ID = frozenset({Event.UPLOADED, Event.RENEWED})

Line = dict[str, Any]


class Writer(Protocol):
    def write(self, line: Line) -> None: ...

    def end(self) -> None: ...


async def present_lines(ledger: LedgerReader, *, folder: str | None, live: bool) -> AsyncIterator[Line]:
    """Each path's last line, by number, as things stood when this began."""
    up_to, after = await ledger.last_seq(), 0
    while page := await ledger.present_lines(up_to_seq=up_to, after_seq=after, folder=folder, limit=PAGE):
        now = SystemClock().now()
        for entry in page:
            line = manifest_line(entry)
            if not live or is_live(line, now):
                yield line
        after = page[-1].seq


def is_live(line: Line, now: datetime) -> bool:
    """Whether a line's id is good now."""
    expires_at = parsed(line.get("expires_at"))
    return line["event"] in _HAS_ID and expires_at is not None and now < expires_at


# -- where to --------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_output(file: Path | None) -> Iterator[IO[bytes]]:
    """stdout, or a file that has its name only when it is whole. Raises `DiskFault`."""
    if file is None or str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if file.exists() and not stat.S_ISREG(file.stat().st_mode):
            with file.open("wb") as stream:
                yield stream
            return
        with _replacing(file) as stream:
            yield stream
    except OSError as error:
        raise disk_fault(file, error) from error


@contextlib.contextmanager
def _replacing(file: Path) -> Iterator[IO[bytes]]:
    target = Path(os.path.realpath(file))
    number, fresh = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(number)
        os.replace(fresh, target)
    except BaseException:
        os.unlink(fresh)
        raise


# -- how -------------------------------------------------------------------------------------------


def writer_of(form: str, stream: IO[bytes]) -> Writer:
    kinds: dict[str, Callable[[IO[bytes]], Writer]] = {"jsonl": JsonLines, "json": JsonArray, "csv": Csv}
    return kinds[form](stream)


class JsonLines:
    """As the manifest file has them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, line: Line) -> None:
        self._stream.write(encode(line))

    def end(self) -> None:
        """Nothing is left to be written."""


class JsonArray:
    """One array, a line for each object."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._before = b"[\n"

    def write(self, line: Line) -> None:
        self._stream.write(self._before + encode(line).rstrip(b"\n"))
        self._before = b",\n"

    def end(self) -> None:
        self._stream.write(b"[]\n" if self._before == b"[\n" else b"\n]\n")


class Csv:
    """With a header; objects and lists as JSON text. RFC 4180."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._write_row(FIELDS)

    def write(self, line: Line) -> None:
        self._write_row([_cell(line.get(field)) for field in FIELDS])

    def end(self) -> None:
        """Nothing is left to be written."""

    def _write_row(self, cells: Any) -> None:
        row = io.StringIO()
        csv.writer(row).writerow(cells)
        self._stream.write(row.getvalue().encode())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return printable(value)
    return json.dumps(value, ensure_ascii=True, sort_keys=True)
