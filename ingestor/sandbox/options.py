"""What a sandbox is started with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ingestor.sandbox.faults import checked_rates

DEFAULT_KEY = "al_live_sandbox"
DEFAULT_VERSION = "2026-05-15"

Comparison = Literal["documented", "seed", "raw"]
COMPARISONS: dict[str, str] = {
    "documented": "the whole body: name, file name, type and content of every part",
    "seed": "purpose and metadata alone, as the seed page says",
    "raw": "the body byte for byte, its boundary included",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What a key may do, and the team whose files, quota and idempotency keys it shares."""

    team: str = "team_sandbox"
    scopes: frozenset[str] = frozenset({"read", "write"})
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Capacity and refill of a token bucket, in calls."""

    burst: int
    per_minute: float

    def __post_init__(self) -> None:
        if self.burst < 1 or not 0 < self.per_minute < math.inf:
            raise ValueError("a bucket needs a burst of at least 1 and a refill above 0 per minute")


def default_keys() -> dict[str, ApiKey]:
    """The one key that a sandbox knows unless told otherwise."""
    return {DEFAULT_KEY: ApiKey()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """All that a sandbox can be told. Seconds are real seconds, not those of its own faster clock."""

    data_dir: Path | None = None
    """Where files and index are kept; without it, in a folder that goes with the sandbox."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: the port of the last time if it is free, else any."""
    time_scale: float = 1.0
    faults: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    keys: Mapping[str, ApiKey] = field(default_factory=default_keys)
    upload_bucket: Bucket = Bucket(60, 30)
    get_bucket: Bucket = Bucket(1200, 600)
    idempotency: Comparison = "documented"
    version: str = DEFAULT_VERSION
    """The Aurous-Version of a call that names none."""
    hang_seconds: float = 300.0
    slow_seconds: float = 2.0
    fault_retry_after_seconds: int = 1
    """What the `rate_limit` faults ask a client to wait."""

    def __post_init__(self) -> None:
        checked_rates(self.faults)
        if not 0 < self.time_scale < math.inf:
            raise ValueError("the time scale is a number above 0")
        if self.idempotency not in COMPARISONS:
            raise ValueError(f"idempotency is one of {', '.join(COMPARISONS)}")
        if not self.keys:
            raise ValueError("a sandbox needs at least one key")
