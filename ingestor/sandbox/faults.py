"""The ways in which a sandbox misbehaves, and which call meets which."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping

FAULTS: dict[str, str] = {
    "http_500": "500 internal_error; nothing happened",
    "http_502": "502 provider_unavailable; nothing happened",
    "http_503": "503 provider_unavailable; nothing happened",
    "http_504": "504 provider_timeout; nothing happened",
    "html": "502 with a proxy's HTML page; nothing happened",
    "html_404": "404 with a proxy's HTML page; nothing happened",
    "empty": "200 with an empty body; nothing happened",
    "rate_limit": "429 too_many_requests with Retry-After in seconds",
    "rate_limit_bare": "429 too_many_requests without Retry-After",
    "rate_limit_date": "429 too_many_requests with Retry-After as an HTTP date",
    "concurrency": "429 concurrency_limit_exceeded with Retry-After in seconds",
    "unauthorized": "401 invalid_api_key",
    "missing_scope": "403 missing_scope",
    "redirect": "307 to another place, which counts who comes",
    "reset_before": "the connection is reset; nothing happened",
    "reset_in_body": "the connection is reset while the body is being read; nothing happened",
    "hang": "the call is taken in and never answered; nothing happened",
    "no_route": "404 resource_not_found for the route itself (uploads only)",
    "in_flight": "409 idempotency_key_in_use, once (uploads only)",
    "key_conflict": "409 idempotency_key_in_use, for that key from now on unless it is in use (uploads only)",
    "balance": "402 balance_too_low (uploads only)",
    "refused": "400 reference_blocked (uploads only)",
    "slow_read": "it happens; the body is read slowly (uploads only)",
    "busy": "it happens late; until then its key is in flight (uploads only)",
    "slow": "it happened; the answer comes late",
    "drip": "it happened; the answer comes piece by piece",
    "reset_in_answer": "it happened; the connection is reset in the middle of the answer",
    "truncated_json": "it happened; the answer's JSON ends in the middle",
    "wrong_json": "it happened; the answer's object lacks most of its fields",
    "other_file": "it happened; the answer describes another file",
    "deprecated": "it happened; the answer says that the route is going away",
    "html_after": "it happened; the answer is 502 with a proxy's HTML page",
    "empty_after": "it happened; the answer is 200 with an empty body",
    "lost_answer": "it happened; the answer is 500 internal_error",
    "reset_after": "it happened; the connection is reset without an answer",
    "hang_after": "it happened; the answer never comes",
}
UPLOADS_ONLY = frozenset({"no_route", "in_flight", "key_conflict", "balance", "refused", "slow_read", "busy"})


def checked_rates(rates: Mapping[str, float]) -> dict[str, float]:
    """The rates, known to be kinds of `FAULTS` and shares of all calls. Raises ValueError."""
    for kind, rate in rates.items():
        if kind not in FAULTS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(FAULTS)}")
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ValueError(f"the rate of {kind} is a number from 0 to 1")
    if sum(rates.values()) > 1 + 1e-9:
        raise ValueError("the rates of all faults together are above 1, yet a call meets at most one")
    return dict(rates)


class FaultPlan:
    """Tells each call its fault: the next one of the script for uploads, else one by chance."""

    def __init__(self, rates: Mapping[str, float], seed: int | None) -> None:
        self.rates = checked_rates(rates)
        self.met: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._script: deque[str] = deque()

    def change(self, rates: Mapping[str, float]) -> None:
        """Set the given rates, leaving the others. Raises ValueError."""
        self.rates = checked_rates({**self.rates, **rates})

    def script(self, kinds: Iterable[str]) -> None:
        """Queue a fault for each of the next uploads; `ok` lets one pass. Raises ValueError."""
        kinds = list(kinds)
        checked_rates({kind: 0.0 for kind in kinds if kind != "ok"})
        self._script.extend(kinds)

    def draw(self, *, upload: bool) -> str | None:
        """The fault of one call."""
        kind = self._script.popleft() if upload and self._script else self._by_chance()
        if kind is None or kind == "ok" or (kind in UPLOADS_ONLY and not upload):
            return None
        return kind

    def count(self, kind: str) -> None:
        """A call met this fault."""
        self.met[kind] += 1

    def _by_chance(self) -> str | None:
        at = self._chance.random()
        for kind, rate in self.rates.items():
            if at < rate:
                return kind
            at -= rate
        return None
