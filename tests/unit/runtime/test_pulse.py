from __future__ import annotations

import asyncio

import pytest

from ingestor.runtime.pulse import ENGINE_SECONDS, LOOP_SECONDS, Phase, Pulse
from tests.fakes import FakeClock


class Engine:
    """An engine that turns when it is told to."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.running = 0
        self.turned_at = clock.monotonic()

    def turn(self) -> None:
        self.turned_at = self._clock.monotonic()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(clock: FakeClock) -> Engine:
    return Engine(clock)


@pytest.fixture
def pulse(clock: FakeClock, engine: Engine) -> Pulse:
    pulse = Pulse(clock=clock, engine=engine, settling=lambda: 3)
    pulse.phase = Phase.RUNNING
    return pulse


async def beat(pulse: Pulse) -> None:
    """One beat, as `run` makes them."""
    running = asyncio.create_task(pulse.run())
    await asyncio.sleep(0)
    running.cancel()


async def test_a_daemon_whose_loop_and_engine_move_is_alive(pulse: Pulse, clock: FakeClock, engine: Engine) -> None:
    for _ in range(500):
        clock.advance(1.0)
        engine.turn()
        await beat(pulse)
        assert pulse.stalled() is None


async def test_an_engine_that_stands_still_is_told_although_the_loop_moves(pulse: Pulse, clock: FakeClock) -> None:
    clock.advance(ENGINE_SECONDS)
    await beat(pulse)
    assert pulse.stalled() is None
    clock.advance(1.0)
    await beat(pulse)
    assert pulse.stalled() == "the engine has begun nothing and looked at nothing for 91 s"


async def test_an_event_loop_that_was_blocked_is_told(pulse: Pulse, clock: FakeClock, engine: Engine) -> None:
    await beat(pulse)
    clock.advance(LOOP_SECONDS + 2.0)
    engine.turn()
    assert pulse.stalled() == "the event loop has stood still for 11 s"


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
async def test_before_its_first_turn_and_after_its_last_the_engine_need_not_turn(
    pulse: Pulse, clock: FakeClock, phase: Phase
) -> None:
    pulse.phase = phase
    clock.advance(10 * ENGINE_SECONDS)
    await beat(pulse)
    assert pulse.stalled() is None


def test_what_is_settled_and_worked_on_is_counted(pulse: Pulse, engine: Engine) -> None:
    engine.running = 5
    assert (pulse.settling, pulse.working) == (3, 5)
