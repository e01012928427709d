"""The nouns of the flow. All are values: frozen, compared by content, changed by making a new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, NewType

Digest = NewType("Digest", str)
"""sha256 as 64 lower-case hex digits."""
FileId = NewType("FileId", str)
"""`file_` + ULID, as the API names an uploaded file."""
IdempotencyKey = NewType("IdempotencyKey", str)
ContentId = NewType("ContentId", str)
"""Names one thing to upload: the same bytes, purpose and metadata have the same one."""

Json = Any
"""A JSON value as `json.loads` gives it."""
Metadata = Mapping[str, Json]


class Purpose(StrEnum):
    REFERENCE = "reference"
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"


class Lane(IntEnum):
    """Who goes first when tokens are short; the lower number."""

    FRESH = 0
    RENEWAL = 1
    BACKFILL = 2


class State(StrEnum):
    """Where an upload stands; `policy.life_cycle` has the legal moves."""

    WAITING = "waiting"
    SENDING = "sending"
    LIVE = "live"
    RENEWING = "renewing"
    EXPIRED = "expired"
    PURGED = "purged"
    QUARANTINED = "quarantined"


class SourceState(StrEnum):
    """Where a path stands. What was uploaded for it stands in its upload's `State`."""

    WAITING = "waiting"
    DONE = "done"
    QUARANTINED = "quarantined"
    VANISHED = "vanished"


class Event(StrEnum):
    """The events of manifest lines."""

    UPLOADED = "uploaded"
    RENEWED = "renewed"
    EXPIRED = "expired"
    PURGED = "purged"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIdentity:
    """What the file system says of a file; equal means "surely not rewritten", never "the same bytes"."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileIdentity:
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            size_bytes=status.st_size,
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file found below a drop folder."""

    folder: str
    root: Path
    path: str
    """Relative to `root`, with `/`; bytes that are not UTF-8 stand as surrogate escapes."""
    identity: FileIdentity
    _absolute: Path | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def absolute(self) -> Path:
        # Asked for ten times an image, and it is slow to make; of most of a million files nobody asks.
        if (absolute := self._absolute) is None:
            absolute = self.root / self.path
            object.__setattr__(self, "_absolute", absolute)
        return absolute

    @property
    def key(self) -> tuple[str, str]:
        return (self.folder, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """An image that fits: the file to send and what is in it."""

    file: Path
    is_source: bool
    """True: `file` is the source itself, sent byte for byte; False: a spool file that is ours to delete."""
    sha256: Digest
    """Of `file`; from a worker empty where it has not read all of it."""
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int
    normalised: tuple[str, ...]
    """What was done, in order, from `turned`, `first_frame`, `colour`, `recoded`, `resized`, `webp`; or one of
    `stripped`, `trimmed`, `mended` (metadata, what was appended, or what is damaged or huge beside the picture taken
    out of bytes that comply otherwise; or their missing end added); empty: nothing."""
    profile: str
    """Which encoder made the bytes, and how: part of the idempotency key. `as-is` for untouched bytes."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One thing to upload, whichever paths it was found under."""

    digest: Digest
    purpose: Purpose
    metadata: Metadata
    content_id: ContentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be sent, durable before the request leaves."""

    content_id: ContentId
    generation: int
    key: IdempotencyKey
    profile: str
    first_sent_at: datetime
    resumed: bool
    """True: an earlier attempt may have reached the API under this very key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    key: IdempotencyKey
    file: Path
    identity: FileIdentity | None = None
    """What `file` has to be before and after it is read, where it is a source that others may write to."""
    mime_type: str
    size_bytes: int
    purpose: Purpose
    metadata: Metadata
    lane: Lane = Lane.FRESH
    replaces_until: datetime | None = None
    """When the id that this one follows ends: shortly before, it waits behind nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the API promised: the file object of CONTRACT.md, without its signed URL."""

    file_id: FileId
    purpose: Purpose
    mime_type: str
    size_bytes: int
    width_px: int
    height_px: int
    created_at: datetime
    expires_at: datetime
    replayed: bool
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """The answer to a GET: the receipt and a signed URL, good for about an hour and never stored."""

    receipt: Receipt
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateHeaders:
    """`X-RateLimit-*` and `Retry-After` as they came. CONTRACT.md, Headers."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: float | None = None
    """Epoch seconds at which the bucket would be full again."""
    server_now: float | None = None
    """Epoch seconds by the API's `Date`; None where it sent none."""


# -- how an attempt ends ---------------------------------------------------------------------------


class DoneAs(StrEnum):
    UPLOADED = "uploaded"
    REPLAYED = "replayed"
    RENEWED = "renewed"
    DUPLICATE = "duplicate"
    ALREADY_LIVE = "already_live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    how: DoneAs
    file_id: FileId
    digest: Digest
    key: IdempotencyKey
    request_id: str | None = None
    bytes_read: int = 0
    bytes_sent: int = 0
    normalised: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snoozed:
    """Not now, for a reason outside the image: no attempt is spent."""

    reason: str
    message: str
    delay_seconds: float
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """This attempt failed in a way that another may not; one attempt is spent."""

    reason: str
    message: str
    delay_seconds: float
    attempt: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Something is wrong with this very image; it is not tried again unless it changes or is put back."""

    reason: str
    message: str
    request_id: str | None = None


Outcome = Done | Snoozed | Retry | Quarantined


# -- discovery -------------------------------------------------------------------------------------

SIDECAR_SUFFIX = ".json"
"""`NAME.EXT.json` beside an image adds to its metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """An image file as it was seen in a listing."""

    source: SourceFile
    context: str
    """Changes when the folder's purpose or metadata, or the sidecar, do."""


Mark = tuple[int, int, int, int, int]
"""A file's identity as a listing of a million can afford it: device, inode, size, mtime and ctime in ns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The files that a listing of a directory has seen, by name."""

    by_name: Mapping[str, Mark]
    context: str
    """The context of a file that has no sidecar."""
    contexts: Mapping[str, str]
    """The contexts of those that have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A directory's listing against the ledger."""

    strangers: tuple[str, ...]
    """Names that need a closer look: all but those that are held just so, done with, with an id that is good."""
    missing: tuple[str, ...]
    """Names that are held, and that a whole listing did not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something in a drop folder that is not taken, and why."""

    path: str
    reason: str
    message: str = ""


# -- what the ledger remembers ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger holds of a path, as a scan needs it."""

    identity: FileIdentity
    context: str
    state: SourceState
    upload_state: State | None
    expires_at: datetime | None
    reason: str | None
    message: str | None
    request_id: str | None
    content_id: ContentId | None = None
    """What was last found under the path; of one that waits, perhaps not what is there now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedSource:
    """A path whose turn it is."""

    source: SourceFile
    context: str
    lane: Lane
    attempt: int
    """Attempts spent before this one."""
    since: datetime | None = None
    """When its turn came; of a renewal, when the id was made that it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a content stands when a path with it comes along."""

    state: State
    generation: int
    file_id: FileId | None
    key: IdempotencyKey | None
    expires_at: datetime | None
    request_id: str | None
    reason: str | None
    message: str | None
    renewal_wanted: bool
    """This path asks for a newer generation than the one that stands."""
    listed: bool
    """The manifest's last line for this path is already about this content and generation."""
    withdrawn: bool
    """What stands was purged, and this path was taken out of the line with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """All that is known of one path now: its source and its upload."""

    folder: str
    path: str
    root: Path
    state: str
    """`waiting`, `quarantined` or `vanished` of the source, else the state of its upload."""
    upload_state: State | None
    """Of its upload, wherever the source stands: an id stays good while its successor is waited for."""
    awaits_renewal: bool
    """It is in line for the next generation of its id."""
    identity: FileIdentity
    attempt: int
    ready_at: datetime
    found_at: datetime
    changed_at: datetime
    reason: str | None
    message: str | None
    request_id: str | None
    put_away: str | None
    content_id: ContentId | None
    digest: Digest | None
    purpose: str | None
    metadata: Metadata | None
    generation: int | None
    key: IdempotencyKey | None
    file_id: FileId | None
    mime_type: str | None
    size_bytes: int | None
    width_px: int | None
    height_px: int | None
    created_at: datetime | None
    expires_at: datetime | None
    normalised: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerId:
    """An id that paths had before their present ones, and that is good at the API still."""

    file_id: FileId
    content_id: ContentId
    places: tuple[tuple[str, str], ...]
    """Folder and path of those that were asked about and had it."""
    created_at: datetime
    followed_by: FileId | None
    """The good id that one of them goes by now."""
    is_newest: bool
    """It is the newest one of its content: other paths may go by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to a path. Those with `listed` are the manifest's lines."""

    seq: int
    at: datetime
    folder: str
    path: str
    event: str
    listed: bool
    detail: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many paths stand where, by folder."""

    by_state: Mapping[tuple[str, str], int]
    """(folder, state) to number of paths."""
    expiring: Mapping[str, int]
    """Folder to number of live paths whose id expires within the next hours (`within` of the call)."""
    next_expiry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that happened, and whom a hook still has to tell of it."""

    target: str
    """Which hook: the name that the runtime gave it."""
    entry: HistoryEntry
    attempt: int
    """Attempts made before this one."""
