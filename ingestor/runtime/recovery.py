"""What an interrupted run left undone, done at the next start: each step is repeatable (DESIGN.md, decision 3)."""

from __future__ import annotations

from ingestor.errors import DiskFault, SourceNotReady
from ingestor.model import LedgerEntry, SourceFile, SourceState
from ingestor.pipeline import Tools
from ingestor.settings import AfterKind, FolderSettings
from ingestor.stages.after import put_away

PAGE = 500


async def recover(tools: Tools) -> None:
    """Mark what has expired, complete the manifest, put away what was quarantined and not moved yet."""
    while await tools.ledger.expire():
        pass
    await tools.manifest.open()
    for folder in tools.folders.values():
        if folder.on_quarantine.kind is AfterKind.MOVE:
            await _put_away_quarantined(folder, tools)


async def _put_away_quarantined(folder: FolderSettings, tools: Tools) -> None:
    after: tuple[str, str] | None = None
    while entries := await tools.ledger.entries(
        states=[SourceState.QUARANTINED], folder=folder.name, limit=PAGE, after=after
    ):
        for entry in entries:
            if entry.put_away is None:
                await _put_away(entry, folder, tools)
        after = (entries[-1].folder, entries[-1].path)


async def _put_away(entry: LedgerEntry, folder: FolderSettings, tools: Tools) -> None:
    source = SourceFile(folder=entry.folder, root=entry.root, path=entry.path, identity=entry.identity)
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
        # It has changed, or cannot be moved now: a scan takes the one up, the next start the other.
        tools.observer.notice("put_away_failed", folder=entry.folder, path=entry.path, message=str(fault))
        return
    if gone_to is not None:
        await tools.ledger.note_put_away(source, gone_to)
