"""When to stop calling a sick server, and when to look again.

    closed -> open      `FAILURES` server faults in a row, met by two requests or more; or one refused account
    open   -> open      a probe that failed: the next one later
    open   -> closed    an answer that shows the API at work

One request that fails again and again is its own trouble (it runs out of attempts); two are the API's. Whatever the
reason, the first probe comes soon (a proxy may have redirected or refused a single request by mistake), later ones
ever less often. A key file that changes is probed at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ingestor.policy.backoff import PROBE

FAILURES = 4
"""Server faults in a row that open the breaker."""

UPLOADS_ONLY = frozenset({"scope", "balance"})
"""Refusals that hold uploads, while ids can still be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """All is well, but for `failures` server faults in a row, met by these requests."""

    failures: int = 0
    sources: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Nothing is sent but one probe at a time, the next one not before `probe_at` (monotonic seconds)."""

    reason: str
    message: str
    since: datetime
    probes: int
    probe_at: float


BreakerState = Closed | Open


def after_fault(
    state: BreakerState, source: int, message: str, *, wall: datetime, monotonic: float, chance: float
) -> BreakerState:
    """The state after one more server fault of the request `source`."""
    if isinstance(state, Open):
        return _probed_in_vain(state, state.reason, message, monotonic, chance)
    failures, sources = state.failures + 1, state.sources | {source}
    if failures < FAILURES or len(sources) < 2:
        return Closed(failures=failures, sources=sources)
    wait = PROBE.seconds(1, chance)
    return Open(reason="api", message=message, since=wall, probes=0, probe_at=monotonic + wait)


def after_refusal(
    state: BreakerState, reason: str, message: str, *, wall: datetime, monotonic: float, chance: float
) -> BreakerState:
    """The state after a refusal of the account or the address: no other request would fare better."""
    if isinstance(state, Open):
        return _probed_in_vain(state, reason, message, monotonic, chance)
    wait = PROBE.seconds(1, chance)
    return Open(reason=reason, message=message, since=wall, probes=0, probe_at=monotonic + wait)


def _probed_in_vain(state: Open, reason: str, message: str, monotonic: float, chance: float) -> Open:
    probes = state.probes + 1
    wait = PROBE.seconds(probes + 1, chance)
    return replace(state, reason=reason, message=message, probes=probes, probe_at=monotonic + wait)
