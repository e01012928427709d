from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingestor.errors import DiskFault
from ingestor.ledger import SqliteLedger
from ingestor.model import ContentId
from ingestor.runtime.leaders import LOOK_SECONDS, Leaders, SharedFlights
from ingestor.runtime.leaders_manifest import LEAD, ClusterManifest
from ingestor.stages.manifest import Manifest
from tests.fakes import FakeClock, RecordingObserver
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting


class Server:
    """Locks of several processes, as a database keeps them."""

    def __init__(self) -> None:
        self.holders: dict[str, object] = {}
        self.is_away = False

    def locks(self) -> FakeLocks:
        return FakeLocks(self)


class FakeLocks:
    def __init__(self, server: Server) -> None:
        self._server = server

    async def try_acquire(self, name: str) -> bool:
        if self._server.is_away:
            raise DiskFault("ledger", "away")
        return self._server.holders.setdefault(name, self) is self

    async def release(self, name: str) -> None:
        if self._server.is_away:
            raise DiskFault("ledger", "away")
        if self._server.holders.get(name) is self:
            del self._server.holders[name]

    def die(self) -> None:
        """As a process that is killed: the database notices."""
        for name in [name for name, holder in self._server.holders.items() if holder is self]:
            del self._server.holders[name]


class Process:
    """Leads, and tells what it does."""

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self.locks = server.locks()
        self.leaders = Leaders(self.locks, clock=clock, observer=RecordingObserver())
        self.does = "nothing"

    async def lead(self) -> None:
        await self.leaders.lead("scan", self._as("leads"), self._as("stands by"))

    def _as(self, what: str):  # type: ignore[no-untyped-def]
        async def loop() -> None:
            self.does = what
            try:
                await asyncio.Event().wait()
            finally:
                self.does = "nothing"

        return loop


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@asynccontextmanager
async def running(*coroutines: object) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.ensure_future(one) for one in coroutines]  # type: ignore[arg-type]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_leads_and_another_stands_in_when_it_is_killed(clock: FakeClock) -> None:
    server = Server()
    one, two = Process(server, clock), Process(server, clock)
    async with running(one.lead(), two.lead()) as (first, _):
        await clock.sleep(0.1)
        assert (one.does, two.does) == ("leads", "stands by")
        assert (one.leaders.led, two.leaders.led) == ({"scan"}, set())
        first.cancel()
        one.locks.die()
        await clock.sleep(LOOK_SECONDS + 0.1)
        assert two.does == "leads"


async def test_whoever_stops_gives_the_lead_away(clock: FakeClock) -> None:
    server = Server()
    one = Process(server, clock)
    async with running(one.lead()):
        await clock.sleep(0.1)
    assert server.holders == {}
    assert one.does == "nothing"


async def test_nobody_leads_while_the_database_is_away(clock: FakeClock) -> None:
    server = Server()
    one = Process(server, clock)
    async with running(one.lead()):
        await clock.sleep(0.1)
        server.is_away = True
        await clock.sleep(LOOK_SECONDS + 0.1)
        assert one.does == "stands by"
        server.is_away = False
        await clock.sleep(LOOK_SECONDS + 0.1)
        assert one.does == "leads"
        server.is_away = True


async def test_a_lock_that_was_lost_to_another_ends_the_lead(clock: FakeClock) -> None:
    server = Server()
    one = Process(server, clock)
    async with running(one.lead()):
        await clock.sleep(0.1)
        server.holders["scan"] = object()
        await clock.sleep(LOOK_SECONDS + 0.1)
        assert one.does == "stands by"


async def test_what_the_loop_raises_comes_out(clock: FakeClock) -> None:
    leaders = Leaders(Server().locks(), clock=clock, observer=RecordingObserver())

    async def fails() -> None:
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        await leaders.lead("scan", fails)


async def test_a_loop_that_ends_is_not_begun_again_while_the_lead_lasts(clock: FakeClock) -> None:
    leaders = Leaders(Server().locks(), clock=clock, observer=RecordingObserver())
    begun = 0

    async def ends() -> None:
        nonlocal begun
        begun += 1

    async with running(leaders.lead("scan", ends)):
        await clock.sleep(10 * LOOK_SECONDS)
    assert begun == 1


# -- flights


async def test_the_same_content_flies_once_among_all_machines(clock: FakeClock) -> None:
    server, order = Server(), []

    async def fly(flights: SharedFlights, name: str, content_id: str = "x") -> None:
        async with flights.alone(ContentId(content_id)):
            order.append(f"{name} up")
            await clock.sleep(3.0)
            order.append(f"{name} down")

    one, two = SharedFlights(server.locks(), clock), SharedFlights(server.locks(), clock)
    await asyncio.gather(fly(one, "a"), fly(one, "b"), fly(two, "c"), fly(two, "other", "y"))
    of_one_content = [step for step in order if not step.startswith("other")]
    assert [step.split()[1] for step in of_one_content] == ["up", "down"] * 3
    assert order.index("other up") < 2
    assert server.holders == {}


async def test_a_flight_that_is_given_up_lets_the_next_one_fly(clock: FakeClock) -> None:
    server = Server()
    flights = SharedFlights(server.locks(), clock)
    server.holders = dict.fromkeys(["other"], object())

    async def fly() -> None:
        async with flights.alone(ContentId("x")):
            await asyncio.Event().wait()

    async with running(fly()):
        await clock.sleep(0.1)
    async with flights.alone(ContentId("x")):
        pass
    assert list(server.holders) == ["other"]


async def test_no_flight_begins_while_the_database_is_away(clock: FakeClock) -> None:
    server = Server()
    server.is_away = True
    with pytest.raises(DiskFault):
        async with SharedFlights(server.locks(), clock).alone(ContentId("x")):
            pytest.fail("it flew")


# -- the manifest


@pytest.fixture
async def ledger(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteLedger]:
    made = SqliteLedger(empty_ledger_in(tmp_path), clock)
    yield made
    await made.close()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def manifest_of(path: Path, ledger: SqliteLedger, leaders: Leaders | None) -> ClusterManifest:
    return ClusterManifest(Manifest(path, ledger), leaders, clock=_Now(), observer=RecordingObserver())


class _Now(FakeClock):
    """Real sleeps: files are written in threads meanwhile."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))


async def until(path: Path, number: int) -> None:
    async with asyncio.timeout(20):
        while lines(path) < number:
            await asyncio.sleep(0.01)


async def test_one_machine_writes_what_all_have_recorded(
    tmp_path: Path, ledger: SqliteLedger, clock: FakeClock
) -> None:
    server, path = Server(), tmp_path / "manifest.jsonl"
    walk = Walk(ledger, clock)
    await walk.uploaded(sighting("before.jpg"), content(1))
    leads, follows = (
        manifest_of(path, ledger, Leaders(server.locks(), clock=_Now(), observer=RecordingObserver())) for _ in range(2)
    )
    async with running(leads.run()):
        await until(path, 1)
        async with running(follows.run()):
            await walk.uploaded(sighting("a.jpg"), content(2))
            await follows.flush()  # not its own to write, and nobody waits for it
            assert await follows.compact() == 0
            await until(path, 2)
    assert LEAD not in server.holders


async def test_each_station_may_have_a_manifest_of_its_own(
    tmp_path: Path, ledger: SqliteLedger, clock: FakeClock
) -> None:
    walk = Walk(ledger, clock)
    one, two = (manifest_of(tmp_path / name, ledger, None) for name in ("one.jsonl", "two.jsonl"))
    async with running(one.run(), two.run()):
        await walk.uploaded(sighting("a.jpg"), content(1))
        await until(tmp_path / "one.jsonl", 1)
        await until(tmp_path / "two.jsonl", 1)


async def test_a_run_that_is_over_before_it_leads_writes_its_lines_all_the_same(
    tmp_path: Path, ledger: SqliteLedger, clock: FakeClock
) -> None:
    server, path = Server(), tmp_path / "manifest.jsonl"
    path.touch()
    await Walk(ledger, clock).uploaded(sighting("a.jpg"), content(1))
    brief = manifest_of(path, ledger, Leaders(server.locks(), clock=_Now(), observer=RecordingObserver()))
    await brief.close()
    assert lines(path) == 1
    server.holders[LEAD] = object()
    await Walk(ledger, clock).uploaded(sighting("b.jpg"), content(2))
    await brief.close()
    assert lines(path) == 1
