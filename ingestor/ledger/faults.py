"""A database's errors as what they mean to the flow."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from ingestor.errors import DiskFault, LedgerUnreadable

_CORRUPT = (
    "move it away and start again: unchanged images replay under the same keys and keep their ids for as long as the "
    "API remembers them"
)


def translated(path: Path, error: DBAPIError) -> Exception:
    """What SQLite's error stands for; one that is our own fault stays as it is."""
    original = error.orig
    name = getattr(original, "sqlite_errorname", None) or ""
    text = str(original)
    if name.startswith("SQLITE_FULL"):
        return DiskFault("disk_full", f"{path}: the ledger's disk is full; make room there, work goes on by itself")
    if name.startswith("SQLITE_READONLY"):
        return DiskFault("disk_read_only", f"{path}: the ledger cannot be written ({text}); make its disk writable")
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")):
        return DiskFault("disk", f"{path}: the ledger's disk fails ({text})")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return DiskFault("ledger_busy", f"{path}: another program keeps the ledger locked ({text})")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")):
        return LedgerUnreadable(f"{path}: this ledger is corrupt ({text}); {_CORRUPT}")
    if name == "SQLITE_ERROR" and text.startswith(("no such table", "no such column")):
        return LedgerUnreadable(f"{path}: this ledger is damaged ({text}); {_CORRUPT}")
    return error
