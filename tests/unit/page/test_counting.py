from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ingestor.errors import DiskFault
from ingestor.ledger.totals import Totals
from ingestor.observe.snapshot import Snapshot
from ingestor.page.counting import REST, STANDS_SECONDS, TOTALS_SECONDS, Counting
from ingestor.runtime.pulse import Pulse
from tests.fakes import FakeClock
from tests.unit.page.kit import QUOTA, Engine

NOTHING = Totals(
    sources={"waiting": 7},
    uploads={},
    live_ids=0,
    expiring_1h=0,
    expiring_6h=0,
    next_expiry_at=None,
    oldest_found_at=None,
)


class Reader:
    """A ledger whose questions take as long as one says."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.seconds = 0.0
        self.fault: Exception | None = None
        self.asked_at: list[float] = []

    async def _answer(self, value: object) -> object:
        self.asked_at.append(self.clock.monotonic())
        self.clock.advance(self.seconds)
        if self.fault is not None:
            raise self.fault
        return value

    async def totals(self) -> object:
        return await self._answer(NOTHING)

    async def machines(self) -> object:
        return None

    async def stands(self) -> object:
        return await self._answer([])

    async def quarantines(self) -> object:
        return []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def quick(clock: FakeClock) -> Reader:
    return Reader(clock)


@pytest.fixture
def slow(clock: FakeClock) -> Reader:
    return Reader(clock)


@pytest.fixture
def snapshots() -> list[Snapshot]:
    return []


@pytest.fixture
def engine(clock: FakeClock) -> Engine:
    return Engine(clock)


@pytest.fixture
def counting(clock: FakeClock, quick: Reader, slow: Reader, engine: Engine, snapshots: list[Snapshot]) -> Counting:
    return Counting(
        quick=quick,  # type: ignore[arg-type]
        slow=slow,  # type: ignore[arg-type]
        pulse=Pulse(clock=clock, engine=engine, settling=lambda: 2),
        quota=lambda: QUOTA,
        told=[snapshots.append],
        clock=clock,
    )


async def run_until(counting: Counting, is_so: Callable[[], bool]) -> None:
    running = asyncio.create_task(counting.run())
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_each_file_on_its_way_counts_once(counting: Counting, engine: Engine) -> None:
    assert counting.queue() == {"settling": 2, "waiting": 0, "working": 0}
    await counting.count_totals()
    engine.running = 3
    assert counting.queue() == {"settling": 2, "waiting": 4, "working": 3}
    engine.running = 9
    assert counting.queue() == {"settling": 2, "waiting": 0, "working": 9}


async def test_a_quick_ledger_is_counted_every_few_seconds(counting: Counting, quick: Reader, slow: Reader) -> None:
    await run_until(counting, lambda: len(quick.asked_at) > 5 and len(slow.asked_at) > 3)
    assert quick.asked_at[1] - quick.asked_at[0] == TOTALS_SECONDS
    assert slow.asked_at[1] - slow.asked_at[0] == STANDS_SECONDS


async def test_a_ledger_that_takes_long_is_left_in_peace_for_long(counting: Counting, slow: Reader) -> None:
    slow.seconds = 8.0
    await run_until(counting, lambda: len(slow.asked_at) > 2)
    assert slow.asked_at[1] - slow.asked_at[0] >= 8.0 * REST


async def test_a_fault_makes_numbers_old_and_nothing_else(
    counting: Counting, quick: Reader, snapshots: list[Snapshot]
) -> None:
    await counting.count_totals()
    quick.fault = DiskFault("disk", "ledger.db: cannot be read")
    await run_until(counting, lambda: counting.latest.fault is not None)
    assert counting.latest.fault == "ledger.db: cannot be read"
    assert counting.latest.totals == NOTHING
    quick.fault = None
    await run_until(counting, lambda: counting.latest.fault is None)
    assert snapshots


async def test_changes_grow_with_numbers_alone(counting: Counting) -> None:
    await counting.count_totals()
    await counting.count_stands()
    before = counting.changes
    await counting.count_totals()
    await counting.count_stands()
    assert counting.changes == before
