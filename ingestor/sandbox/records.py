"""What the store keeps of a file and of an idempotency key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ingestor.sandbox.clock import rfc3339
from ingestor.sandbox.images import ImageFacts

TTL_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that was uploaded. Instants are whole epoch seconds of the sandbox's clock."""

    id: str
    team: str
    purpose: str
    facts: ImageFacts
    size_bytes: int
    sha256: str
    metadata: dict[str, Any] | None
    created_at: int

    @property
    def expires_at(self) -> int:
        """When it is purged."""
        return self.created_at + TTL_SECONDS

    def as_object(self, url: str) -> dict[str, Any]:
        """The API's file object. CONTRACT.md, File object."""
        return {
            "id": self.id,
            "object": "file",
            "purpose": self.purpose,
            "mime_type": self.facts.mime_type,
            "size_bytes": self.size_bytes,
            "width_px": self.facts.width_px,
            "height_px": self.facts.height_px,
            "url": url,
            "expires_at": rfc3339(self.expires_at),
            "created_at": rfc3339(self.created_at),
        } | ({} if self.metadata is None else {"metadata": self.metadata})


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKey:
    """What an idempotency key was first used for, and the answer that is given again."""

    team: str
    key: str
    route: str
    body: str
    """The digest that a later call's body is compared with."""
    answer: str
    used_at: int


def content_digest(sha256: str, purpose: str, metadata: dict[str, Any] | None) -> str:
    """One name for the same bytes with the same purpose and metadata."""
    text = json.dumps([sha256, purpose, metadata], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
