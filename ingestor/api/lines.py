"""A line of the manifest as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

WITH_ID = frozenset({"uploaded", "renewed"})
"""Events of lines whose id was good when they were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestLine:
    """What happened to one path. INTERFACE: the README, "The manifest".

    Instants are aware UTC. What an event does not have is None, or empty.
    """

    seq: int
    """Grows from line to line; a path's line with the highest one is its present state."""
    at: datetime
    event: str
    """`uploaded`, `renewed`, `expired`, `purged` or `quarantined`."""
    folder: str
    path: str
    """Relative to the folder; bytes that are not UTF-8 stand as surrogate escapes, as in `os.fsdecode`."""
    source: str | None = None
    """The absolute path that the file had."""
    sha256: str | None = None
    """Of the source, as it was found."""
    idempotency_key: str | None = None
    generation: int | None = None
    file_id: str | None = None
    """What a generation call takes. Good until `expires_at`, where `event` is `uploaded` or `renewed`."""
    purpose: str | None = None
    mime_type: str | None = None
    """Of what was sent, as are the three that follow."""
    size_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    replayed: bool = False
    normalised: tuple[str, ...] = ()
    """What was done to make the image fit; empty: it was sent as it was found."""
    sent_sha256: str | None = None
    request_id: str | None = None
    reason: str | None = None
    """Of `quarantined`, and of some `purged`."""
    message: str | None = None

    def is_live(self, now: datetime | None = None) -> bool:
        """Whether the id of this line is good at `now`: at this moment, where none is given."""
        if self.event not in WITH_ID or self.file_id is None or self.expires_at is None:
            return False
        return (now or datetime.now(UTC)) < self.expires_at

    @classmethod
    def parse(cls, line: bytes | str) -> ManifestLine:
        """Fields that this version does not know are left out. Raises `ValueError` for what is no manifest's line."""
        try:
            fields = json.loads(line)
            known = {name: fields[name] for name in cls.__dataclass_fields__ if fields.get(name) is not None}
            for name in ("at", "created_at", "expires_at"):
                if name in known:
                    known[name] = datetime.fromisoformat(known[name])
            known["normalised"] = tuple(known.get("normalised", ()))
            parsed = cls(**known)
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError("this is no line of a manifest") from error
        if not isinstance(parsed.seq, int) or not isinstance(parsed.folder, str) or not isinstance(parsed.path, str):
            raise ValueError("this is no line of a manifest")
        return parsed
