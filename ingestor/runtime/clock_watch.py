"""Holds this machine's clock against the API's: a wrong one is noticed, told, and reckoned with.

A false end cannot be taken back, and a late renewal leaves an image without an id. So nothing ends, and nothing is
renewed, by a clock that no answer has confirmed in this process, as long as one can be hoped for: the correction that
the ledger remembers is a guess. While the API is away, that is the better of two: ids do end meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from ingestor.errors import EnvironmentFault, IngestorError
from ingestor.model import FileId
from ingestor.policy.endings import STOPPING
from ingestor.ports import Clock, FilesApi, Ledger, Observer
from ingestor.runtime.disk_patience import until_disk_is_well

CLOCK_FACT = "clock.correction"
"""The ledger's name for the seconds that the next start, and `status`, add to the machine's time."""

TOLERANCE_SECONDS = 5.0
"""The API's `Date` is whole seconds, and its answer takes time to come: less than this is no mistake."""

FRESH_SECONDS = 600.0
"""How long an answer confirms a clock that nobody steps: the worst quartz drifts by a tenth of a second meanwhile, and
a daemon with nothing else to ask sends six reads an hour."""

ANSWER_SECONDS = 15.0
"""How long an answer is waited for, as by `ingestor check`: longer, and a start waits for an API that is away."""

UNANSWERED_SECONDS = 60.0
"""How long a clock that nobody has confirmed is taken as it is: an API that is back is asked soon."""


class SetClock(Clock, Protocol):
    """A clock that can be set right: `SystemClock`."""

    def correct(self, seconds: float) -> None:
        """From now on the machine's clock counts as so many seconds slow (negative: fast)."""

    def correction(self) -> float:
        """Seconds that are added to what the machine says."""


class TellsTime(Protocol):
    """An API that tells the instant at which each answer was made: `files_api.HttpFilesApi`."""

    hear_time: Callable[[float], None]


@contextlib.contextmanager
def kept_right(
    clock: SetClock,
    http: TellsTime,
    files: FilesApi,
    *,
    ledger: Ledger,
    observer: Observer,
    sets_ledger: bool = True,
) -> Iterator[None]:
    """The clock is set by what `http` is answered, and the ledger with it, unless another program does that.

    The ledger lets nothing end before an answer has confirmed the clock; `files` is asked where none comes by itself.
    """
    watch = ClockWatch(files, ledger=ledger, observer=observer, clock=clock)
    unwatched = ledger.confirm_time
    http.hear_time, ledger.confirm_time = watch.hear, watch.confirm
    running = asyncio.ensure_future(watch.run()) if sets_ledger else None
    try:
        yield
    finally:
        ledger.confirm_time = unwatched
        watch.stop()
        if running is not None:
            running.cancel()


class ClockWatch:
    """Told the API's time with each answer: sets the clock at once, and the ledger while it runs, until cancelled."""

    def __init__(self, files: FilesApi, *, ledger: Ledger, observer: Observer, clock: SetClock) -> None:
        self._files = files
        self._ledger = ledger
        self._observer = observer
        self._clock = clock
        self._step = 0.0
        """By how much the clock was set since the ledger was."""
        self._heard = asyncio.Event()
        self._answered = asyncio.Event()
        self._confirmed: tuple[float, float] | None = None
        """When (monotonic), and how far the machine's clock was from the monotonic one then."""
        self._good_for = 0.0
        """Seconds from then on."""
        self._one_asks = asyncio.Lock()
        self._question: asyncio.Task[bool] | None = None
        self._was_told = False

    # -- answers

    def hear(self, server_now: float) -> None:
        """An answer that has just come was made at this instant (epoch seconds)."""
        correction = server_now + 0.5 - self._machine_now()
        if abs(correction - self._clock.correction()) > TOLERANCE_SECONDS:
            # Within the tolerance of right, it is right: no correction rather than a small one.
            correction = correction if abs(correction) > TOLERANCE_SECONDS else 0.0
            self._step += correction - self._clock.correction()
            self._clock.correct(correction)
            self._heard.set()
        self._confirmed, self._good_for = self._here(), FRESH_SECONDS
        self._answered.set()

    async def run(self) -> None:
        while True:
            await self._heard.wait()
            self._heard.clear()
            await until_disk_is_well(self._clock, self._observer, self._set_ledger)

    async def _set_ledger(self) -> None:
        """No turn is left in the future that a fast clock had set; and the next start is told.

        A slow clock sets turns too early, which does no harm. And whoever was in line before may have been put there
        by a clock that was right: to come later than that may be too late.
        """
        step, correction = self._step, self._clock.correction()
        if step < 0:
            await self._ledger.shift_line(step)
        self._step -= step
        await self._ledger.set_fact(CLOCK_FACT, correction)
        if correction:
            self._observer.notice("clock_wrong", seconds=round(-correction, 1))
        else:
            self._observer.notice("clock_right")

    # -- questions

    async def confirm(self) -> None:
        """Return when an answer has confirmed the clock, where there are ids that could end by it.

        An API that does not answer is waited for `ANSWER_SECONDS` at most; then the clock is taken as it is.
        """
        if self._is_confirmed():
            return
        async with self._one_asks:
            if self._is_confirmed():
                return
            file_id = await self._ledger.live_id()
            if file_id is not None:
                await self._ask(file_id)

    def stop(self) -> None:
        """No answer is waited for any more."""
        if self._question is not None:
            self._question.cancel()

    def _machine_now(self) -> float:
        return self._clock.now().timestamp() - self._clock.correction()

    def _here(self) -> tuple[float, float]:
        now = self._clock.monotonic()
        return now, self._machine_now() - now

    def _is_confirmed(self) -> bool:
        """Whether an answer has come lately, and nobody has stepped the clock since (to be suspended steps it)."""
        if self._confirmed is None:
            return False
        (then, apart_then), (now, apart) = self._confirmed, self._here()
        return now - then < self._good_for and abs(apart - apart_then) <= TOLERANCE_SECONDS

    async def _ask(self, file_id: FileId) -> None:
        self._answered.clear()
        if self._question is None or self._question.done():
            # It is left alone when time is up or its answer has begun: it may still be repeated, or be read to its end.
            self._question = asyncio.create_task(self._fetch(file_id))
        answered = asyncio.create_task(self._answered.wait())
        too_long = asyncio.ensure_future(self._clock.sleep(ANSWER_SECONDS))
        try:
            await asyncio.wait({self._question, answered, too_long}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered.cancel()
            too_long.cancel()
        if self._is_confirmed():
            return
        self._confirmed, self._good_for = self._here(), UNANSWERED_SECONDS
        is_stopping = self._question.done() and not self._question.cancelled() and self._question.result()
        if not self._was_told and not is_stopping:
            self._was_told = True
            self._observer.notice("clock_unconfirmed", message="no answer of the API tells the time: ids end by ours")

    async def _fetch(self, file_id: FileId) -> bool:
        """Any answer tells the time, a refusal as well. Whether all requests are called off."""
        try:
            await self._files.fetch(file_id)
        except EnvironmentFault as fault:
            return fault.reason == STOPPING
        except IngestorError:
            return False
        return False
