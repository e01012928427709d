"""The identity of a request, from its content alone.

The API may not compare bytes under a key (CONTRACT.md, Idempotency), so the key covers them; it needs no ledger, so
that a lost ledger replays instead of duplicating; and it changes with the encoder, because the body would.
"""

from __future__ import annotations

import hashlib
import json

from ingestor.model import ContentId, Digest, IdempotencyKey, Metadata, Purpose

AS_IS = "as-is"
"""The profile of bytes that are sent as they were found: an upgrade of the encoder does not touch their key."""


def canonical_json(value: object) -> str:
    """The one spelling of a JSON value: keys sorted, no spaces, text as UTF-8 (lone surrogates escaped)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text


def _sha256(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def content_id(digest: Digest, purpose: Purpose, metadata: Metadata) -> ContentId:
    """The same for every path with these bytes, purpose and metadata: they share one upload."""
    return ContentId(_sha256({"metadata": metadata, "purpose": purpose, "sha256": digest}))


def idempotency_key(
    digest: Digest, purpose: Purpose, metadata: Metadata, profile: str, generation: int
) -> IdempotencyKey:
    """`ing1-` and 64 hex digits. `generation` counts renewals: a replay can only return the old expiry."""
    material = {
        "generation": generation,
        "metadata": metadata,
        "profile": profile,
        "purpose": purpose,
        "sha256": digest,
    }
    return IdempotencyKey("ing1-" + _sha256(material))
