"""Values for tests of the ledger and the stages, and the walk of one image through a ledger."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from ingestor.ledger.migrate import migrate
from ingestor.model import (
    Content,
    Digest,
    FileId,
    FileIdentity,
    Intent,
    Lane,
    Payload,
    Purpose,
    Receipt,
    Sighting,
    SourceFile,
    Standing,
)
from ingestor.policy.idempotency import content_id
from ingestor.ports import Ledger
from ingestor.settings import FolderSettings
from tests.fakes import FakeClock

LIFETIME = timedelta(hours=24)


@functools.cache
def _empty_ledger() -> bytes:
    """An SQLite ledger that has been opened once: making one takes ten times as long as copying it."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/ledger.db")
        with engine.begin() as connection:
            migrate(connection, "a test's ledger")
        engine.dispose()
        return Path(folder, "ledger.db").read_bytes()


def empty_ledger_in(folder: Path) -> Path:
    path = folder / "ledger.db"
    path.write_bytes(_empty_ledger())
    return path


def source_of(root: Path, path: str, folder: str = "inbox") -> SourceFile:
    """A file on this disk, as discovery would find it now."""
    return SourceFile(folder=folder, root=root, path=path, identity=FileIdentity.of(os.lstat(root / path)))


def folder_settings(root: Path, **fields: Any) -> FolderSettings:
    return FolderSettings.model_validate({"path": root, "name": "inbox", "purpose": "reference", **fields})


def sighting(path: str = "a/b.jpg", *, folder: str = "inbox", mtime_ns: int = 1, context: str = "c") -> Sighting:
    """A file that only the ledger knows."""
    identity = FileIdentity(device=1, inode=7, size_bytes=10, mtime_ns=mtime_ns, ctime_ns=mtime_ns)
    source = SourceFile(folder=folder, root=Path("/in"), path=path, identity=identity)
    return Sighting(source=source, context=context)


def content(number: int = 1, **metadata: Any) -> Content:
    digest = Digest(f"{number:064x}")
    return Content(
        digest=digest,
        purpose=Purpose.REFERENCE,
        metadata=metadata,
        content_id=content_id(digest, Purpose.REFERENCE, metadata),
    )


def payload(number: int = 1) -> Payload:
    return Payload(
        file=Path("/in/a.png"),
        is_source=True,
        sha256=Digest(f"{number:064x}"),
        mime_type="image/png",
        size_bytes=10,
        width_px=8,
        height_px=9,
        normalised=("resized", "webp"),
        profile="as-is",
    )


def receipt(clock: FakeClock, number: int = 1, *, replayed: bool = False) -> Receipt:
    return Receipt(
        file_id=FileId(f"file_{number:026d}"),
        purpose=Purpose.REFERENCE,
        mime_type="image/webp",
        size_bytes=11,
        width_px=8,
        height_px=9,
        created_at=clock.now(),
        expires_at=clock.now() + LIFETIME,
        replayed=replayed,
        request_id=f"req_{number}",
    )


class Walk:
    """The steps of the flow on a ledger, as the pipeline takes them."""

    def __init__(self, ledger: Ledger, clock: FakeClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self._ids = 0

    async def taken(self, *sightings: Sighting, lane: Lane = Lane.FRESH, batch: str | None = None) -> SourceFile:
        await self.ledger.take(sightings, lane, batch)
        return sightings[0].source

    async def entered(self, seen: Sighting, what: Content) -> Standing:
        await self.taken(seen)
        return await self.ledger.enter(seen.source, seen.context, what)

    async def intended(self, seen: Sighting, what: Content) -> Intent:
        await self.entered(seen, what)
        return await self.ledger.intend(what.content_id, "as-is")

    async def uploaded(self, seen: Sighting, what: Content) -> Receipt:
        """From found to done with, the id live."""
        intent = await self.intended(seen, what)
        self._ids += 1
        promised = receipt(self.clock, self._ids)
        assert await self.ledger.complete(seen.source, intent, payload(), promised)
        await self.ledger.finish(seen.source, None)
        return promised

    async def renewed(self, seen: Sighting, what: Content) -> Receipt:
        assert await self.ledger.want_renewal(what.content_id, None)
        standing = await self.ledger.enter(seen.source, seen.context, what)
        assert standing.renewal_wanted
        intent = await self.ledger.intend(what.content_id, "as-is")
        self._ids += 1
        promised = receipt(self.clock, self._ids)
        assert await self.ledger.complete(seen.source, intent, payload(), promised)
        await self.ledger.finish(seen.source, None)
        return promised

    async def lines(self) -> list[dict[str, Any]]:
        """The manifest's lines as far as they matter to most tests."""
        return [
            {"event": entry.event, "path": entry.path, "file_id": entry.detail.get("file_id")}
            for entry in await self.ledger.lines_after(0, 10_000)
        ]


def moved_on(seen: Sighting, *, mtime_ns: int) -> Sighting:
    """The same path with other bytes."""
    identity = replace(seen.source.identity, mtime_ns=mtime_ns, ctime_ns=mtime_ns)
    return replace(seen, source=replace(seen.source, identity=identity))
