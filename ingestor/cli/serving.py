"""What a command may hand over: only what is in a folder that somebody works on, now or in the run that follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestor.cli.exits import Exit, Failed, say
from ingestor.observe.wording import counted

if TYPE_CHECKING:
    from ingestor.model import LedgerEntry
    from ingestor.settings import Settings


def served_by_holder(settings: Settings) -> list[str] | None:
    """The folders of whoever holds the ledger; None: nobody does, or it is shared and others have more folders."""
    from ingestor.ledger.place import holder_at

    if not isinstance(settings.ledger, Path) or holder_at(settings) is None:
        return None
    return [folder.name for folder in settings.folders]


def unserved_of(entries: Sequence[LedgerEntry], served: Collection[str] | None) -> list[LedgerEntry]:
    """Those in folders that nobody works on."""
    return [] if served is None else [entry for entry in entries if entry.folder not in served]


def tell_unserved(entries: Sequence[LedgerEntry], why: str) -> None:
    """Which were left as they are, folder by folder, on stderr."""
    by_folder: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        by_folder.setdefault(entry.folder, []).append(entry)
    for folder, of_it in by_folder.items():
        more = f" and {len(of_it) - 1} more" if len(of_it) > 1 else ""
        say(f"{folder}/{of_it[0].path}{more}: not put in line: {why.format(folder=folder)}")


def fail_unserved(entries: Sequence[LedgerEntry]) -> None:
    """Raises `Failed` where any were left as they are."""
    if entries:
        raise Failed(Exit.OUR_FAULT, f"not put in line, for nobody would take them: {counted(len(entries), 'image')}")
