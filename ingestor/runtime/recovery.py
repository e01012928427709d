"""What an interrupted run left undone, done at the next start: each step is repeatable (DESIGN.md, decision 3)."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ingestor.disk import clear_interrupted, disk_fault
from ingestor.errors import DiskFault, SourceNotReady
from ingestor.model import LedgerEntry, SourceFile, SourceState
from ingestor.pipeline import Tools
from ingestor.settings import AfterKind, FolderSettings
from ingestor.stages.after import put_away
from ingestor.stages.discover import root_identity

PAGE = 500


async def leave_unserved(tools: Tools, serves: Sequence[str]) -> None:
    """Renewals in line in other folders than these leave the line: nobody would take them up.

    Such folders were taken out of the settings, renamed there, or named on command lines.
    """
    withdrawn = await tools.ledger.withdraw_unserved(serves)
    if withdrawn:
        tools.observer.notice("renewals_withdrawn", number=withdrawn)


async def recover(tools: Tools) -> None:
    """Mark what has expired, complete the manifest, put away what was quarantined and not moved yet."""
    while await tools.ledger.expire():
        pass
    await tools.manifest.open()
    for folder in tools.folders.values():
        await _finish_moved(folder, tools)
    await finish_quarantined(tools)


async def finish_quarantined(tools: Tools) -> None:
    """List and put away what was quarantined when a disk was at fault. Raises `DiskFault` where the manifest's is."""
    tools.unfinished.clear()
    await tools.manifest.flush()
    for folder in tools.folders.values():
        if folder.on_quarantine.kind is AfterKind.MOVE:
            await _put_away_quarantined(folder, tools)


async def _finish_moved(folder: FolderSettings, tools: Tools) -> None:
    """Those in line whose file is gone: put away by a run that died before it could say so, or deleted by somebody.

    Nothing is concluded while the folder itself is not there: it may be a mount that comes back.
    """
    if root_identity(folder.path) is None:
        return
    async for entry in _pages(folder, SourceState.WAITING, tools):
        source = _source_of(entry)
        if _is_file(source.absolute) or _is_given_back(source):
            continue
        gone_to = await _where_it_went(entry, folder, source) if entry.file_id is not None else None
        if gone_to is not None:
            await tools.ledger.finish(source, gone_to)
        else:
            await tools.ledger.vanish(entry.folder, entry.path, f"{source.absolute}: is gone")


def _is_given_back(source: SourceFile) -> bool:
    """Whether a removal that was interrupted had taken another file's name, which has it again."""
    try:
        clear_interrupted(source.absolute, source.identity)
    except OSError as error:
        raise disk_fault(source.absolute, error) from error
    return _is_file(source.absolute)


def _is_file(path: Path) -> bool:
    """Whether a file is there still, and not something else that has its name by now."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # it cannot be told; nothing is concluded


async def _where_it_went(entry: LedgerEntry, folder: FolderSettings, source: SourceFile) -> str | None:
    try:
        return await put_away(source, folder.after_upload)
    except (SourceNotReady, DiskFault):
        return None


async def _pages(folder: FolderSettings, state: SourceState, tools: Tools) -> AsyncIterator[LedgerEntry]:
    after: tuple[str, str] | None = None
    while entries := await tools.ledger.entries(states=[state], folder=folder.name, limit=PAGE, after=after):
        for entry in entries:
            yield entry
        after = (entries[-1].folder, entries[-1].path)


def _source_of(entry: LedgerEntry) -> SourceFile:
    return SourceFile(folder=entry.folder, root=entry.root, path=entry.path, identity=entry.identity)


async def _put_away_quarantined(folder: FolderSettings, tools: Tools) -> None:
    async for entry in _pages(folder, SourceState.QUARANTINED, tools):
        if entry.put_away is None:
            await _put_away(entry, folder, tools)


async def _put_away(entry: LedgerEntry, folder: FolderSettings, tools: Tools) -> None:
    source = _source_of(entry)
    error = {
        "v": 1,
        "at": entry.changed_at.isoformat().replace("+00:00", "Z"),
        "folder": entry.folder,
        "path": entry.path,
        "source": str(source.absolute),
        "sha256": entry.digest,
        "reason": entry.reason,
        "message": entry.message,
        "request_id": entry.request_id,
    }
    try:
        gone_to = await put_away(source, folder.on_quarantine, error=error)
    except (SourceNotReady, DiskFault) as fault:
        # It has changed, which a scan takes up; or it cannot be moved now.
        tools.observer.notice("put_away_failed", folder=entry.folder, path=entry.path, message=str(fault))
        if isinstance(fault, DiskFault):
            tools.unfinished.set()
        return
    if gone_to is not None:
        await tools.ledger.note_put_away(source, gone_to)
