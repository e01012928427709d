"""The team's token bucket as several processes share it: one value, changed by one of them at a time.

Tokens may go below zero: who takes one that is still to come is told when it will be there. All times are epoch seconds
by the clock of whoever keeps the value, so that no machine's own clock matters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ingestor.model import Json, Lane, RateHeaders
from ingestor.policy.backoff import MOST_RETRY_AFTER_SECONDS
from ingestor.policy.pacing import SHARED_RESERVE, Mark, TokenBucket
from ingestor.quota.status import from_state, to_state

MOST_HELD_SECONDS = 30.0
"""Nobody is held longer for a token than this: the job is put off instead."""

ANSWER_SECONDS = 600.0
"""A request without an answer for this long is not waited for."""

SILENT_SECONDS = 15.0
"""Nor are those of a process that has not been heard of for so long: it must have gone."""

OTHERS_SECONDS = 300.0
"""How long a spender outside of the cluster is remembered."""

NEXT_TOKEN = 1.05
"""Times what a token takes: the next one is never further away, counted with caution as it is."""

LOOK_SECONDS = 0.25
"""Until one asks again who waits for somebody else's answer."""

Process = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """So many tokens are ours after `wait_seconds`; with none, when to ask again."""

    number: int
    wait_seconds: float
    token_seconds: float
    """Until the next token is there, whoever gets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBucket:
    """What the processes know together."""

    bucket: TokenBucket
    in_flight: Mapping[Process, tuple[float, ...]]
    """When each request that has no answer yet got its token; in the future: reserved."""
    seen: Mapping[Process, float]
    """When each process with requests under way was last heard of."""
    wanted: Mapping[Process, tuple[int, float]]
    """The lane that a process waits in, and until when that counts: others of a higher number stand back."""
    others: tuple[tuple[float, float], ...] = ()
    """When somebody outside was seen to take how many tokens."""
    reserve: float = 0.0
    """Tokens that are left for him."""

    @classmethod
    def fresh(cls, capacity: float, per_minute: float, now: float) -> SharedBucket:
        return cls(bucket=TokenBucket.full(capacity, per_minute, now), in_flight={}, seen={}, wanted={})

    # -- asking

    def ask(self, process: Process, lane: Lane, number: int, now: float) -> tuple[SharedBucket, Grant]:
        """Up to `number` tokens: all that are there, or else the next one that is still to come."""
        state = self.touched(process, now)
        if state._fresher_waits(process, lane, now):
            token_seconds = state._token_seconds()
            wanting = state._wanting(process, lane, now)
            return wanting, Grant(number=0, wait_seconds=token_seconds, token_seconds=token_seconds)
        taken: list[float] = []
        while len(taken) < number and (slot := state._slot(lane, now, first=not taken)) is not None:
            state = replace(state, bucket=state.bucket.take(now))
            state = state._with_flights(process, (*state.in_flight.get(process, ()), slot))
            taken.append(slot)
            if slot > now:
                break
        state = state._wanting(process, lane, now) if len(taken) < number else state._content(process)
        return state, state._grant(taken, lane, now)

    def _grant(self, taken: list[float], lane: Lane, now: float) -> Grant:
        free_at = self.bucket.next_free_at(self._kept_free())
        token_seconds = MOST_HELD_SECONDS if math.isinf(free_at) else max(0.0, free_at - now)
        if taken:
            return Grant(number=len(taken), wait_seconds=max(0.0, taken[-1] - now), token_seconds=token_seconds)
        again = LOOK_SECONDS if self._waits_for_an_answer(now) else max(0.0, token_seconds - self._ahead(lane))
        return Grant(number=0, wait_seconds=max(again, 0.001), token_seconds=token_seconds)

    def _slot(self, lane: Lane, now: float, *, first: bool) -> float | None:
        """When the next token may be used that this lane may have; None: not now."""
        if not self.bucket.learned and any(self.in_flight.values()):
            return None
        slot = self.bucket.next_free_at(self._kept_free())
        if slot <= now:
            return now
        return slot if first and slot - now <= self._ahead(lane) else None

    def _ahead(self, lane: Lane) -> float:
        """How far ahead a lane may reserve: who comes later and is fresher shall not wait behind a row of others."""
        return NEXT_TOKEN * self._token_seconds() if lane is Lane.BACKFILL else MOST_HELD_SECONDS

    def _token_seconds(self) -> float:
        return min(MOST_HELD_SECONDS, 1 / self.bucket.per_second) if self.bucket.per_second > 0 else MOST_HELD_SECONDS

    def _waits_for_an_answer(self, now: float) -> bool:
        return any(at <= now for flights in self.in_flight.values() for at in flights) and (
            not self.bucket.learned or not self.bucket.filling
        )

    def _fresher_waits(self, process: Process, lane: Lane, now: float) -> bool:
        return any(other != process and wanted < lane and now < until for other, (wanted, until) in self.wanted.items())

    def _wanting(self, process: Process, lane: Lane, now: float) -> SharedBucket:
        until = now + max(1.0, 2 * self._token_seconds())
        return replace(self, wanted={**self.wanted, process: (int(lane), until)})

    def _content(self, process: Process) -> SharedBucket:
        return replace(self, wanted={other: wanted for other, wanted in self.wanted.items() if other != process})

    # -- what answers teach

    def answered(self, process: Process, headers: RateHeaders, now: float) -> SharedBucket:
        """One request of this process has its answer; `RateHeaders()`: it ended without one."""
        state = self.touched(process, now)
        sent = sorted(at for flights in state.in_flight.values() for at in flights if at <= now)
        oldest_at = sent[0] if sent else now
        state = state._with_flights(process, state.in_flight.get(process, ())[1:])
        bucket, taken = state.bucket.learn(headers, now, oldest_at=oldest_at, unanswered=max(0, len(sent) - 1))
        state = replace(state, bucket=bucket)
        return state._somebody_else(now, taken) if taken > 1e-6 else state

    def held(self, seconds: float, now: float) -> SharedBucket:
        """Nobody gets a token for this long (`Retry-After`)."""
        state = self._at(now)
        if state.bucket.learned and now >= state.bucket.held_until:
            # A refill that is known is not the reason: somebody else is.
            if state.others or state.bucket.refill.is_narrow:
                state = state._somebody_else(now, 1.0)
            else:
                state = replace(state, bucket=state.bucket.ease())
        until = min(max(seconds, 0.0), MOST_RETRY_AFTER_SECONDS)
        return replace(state, bucket=state.bucket.hold(now, until))

    def given_back(self, process: Process, now: float) -> SharedBucket:
        """A token that was taken, but no request was sent for it."""
        state = self.touched(process, now)
        state = state._with_flights(process, state.in_flight.get(process, ())[:-1])
        return replace(state, bucket=state.bucket.give_back(now))

    def _somebody_else(self, now: float, tokens: float) -> SharedBucket:
        reserve = min(2 * self.reserve, self.bucket.capacity / 3) if self.others else SHARED_RESERVE
        return replace(self, others=(*self.others, (now, tokens))[-100:], reserve=reserve)

    def _kept_free(self) -> float:
        return min(self.reserve, self.bucket.capacity / 3) if self.others else 0.0

    # -- time

    def touched(self, process: Process, now: float) -> SharedBucket:
        """The same now; this process lives."""
        state = replace(self, seen={**self.seen, process: now})
        return state._at(now)

    def _at(self, now: float) -> SharedBucket:
        """The same at a later instant; what was lost is forgotten."""
        flights = {
            process: kept
            for process, sent in self.in_flight.items()
            if now - self.seen.get(process, now) < SILENT_SECONDS
            and (kept := tuple(at for at in sent if now - at < ANSWER_SECONDS))
        }
        bucket = self.bucket.to(now)
        if not flights and not bucket.filling:
            bucket = replace(bucket, filling=True)
        return replace(
            self,
            bucket=bucket,
            in_flight=flights,
            seen={process: at for process, at in self.seen.items() if now - at < SILENT_SECONDS},
            wanted={process: (lane, until) for process, (lane, until) in self.wanted.items() if now < until},
            others=tuple(one for one in self.others if now - one[0] < OTHERS_SECONDS),
        )

    def _with_flights(self, process: Process, flights: tuple[float, ...]) -> SharedBucket:
        others = {other: sent for other, sent in self.in_flight.items() if other != process}
        return replace(self, in_flight={**others, process: flights} if flights else others)

    # -- as JSON

    def to_json(self, now: float) -> dict[str, Json]:
        """What a process that keeps its bucket to itself writes, so that reports read both; and what is shared."""
        bucket = self.bucket
        told = math.ceil(sum(tokens for _, tokens in self.others))
        state = to_state(bucket, datetime.fromtimestamp(now, UTC), now, told, self._kept_free())
        return {
            **state,
            "shared": {
                "filling": bucket.filling,
                "eased": bucket.eased,
                "answers": bucket.answers,
                "mark": None
                if bucket.mark is None
                else [bucket.mark.answers, bucket.mark.unanswered, bucket.mark.reset_at],
                "newest_reset_at": None if math.isinf(bucket.newest_reset_at) else bucket.newest_reset_at,
                "overtaken": bucket.overtaken,
                "in_flight": {process: list(sent) for process, sent in self.in_flight.items()},
                "seen": dict(self.seen),
                "wanted": {process: list(wanted) for process, wanted in self.wanted.items()},
                "others": [list(one) for one in self.others],
                "reserve": self.reserve,
            },
        }

    @classmethod
    def from_json(cls, state: Json, fresh: SharedBucket, now: float) -> SharedBucket:
        """What another process has left; `fresh` where it makes no sense."""
        bucket = _bucket(state, fresh.bucket, now) if isinstance(state, Mapping) else None
        if bucket is None:
            return fresh
        shared = state.get("shared")
        if not isinstance(shared, Mapping):
            return replace(fresh, bucket=bucket)
        try:
            return cls._with_shared(bucket, shared)
        except (KeyError, TypeError, ValueError, IndexError):
            return replace(fresh, bucket=bucket)

    @classmethod
    def _with_shared(cls, bucket: TokenBucket, shared: Mapping[str, Json]) -> SharedBucket:
        mark, newest = shared["mark"], shared["newest_reset_at"]
        return cls(
            bucket=replace(
                bucket,
                filling=bool(shared["filling"]),
                eased=float(shared["eased"]),
                answers=int(shared["answers"]),
                mark=None
                if mark is None
                else Mark(answers=int(mark[0]), unanswered=int(mark[1]), reset_at=float(mark[2])),
                newest_reset_at=-math.inf if newest is None else float(newest),
                overtaken=int(shared["overtaken"]),
            ),
            in_flight={str(process): tuple(map(float, sent)) for process, sent in shared["in_flight"].items()},
            seen={str(process): float(at) for process, at in shared["seen"].items()},
            wanted={str(process): (int(one[0]), float(one[1])) for process, one in shared["wanted"].items()},
            others=tuple((float(one[0]), float(one[1])) for one in shared["others"]),
            reserve=float(shared["reserve"]),
        )


def _bucket(state: Mapping[str, Json], fresh: TokenBucket, now: float) -> TokenBucket | None:
    """The bucket as it was written: what has grown since is only known with the rest of what is shared."""
    try:
        written = datetime.fromisoformat(state["at"])
    except (KeyError, TypeError, ValueError):
        return None
    bucket = from_state(fresh, state, written, written.timestamp())
    if bucket is None:
        return None
    ahead = max(0.0, bucket.at - now)  # a clock was set back: no growth is made of it, and no stall either
    bucket = replace(bucket, at=bucket.at - ahead, held_until=bucket.held_until - ahead)
    return replace(bucket, learned=bool(state.get("learned")))
