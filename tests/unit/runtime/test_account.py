"""Ids are asked for where the API's address or the key has changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from ingestor.errors import FileGone, ServerFault, UsageError
from ingestor.files_api import ApiKey
from ingestor.ledger import SqliteLedger
from ingestor.policy.verdicts import Call
from ingestor.runtime.account import ACCOUNT_FACT, ASKED_FOR, check_account
from ingestor.settings import load
from tests.fakes import FakeClock, FakeFilesApi
from tests.ledger_kit import Walk, content, empty_ledger_in, sighting

ONE, OTHER = "al_live_first", "al_live_other"
SANDBOX, REAL = "sandbox", "https://api.example.com"
GONE = FileGone("the API does not know this file id", status=404)


@dataclass
class Bench:
    folder: Path
    ledger: SqliteLedger
    walk: Walk
    api: FakeFilesApi

    async def start(self, base_url: str = SANDBOX, key: str = ONE) -> None:
        """As a run with these settings would. No answer but `GONE` and what is scripted is needed."""
        (self.folder / "ingestor.yaml").write_text(yaml.safe_dump({"api": {"base_url": base_url}}))
        settings = load(self.folder / "ingestor.yaml", {})
        environment = ApiKey(environment={"AUROUS_API_KEY": key})
        await check_account(settings, environment, ledger=self.ledger, files=self.api)

    @property
    def asked(self) -> int:
        return sum(call is Call.FETCH for call, _ in self.api.calls)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock = FakeClock()
    ledger = SqliteLedger(empty_ledger_in(tmp_path), clock)
    await ledger.open()
    walk = Walk(ledger, clock)
    for number in range(1, ASKED_FOR + 2):
        await walk.uploaded(sighting(f"{number}.jpg"), content(number))
    yield Bench(tmp_path, ledger, walk, FakeFilesApi(clock))
    await ledger.close()


async def test_nothing_is_asked_for_as_long_as_nothing_changes(bench: Bench) -> None:
    for _ in range(3):
        await bench.start()
    assert bench.asked == 0
    assert ONE not in str(await bench.ledger.fact(ACCOUNT_FACT))


@pytest.mark.parametrize(
    ("base_url", "key", "words"),
    [(REAL, ONE, f"at {REAL}: they were uploaded to sandbox"), (SANDBOX, OTHER, "of another team")],
)
async def test_another_api_or_team_is_told_before_anything_is_taken_for_uploaded(bench, base_url, key, words):
    await bench.start()
    for _ in range(2):
        with pytest.raises(UsageError, match=words) as caught:
            await bench.start(base_url, key)
        assert "verify --renew" in str(caught.value)
    assert bench.asked == 2 * ASKED_FOR
    await bench.start()


async def test_a_new_key_of_the_same_team_is_taken_up_with_one_question(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.start()
    ours = {entry.file_id for entry in await bench.ledger.entries()}

    async def kept(file_id: str) -> None:
        assert file_id in ours
        bench.api.calls.append((Call.FETCH, file_id))

    monkeypatch.setattr(bench.api, "fetch", kept)
    await bench.start(key=OTHER)
    await bench.start(key=OTHER)
    assert bench.asked == 1


async def test_an_id_that_somebody_deleted_decides_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.start()
    answers = iter([True, False])

    async def one_is_gone(file_id: str) -> None:
        if next(answers):
            raise GONE

    monkeypatch.setattr(bench.api, "fetch", one_is_gone)
    await bench.start(REAL)
    assert (await bench.ledger.fact(ACCOUNT_FACT))["base_url"] == REAL


async def test_an_api_that_does_not_answer_decides_nothing_and_is_asked_at_the_next_start(bench: Bench) -> None:
    await bench.start()
    bench.api.script(ServerFault("down"))
    await bench.start(REAL)
    with pytest.raises(UsageError):
        await bench.start(REAL)


async def test_where_no_id_is_live_any_account_will_do(bench: Bench) -> None:
    await bench.start()
    bench.walk.clock.advance(25 * 3600.0)
    await bench.start(REAL, OTHER)
    assert bench.asked == 0
    assert (await bench.ledger.fact(ACCOUNT_FACT))["base_url"] == REAL


async def test_a_key_that_cannot_be_read_is_not_this_one_s_business(bench: Bench) -> None:
    await bench.start(key="")
    assert await bench.ledger.fact(ACCOUNT_FACT) is None
