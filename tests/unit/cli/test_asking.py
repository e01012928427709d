"""An API that is down is not waited for without end by somebody who sits before the command."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from ingestor.cli import asking
from ingestor.errors import ApiUnavailable, EnvironmentFault
from ingestor.files_api import BreakerStatus
from ingestor.files_api.stopping import Waits
from tests.fakes import FakeClock

DOWN = BreakerStatus(is_open=True, reason="api", message="the API answers with 500")


@dataclass
class Api:
    """What is waited for, and whether it is down."""

    state: BreakerStatus = DOWN
    waits: Waits = field(default_factory=Waits)

    @property
    def breaker(self) -> Api:
        return self

    def stop(self, why: EnvironmentFault) -> None:
        self.waits.stop(why)


async def test_whoever_waits_hears_of_it_after_a_minute() -> None:
    api, clock = Api(), FakeClock()
    waiting = asyncio.ensure_future(api.waits.on(asyncio.Event().wait()))
    began = clock.monotonic()
    await asking._give_up(api, clock)
    with pytest.raises(ApiUnavailable, match=r"500.*given up"):
        await waiting
    with pytest.raises(ApiUnavailable, match="given up"):
        await api.waits.on(asyncio.Event().wait())
    assert 60 <= clock.monotonic() - began < 62


async def test_an_api_that_comes_back_is_given_another_minute() -> None:
    api, clock = Api(), FakeClock()
    giving_up = asyncio.ensure_future(asking._give_up(api, clock))
    await clock.sleep(50)
    api.state = BreakerStatus(is_open=False)
    await clock.sleep(5)
    api.state = DOWN
    await clock.sleep(50)
    assert not giving_up.done()
    await clock.sleep(15)
    assert api.waits.stopped
    await giving_up
