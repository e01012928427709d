"""A backfill from another program."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestor.app import assemble
from ingestor.errors import UsageError
from ingestor.observe.several import Observers
from ingestor.ports import Ledger
from ingestor.runtime.backfill import Backfill, Ended, Limits, Report, Selection
from ingestor.runtime.opening import hold_ledger
from ingestor.runtime.selecting import select
from ingestor.runtime.tally import Tally
from ingestor.settings import Settings, load

__all__ = ["Ended", "ImageEnd", "Report", "Settings", "Tally", "backfill", "load_settings"]

_NOT_YET = frozenset({"snoozed", "retry"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEnd:
    """How the work on one image ended."""

    folder: str
    path: str
    """Relative to the folder."""
    outcome: str
    """`uploaded`, `replayed`, `renewed`, `duplicate`, `already_live` or `quarantined`."""
    file_id: str | None
    reason: str | None
    """Of `quarantined`, as is `message`."""
    message: str | None
    request_id: str | None


def load_settings(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in a file, under those of the environment. Raises `SettingsError` with every mistake."""
    return load(Path(path), os.environ if environ is None else environ)


async def backfill(
    settings: Settings | str | os.PathLike[str],
    *,
    paths: Sequence[str | os.PathLike[str]] | None = None,
    purpose: str | None = None,
    metadata: Mapping[str, str] | None = None,
    deadline_seconds: float | None = None,
    most_errors: int | None = None,
    allow_expiry: bool = False,
    on_end: Callable[[ImageEnd], None] | None = None,
) -> Report:
    """One pass over the drop folders, or over `paths`, as `ingestor backfill` makes it; nothing is printed or logged.

    `settings` are values or the file that has them. `purpose` and `metadata` are for `paths`, `most_errors` is how many
    quarantined images end the run, and `allow_expiry` lets one begin whose first ids end before its last upload.
    `on_end` is called for each image that was worked on, in the event loop; what it raises ends the run and comes out
    here. Images that a scan finds done are in the report's numbers only.

    How it ended is in the report's `ended` and `message`: that the API refuses us is an end as well. A run that is
    cancelled stops at once, and the next one goes on. Raises `SettingsError`, `UsageError`, `LedgerHeld` or another
    `LedgerError`.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    wanted = None if paths is None else [_existing(path) for path in paths]
    pairs = [f"{key}={value}" for key, value in (metadata or {}).items()]
    limits = Limits(most_errors=most_errors, deadline_seconds=deadline_seconds)
    async with hold_ledger(settings, "a backfill of another program") as ledger:
        selections = await select(settings, ledger, wanted, purpose=purpose, metadata=pairs)
        if not allow_expiry:
            await _check_expiry(settings, selections, ledger)
        folders = [selection.folder.settings for selection in selections]
        caller = _Caller(on_end)
        async with assemble(
            settings, ledger=ledger, folders=folders, observer=Observers(caller), patient=False
        ) as parts:
            run = Backfill(parts, selections, limits)
            caller.stop = run.interrupt
            report = await _to_its_end(run)
    if caller.error is not None:
        raise caller.error
    return report


def _existing(path: str | os.PathLike[str]) -> Path:
    if not os.path.lexists(path):
        raise UsageError(f"{os.fspath(path)}: there is no such file or folder")
    return Path(path)


async def _check_expiry(settings: Settings, selections: Sequence[Selection], ledger: Ledger) -> None:
    from ingestor.app import UPLOAD_QUOTA_FACT
    from ingestor.runtime.capacity import would_expire
    from ingestor.runtime.supply import supply_of
    from ingestor.runtime.system_clock import SystemClock

    clock = SystemClock()
    supply = supply_of(settings.api.quota, await ledger.fact(UPLOAD_QUOTA_FACT), clock.now())
    why = await would_expire(settings, selections, clock, supply)
    if why is not None:
        raise UsageError(f"{why}; take fewer, or pass allow_expiry=True")


async def _to_its_end(run: Backfill) -> Report:
    """The report. Whoever cancels us waits until nothing of the run is left."""
    running = asyncio.create_task(run.run())
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        run.abort()
        await asyncio.wait({running})
        raise


class _Caller:
    """The observer that calls back."""

    def __init__(self, on_end: Callable[[ImageEnd], None] | None) -> None:
        self._on_end = on_end
        self.error: Exception | None = None
        self.stop: Callable[[], None] = lambda: None

    def notice(self, event: str, **facts: Any) -> None:
        if event != "image_end" or self._on_end is None or facts["outcome"] in _NOT_YET or self.error is not None:
            return
        end = ImageEnd(
            folder=facts["folder"],
            path=facts["path"],
            outcome=facts["outcome"],
            file_id=facts.get("file_id"),
            reason=facts.get("reason"),
            message=facts.get("message"),
            request_id=facts.get("request_id"),
        )
        try:
            self._on_end(end)
        except Exception as error:
            self.error = error
            self.stop()
