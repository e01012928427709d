"""The team's token bucket as we believe it stands, and what headers teach about it. CONTRACT.md, Rate limits.

The belief may lag behind the server's bucket, never run ahead of it: a token that we think we have and have
not is a 429, a token that we have and do not know of is one more image a moment later. So `Remaining` only
lowers the count, and a bucket that was full starts to refill when the answer comes, not when the request
leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ingestor.model import RateHeaders

CAUTION = 0.998
"""Of the refill that we count on: two clocks that differ by 200 ppm still never meet a 429."""

DOUBT_TOKENS = 1.0
"""`Remaining` is a whole number, so the server may hold up to this much more than it says."""

EASE_BACK = 0.0001
"""Of the refill, given back with each answer after an unexplained 429 took a part of it."""

MARK_ANSWERS = 64
"""How far back the refill is measured: far enough to be exact, near enough to notice a change."""

SHARED_RESERVE = 3.0
"""Tokens left in the bucket while others spend from it too: so that shows before it costs a 429."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRange:
    """Tokens a second, somewhere between these two."""

    low: float = 0.0
    high: float = math.inf

    def narrowed(self, seen: RateRange) -> RateRange:
        """Both at once; the newer alone where they contradict each other (the tier has changed)."""
        low, high = max(self.low, seen.low), min(self.high, seen.high)
        return RateRange(low=low, high=high) if low <= high else seen

    @property
    def is_narrow(self) -> bool:
        return self.high <= 1.1 * self.low

    def choose(self, guess: float) -> float:
        """The guess where it fits, else the roundest number of tokens a minute that does.

        A wide range tells too little for that: then its lower part, since too slow is soon put right and too
        fast is a 429.
        """
        if self.low <= guess <= self.high:
            return guess
        if self.high > 1.5 * self.low:
            return self.low + (min(self.high, 2 * self.low) - self.low) / 4
        for step in (600, 300, 100, 60, 50, 30, 10, 5, 1):
            fits = math.floor(self.high * 60 / step) * step / 60
            if fits >= self.low:
                return fits
        return (self.low + self.high) / 2


def refill_range(headers: RateHeaders) -> RateRange:
    """What `Limit`, `Remaining`, `Reset` and `Date` say of the refill: a range, since all are whole numbers.

    What is missing from a full bucket is in (limit - remaining - 1, limit - remaining]; `Date` is rounded
    down and `Reset` in a way that no page tells, so the time until it is full is known to within -2 and +1
    seconds.
    """
    if headers.limit is None or headers.remaining is None:
        return RateRange()
    if headers.reset_at is None or headers.server_now is None:
        return RateRange()
    missing = headers.limit - headers.remaining
    seconds = headers.reset_at - headers.server_now
    if missing <= 0 or seconds <= 0:
        return RateRange()
    high = missing / (seconds - 2) if seconds > 2 else math.inf
    return RateRange(low=max(0.0, missing - 1) / (seconds + 1), high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An answer to measure from: each token that is taken puts `Reset` off by one refill of a token."""

    answers: int
    unanswered: int
    """Requests under way then; the server may have counted them already."""
    reset_at: float

    def refill_range(self, since: Mark) -> RateRange:
        """What the answers since then say, if only we took tokens and the bucket was never full."""
        seconds = self.reset_at - since.reset_at
        taken, doubt = self.answers - since.answers, self.unanswered + since.unanswered
        if seconds <= 1 or taken - doubt <= 0:
            return RateRange()
        return RateRange(low=(taken - doubt) / (seconds + 1), high=(taken + doubt) / (seconds - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """So many `tokens` at the instant `at` (monotonic seconds), growing by `per_second` up to `capacity`."""

    capacity: float
    guess_per_second: float
    """As set; kept while the headers allow it."""
    at: float
    tokens: float
    held_until: float = -math.inf
    filling: bool = True
    """False from a request that found the bucket full until its answer: the refill starts in between."""
    learned: bool = False
    """Whether an answer has told the capacity."""
    refill: RateRange = RateRange()
    eased: float = 1.0
    """Share of the refill that is used, after 429s that nothing explains."""

    answers: int = 0
    """That told of a token taken."""
    mark: Mark | None = None
    newest_reset_at: float = -math.inf
    """Each token taken puts `Reset` off, so an answer with an earlier one was overtaken by others."""
    overtaken: int = 0
    """Such answers in a row."""

    @classmethod
    def full(cls, capacity: float, per_minute: float, at: float) -> TokenBucket:
        return cls(capacity=capacity, guess_per_second=per_minute / 60, at=at, tokens=capacity)

    @property
    def per_second(self) -> float:
        return self.refill.choose(self.guess_per_second) * self.eased

    def to(self, at: float) -> TokenBucket:
        """The same bucket at a later instant."""
        if at <= self.at:
            return self
        grown = (at - self.at) * self.per_second * CAUTION if self.filling else 0.0
        return replace(self, at=at, tokens=min(self.capacity, self.tokens + grown))

    def has_token(self, at: float, reserve: float = 0.0) -> bool:
        return at >= self.next_free_at(reserve)

    def next_free_at(self, reserve: float = 0.0) -> float:
        """When the next token is there, with `reserve` behind it. Infinity: not before an answer comes."""
        short = min(1.0 + reserve, self.capacity) - self.tokens
        if short <= 1e-9:
            return max(self.at, self.held_until)
        if not self.filling or self.per_second <= 0:
            return math.inf
        return max(self.at + short / (self.per_second * CAUTION), self.held_until)

    def take(self, at: float) -> TokenBucket:
        """With one token less. A bucket that was full stands still until the answer."""
        now = self.to(at)
        was_full = now.tokens >= now.capacity
        # Once full it gains nothing, so nothing is measured over that: the server's may be full a little before ours.
        mark = None if now.tokens > now.capacity - 1.0 else now.mark
        return replace(now, tokens=now.tokens - 1.0, filling=now.filling and not was_full, mark=mark)

    def give_back(self, at: float) -> TokenBucket:
        """A token that was taken and never sent."""
        now = self.to(at)
        return replace(now, tokens=min(now.capacity, now.tokens + 1.0))

    def learn(
        self, headers: RateHeaders, at: float, *, oldest_at: float, unanswered: int = 0
    ) -> tuple[TokenBucket, float]:
        """The bucket corrected by an answer, and how many tokens somebody else must have taken from it.

        `oldest_at`: when the oldest request without an answer got its token: what the server counted may be as
        old as that, and has grown since. `unanswered`: how many requests are still under way.
        """
        refill = self.refill.narrowed(refill_range(headers))
        now = replace(self.to(at), filling=True, eased=min(1.0, self.eased + EASE_BACK), refill=refill)
        now = now._resized(headers.limit)
        if headers.remaining is None:
            return now, 0.0
        grown_since = max(0.0, at - oldest_at) * now.per_second
        sure = headers.remaining + DOUBT_TOKENS + grown_since
        taken = now.tokens - sure if self.learned else 0.0
        now, missed = now._measured(headers, unanswered, full=now.tokens > now.capacity - 2.0 or taken > 0)
        if not self.learned or not self.filling:
            # the server's bucket has been filling since some instant before this answer: we start behind it
            most = float(headers.remaining)
        elif abs(now.per_second - self.per_second) > 0.01 * self.per_second:
            # what we counted since the last answer was counted at a wrong rate
            most = headers.remaining + grown_since
        else:
            most = sure
        return replace(now, tokens=min(now.tokens, most)), max(0.0, taken, missed)

    def _measured(self, headers: RateHeaders, unanswered: int, *, full: bool) -> tuple[TokenBucket, float]:
        """With the refill as measured over all answers since the mark, and what somebody else took meanwhile."""
        if headers.reset_at is None:
            return self, 0.0
        here = Mark(answers=self.answers + 1, unanswered=unanswered, reset_at=headers.reset_at)
        if here.reset_at < self.newest_reset_at and self.overtaken < MARK_ANSWERS:
            return replace(self, answers=here.answers, overtaken=self.overtaken + 1), 0.0
        now = replace(self, answers=here.answers, newest_reset_at=here.reset_at, overtaken=0)
        if full or self.mark is None or here.reset_at < self.mark.reset_at:
            return replace(now, mark=here), 0.0
        seen = here.refill_range(self.mark)
        if seen.high < self.refill.low:
            # the headers tell of a refill that we did not get
            seconds = here.reset_at - self.mark.reset_at
            return replace(now, mark=here), (self.refill.low - seen.high) * seconds
        mark = here if here.answers - self.mark.answers >= MARK_ANSWERS else self.mark
        return replace(now, mark=mark, refill=self.refill.narrowed(seen)), 0.0

    def _resized(self, limit: int | None) -> TokenBucket:
        if limit is None or limit <= 0:
            return self
        if limit == self.capacity:
            return self if self.learned else replace(self, learned=True)
        # the count was made from a full bucket of the other size
        tokens = min(self.tokens + max(0.0, limit - self.capacity), float(limit))
        return replace(self, capacity=float(limit), tokens=tokens, learned=True)

    def hold(self, at: float, seconds: float) -> TokenBucket:
        """Empty, and nobody gets a token for this long; then there is one, since the API says so."""
        now = self.to(at)
        until = max(now.held_until, at + seconds)
        least = 1.0 - (until - at) * now.per_second * CAUTION
        return replace(
            now,
            tokens=max(min(now.tokens, 0.0), least),
            held_until=until,
            filling=True,
            mark=None,
            newest_reset_at=-math.inf,
        )

    def ease(self) -> TokenBucket:
        """A 429 although a token should have been there, and nobody else in sight: our refill runs ahead."""
        return replace(self, eased=max(0.7, self.eased * 0.98))
