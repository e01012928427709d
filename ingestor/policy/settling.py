"""When a file may be looked at: its size and mtime have been quiet for `settle`.

Quiet decides when to look, never that the file is whole: identity before and after reading, and a full decode, do.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingestor.model import FileIdentity

TRUNCATED_GRACE_FACTOR = 5.0
"""A truncated image is looked at again until it has been quiet for this many times `settle`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A file as it was seen; `since` is when it was first seen like this, in monotonic seconds."""

    identity: FileIdentity
    since: float


def observe(before: Observation | None, identity: FileIdentity, monotonic: float) -> Observation:
    """The observation to keep: the older one while size and mtime stand still."""
    if before is not None and (before.identity.size_bytes, before.identity.mtime_ns) == (
        identity.size_bytes,
        identity.mtime_ns,
    ):
        return Observation(identity=identity, since=before.since)
    return Observation(identity=identity, since=monotonic)


def seconds_to_wait(seen: Observation, *, monotonic: float, wall: float, quiet_seconds: float) -> float | None:
    """Seconds until the file counts as settled: 0 now, None never as it is (empty).

    A file whose change times are older than `quiet_seconds` on a clock that agrees with ours has been quiet all that
    time already, so an old folder needs no second look. The younger of mtime and ctime counts: mtime can be set by
    whoever writes (`cp -p`, FTP clients), ctime cannot. A change time in the future proves nothing (another
    machine's clock), and then only what we saw ourselves counts.
    """
    if seen.identity.size_bytes == 0:
        return None
    watched = monotonic - seen.since
    unchanged = wall - max(seen.identity.mtime_ns, seen.identity.ctime_ns) / 1e9
    quiet = max(watched, unchanged if unchanged >= 0 else 0.0)
    return max(0.0, quiet_seconds - quiet)


def truncation_is_final(identity: FileIdentity, *, wall: float, quiet_seconds: float) -> bool:
    """Whether a truncated image has been quiet for so long that nobody is writing it any more."""
    quiet = wall - max(identity.mtime_ns, identity.ctime_ns) / 1e9
    return quiet < 0 or quiet >= max(quiet_seconds, 0.2) * TRUNCATED_GRACE_FACTOR
