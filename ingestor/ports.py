"""The seams of the flow, in the flow's words. Each protocol has one conformance suite for all that implement it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ingestor.model import (
    Comparison,
    Content,
    ContentId,
    Counts,
    Delivery,
    FileId,
    FormerId,
    HistoryEntry,
    Intent,
    Known,
    Lane,
    LedgerEntry,
    Marks,
    Outcome,
    Payload,
    QueuedSource,
    RateHeaders,
    Receipt,
    RemoteFile,
    Sighting,
    SourceFile,
    Standing,
    State,
    UploadRequest,
)


class Clock(Protocol):
    """Time as an argument, so that a rule can be tested without waiting."""

    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None: ...


class FilesApi(Protocol):
    """The Files API in the flow's words. CONTRACT.md, Endpoints."""

    async def upload(self, request: UploadRequest) -> Receipt:
        """Send one image. The same request may be sent again; the body is built anew each time.

        Raises `ApiRefusedImage`, `KeyConflict`, `AccountRefused`, `ApiUnavailable`, `SourceNotReady` (the file to
        send cannot be read or has another size than promised) or, from a bare implementation without retries,
        `RateLimited`, `KeyInFlight`, `ServerFault`.
        """

    async def fetch(self, file_id: FileId) -> RemoteFile:
        """The file object with a fresh signed URL. Raises `FileGone` as well."""

    async def delete(self, file_id: FileId) -> None:
        """Purge now; no error when it is gone already."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NormaliseRules:
    """What `normalise` has to reach. Plain values: they cross into the worker processes."""

    longest_side_px: int = 4096
    max_bytes: int = 10_000_000
    orientation: str = "bake"
    animation: str = "first_frame"
    webp_quality: int = 90
    max_pixels: int = 300_000_000
    integrity: str = "strict"
    metadata: str = "keep"
    light: str = "encoded"


class ImageWorker(Protocol):
    """Makes images fit, outside of this process."""

    max_pixels: int
    """That an image may have: larger files than these need are not even read."""

    async def normalise(self, source: Path, spool: Path) -> Payload:
        """`source` made fit: itself where it complies, else a new file in the folder `spool`.

        Raises `ImageRejected`, `SourceNotReady` (it vanished, is busy, or is truncated: reason `truncated`),
        `DiskFault` (the spool is full) or `ImageWorkerLost`.
        """

    async def inspect(self, source: Path) -> Payload:
        """What `normalise` would do, from the headers alone: nothing is written, sizes of new files are 0."""

    async def close(self) -> None: ...


class Quota(Protocol):
    """The team's token bucket."""

    async def acquire(self, lane: Lane, *, urgent_in: float = math.inf) -> None:
        """Return when one token is ours; the lower lane is served first, then the earlier caller.

        Who still waits after `urgent_in` seconds goes before all others.
        """

    def observe(self, headers: RateHeaders) -> None:
        """Learn capacity and refill; `remaining` may only lower our count."""

    def hold(self, seconds: float) -> None:
        """Nobody gets a token for this long (`Retry-After`)."""


class Observer(Protocol):
    """Told what happened; never changes what happens."""

    def notice(self, event: str, **facts: Any) -> None: ...


Routes = Mapping[tuple[str, str], Sequence[str]]
"""(folder, event) to the targets that are told of it."""


class Outbox(Protocol):
    """What hooks still have to be told: at least once each, whatever happens in between.

    `target` is a name that the caller chose for one hook.
    """

    async def keep_targets(self, targets: Sequence[str]) -> int:
        """Forget what is due to others than these; how much. The first targets are told of what happens from now on."""

    async def enqueue(self, routes: Routes) -> None:
        """All that has happened since the last call is due to whom `routes` names."""

    async def tell_expiring(self, folder: str, within: timedelta) -> int:
        """It happens, once to each id, that it ends within this time: the event `expiring`; to how many paths."""

    async def targets_due(self) -> Sequence[str]:
        """Targets with deliveries whose time has come."""

    async def deliveries(self, target: str, limit: int) -> Sequence[Delivery]:
        """The next ones of a target whose time has come, the longest due first."""

    async def delivered(self, delivery: Delivery) -> None: ...

    async def put_off(self, delivery: Delivery, delay_seconds: float) -> None:
        """One more attempt was made; later again."""

    async def give_up(self, target: str, *, older_than: timedelta, attempts: int) -> int:
        """Forget what has been due to a target for longer than this, after as many attempts or more; how much."""

    async def pending_deliveries(self) -> int:
        """How many are still to be made, to all targets."""


class Ledger(Outbox, Protocol):
    """The durable memory. What changes something is durable when it returns.

    All raise `DiskFault` when the disk is full, broken or read-only, and `LedgerUnreadable` when the ledger is corrupt.
    """

    confirm_time: Callable[[], Awaitable[None]]
    """Awaited before anything ends by the clock, or is told to be about to; and by whoever plans renewals."""

    async def open(self) -> None:
        """Create or migrate."""

    async def close(self) -> None: ...

    # -- discovery

    async def known(self, folder: str, directory: str, names: Sequence[str] | None = None) -> Mapping[str, Known]:
        """What is held of the files of one directory (of those `names`, where given), by name."""

    async def compare(
        self, folder: str, directory: str, marks: Marks, *, whole: bool, ended: bool = False
    ) -> Comparison:
        """Which names of a listing need a closer look: a pass over a million known files asks this, not `known`.

        Those that are held just so, done with, and whose id is good need none. `ended`: nor do those whose id has
        ended. `whole`: the directory has no other files, so that what is held besides is missing.
        """

    async def take(self, sightings: Sequence[Sighting], lane: Lane, batch: str | None) -> None:
        """Put settled files in line, in this order; one that waits as it is keeps its place and its attempts."""

    async def vanish(self, folder: str, path: str, message: str) -> None:
        """The file is not there any more. What was promised for it stays as it is."""

    async def directories(self, folder: str) -> Sequence[str]:
        """Every directory of a folder that a path is held of."""

    async def miss(self, folder: str, directory: str, names: Sequence[str] | None, message: str) -> int:
        """Files that a whole listing did not have are gone, those that are done with as well; how many.

        None: all of a directory that is not there itself.
        """

    async def due(
        self, lane: Lane, limit: int, batch: str | None = None, folders: Sequence[str] | None = None
    ) -> Sequence[QueuedSource]:
        """The paths of a lane whose turn it is, in line order; only those of `batch` and `folders`, where given."""

    async def in_line(self, folder: str, path: str) -> QueuedSource | None:
        """A path that waits, whether or not its turn has come; None: it does not wait."""

    async def next_ready_at(self, batch: str | None = None, folders: Sequence[str] | None = None) -> datetime | None:
        """When the next waiting path's turn is; None when nobody waits."""

    async def count_waiting(self, batch: str | None = None, folders: Sequence[str] | None = None) -> int:
        """How many paths are in line."""

    async def move_root(self, folder: str, root: Path) -> int:
        """A folder is at another place now, with all that it holds; how many of its paths were held at a former one."""

    async def shift_line(self, seconds: float) -> None:
        """Everyone's turn comes so much later (negative: earlier): the clock that had set it was wrong."""

    async def leave_batch(self, source: SourceFile) -> None:
        """The path stays in line, but for another run than this one."""

    # -- the flow

    async def enter(self, source: SourceFile, context: str, content: Content) -> Standing:
        """Tie a path to its content, and say where that content stands."""

    async def intend(self, content_id: ContentId, profile: str, *, fresh: bool = False) -> Intent:
        """What is to be sent; an unfinished intent is taken up again, unless a `fresh` generation is asked for."""

    async def complete(self, source: SourceFile, intent: Intent, payload: Payload, receipt: Receipt) -> bool:
        """Record the receipt with its manifest lines; False if another attempt completed this generation before."""

    async def list_source(self, source: SourceFile, content_id: ContentId) -> None:
        """The manifest line of a path whose content was uploaded for another one."""

    async def finish(self, source: SourceFile, put_away: str | None) -> None:
        """The path is done with: recorded, listed and put away."""

    async def quarantine(
        self, source: SourceFile, content_id: ContentId | None, reason: str, message: str, request_id: str | None
    ) -> bool:
        """Take a path out of line, with a manifest line that says why; False if other bytes came meanwhile."""

    async def note_put_away(self, source: SourceFile, put_away: str) -> None:
        """Where a quarantined file went."""

    async def postpone(
        self,
        source: SourceFile,
        *,
        event: str,
        reason: str,
        message: str,
        request_id: str | None,
        attempt: int,
        delay_seconds: float,
    ) -> None:
        """Later again, with this many attempts spent."""

    # -- the manifest

    async def lines_after(self, seq: int, limit: int) -> Sequence[HistoryEntry]:
        """The manifest's lines above `seq`, in order."""

    async def line_numbers(self, seq: int, limit: int) -> Sequence[int]:
        """The numbers of the manifest's lines above `seq`, in order."""

    async def unlist_superseded(self, up_to_seq: int) -> int:
        """Leave only the last line for each path among the manifest's lines up to there; how many went.

        They stay in the story.
        """

    async def start_numbering_after(self, seq: int) -> None:
        """Number what happens from now on above `seq`: a manifest outlived the ledger that had written it."""

    # -- time and operators

    async def expire(self, limit: int = 200) -> int:
        """Mark what the API has purged by now; how many, at most `limit`."""

    async def prune(self, before: datetime) -> int:
        """Forget paths whose files have been gone since then with no id that is good, and old history; how many paths.

        What the API may still replay is kept, whatever `before` says, and so is each path's last manifest line.
        """

    async def next_expiry_at(self) -> datetime | None: ...

    async def live_id(self) -> FileId | None:
        """One that has not been marked as ended, the last to end; None when there is none."""

    async def purge(self, content_id: ContentId, file_id: str, why: str, *, withdraw: bool = False) -> bool:
        """The file is gone at the API; False if the content has another id by now.

        A renewal in line goes on, under no id meanwhile; or leaves the line, where it is to be `withdraw`n.
        """

    async def put_back(self, folder: str, path: str) -> str | None:
        """A quarantined path waits again; where its file had been put away, if it had."""

    async def want_renewal(
        self, content_id: ContentId, batch: str | None, folders: Sequence[str] | None = None
    ) -> bool:
        """Put one path of a content that has, or had, an id in line for the next generation; False if none is there.

        Only one in `folders`, where given: those that somebody takes from the line.
        """

    async def withdraw_unserved(self, folders: Sequence[str]) -> int:
        """Take the renewals of paths outside of `folders`, which nobody would take up, out of the line; how many."""

    async def renewable(
        self, folders: Sequence[str], before: datetime, *, ended: bool = False, served: Sequence[str] | None = None
    ) -> Sequence[tuple[ContentId, datetime]]:
        """Each content with a live id that ends before, and a source in one of the folders; by the end of its id.

        `ended`: those whose id has ended by itself as well. `served`: where somebody takes what is in line; None:
        everywhere.
        """

    async def forsaken(self, folders: Sequence[str]) -> Sequence[tuple[ContentId, FileId]]:
        """Each content with a live id that was found in one of the folders, and whose every source is gone.

        Not while a file with as many bytes as one of those is in line in any folder: it may be that one.
        """

    async def sizes_in_line(self, among: Set[int]) -> Set[int]:
        """Those of the sizes `among` that a file has which is in line, and whose bytes nobody has read yet."""

    async def vanished(self, folders: Sequence[str], after_seq: int) -> tuple[Sequence[tuple[str, str]], int]:
        """Each (folder, path) that was missed by the history above `after_seq`, and the number of its last entry.

        Only those that were missed lately enough to have had an id that is good still.
        """

    async def counts(self, within: timedelta) -> Counts: ...

    async def entries(
        self,
        *,
        states: Sequence[str] = (),
        folder: str | None = None,
        batch: str | None = None,
        expires_before: datetime | None = None,
        has_live_id: bool = False,
        limit: int | None = None,
        after: tuple[str, str] | None = None,
    ) -> Sequence[LedgerEntry]:
        """Every path, in path order, page by page with `limit` and `after` (the last one seen).

        `has_live_id`: only those whose id is good now, also while they wait for its successor.
        """

    async def find(self, wanted: str, places: Sequence[tuple[str, str]]) -> Sequence[LedgerEntry]:
        """The paths that a user means by `wanted`: a file id, or one of `places` (folder, path)."""

    async def find_former(self, file_id: str) -> Sequence[tuple[str, str]]:
        """The (folder, path) that once had this file id."""

    async def former_ids(self, places: Sequence[tuple[str, str]]) -> Sequence[FormerId]:
        """The ids that these (folder, path) had before their present ones, and that are good by all that is known."""

    async def purge_former(self, one: FormerId, why: str) -> None:
        """The file of that id is gone at the API. No manifest line says so of a path that goes by another one."""

    async def entries_of(self, content_id: ContentId) -> Sequence[LedgerEntry]:
        """Every path with this content."""

    async def story(self, folder: str, path: str) -> Sequence[HistoryEntry]:
        """All that happened to a path, oldest first."""

    async def content_states(self, digests: Sequence[str]) -> Mapping[ContentId, State]: ...

    async def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON value for the next start."""

    async def fact(self, name: str) -> Any: ...

    async def facts(self) -> Mapping[str, Any]: ...


class Manifest(Protocol):
    """The list for others: a file that holds every listed line of the ledger's history."""

    async def open(self) -> None:
        """Complete the file, or make it anew where it is not what the ledger tells. Raises `DiskFault`."""

    async def flush(self) -> None:
        """Every line that the ledger has is in the file, and on disk. Raises `DiskFault`."""

    async def compact(self) -> int:
        """Keep only the last line for each path; how many lines went. Raises `DiskFault`, and then nothing has."""


class Engine(Protocol):
    """Runs the flow for paths in line: here, or wherever somebody takes them."""

    @property
    def running(self) -> int:
        """How many paths are worked on here now."""

    @property
    def turned_at(self) -> float:
        """When its loop last came round (monotonic); now, while there is a reason to wait."""

    @property
    def is_idle(self) -> bool:
        """Nothing is worked on, and every end has been told."""

    def wake(self) -> None:
        """There is something new in line."""

    def stop(self) -> None:
        """Begin nothing new; `run` returns when what runs has ended."""

    def abort(self) -> None:
        """End what runs at once; it is taken up again."""

    async def run(self) -> None:
        """Work until stopped. Raises `LedgerError`, and whatever else means that going on makes no sense."""


class Ingest(Protocol):
    """`pipeline.ingest_one` with its tools: what an engine runs for each path."""

    async def __call__(self, queued: QueuedSource) -> Outcome: ...
