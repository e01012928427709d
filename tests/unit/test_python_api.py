"""`import ingestor` as other programs do it."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import ingestor
from ingestor import Ended, ImageEnd, LedgerHeld, Manifest, SettingsError, backfill, load_settings
from ingestor.errors import UsageError
from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home, until
from tests.image_kit import jpeg, photograph


def modules_after(code: str) -> set[str]:
    """All that a fresh interpreter has imported after this."""
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.split())


def test_importing_it_imports_nothing_else_of_ours() -> None:
    assert not any(name.startswith("ingestor.") for name in modules_after("import ingestor"))


def test_reading_a_manifest_needs_the_standard_library_only() -> None:
    heavy = {"pydantic", "sqlalchemy", "aiohttp", "PIL", "numpy", "typer", "structlog"}
    assert not heavy & modules_after("from ingestor import Manifest, ManifestLine, IngestorError")


def test_everything_it_offers_is_there_and_says_what_it_is() -> None:
    for name in ingestor.__all__:
        offered = getattr(ingestor, name)
        assert name in dir(ingestor)
        assert name == "__version__" or inspect.getdoc(offered), name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = ingestor.nonsense  # type: ignore[attr-defined]


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    options = SandboxOptions(data_dir=tmp_path / "api", upload_bucket=Bucket(1000, 60000))
    async with Sandbox(options) as sandbox:
        monkeypatch.setenv("AUROUS_API_KEY", sandbox.api_key)
        yield Home(tmp_path / "home", sandbox)


def drop(home: Home, *names: str) -> None:
    for number, name in enumerate(names):
        (home.inbox / name).write_bytes(jpeg(photograph(64, 48, number)))


async def test_a_backfill_reports_calls_back_and_its_manifest_is_read(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    drop(home, "one.jpg", "two.jpg")
    (home.inbox / "bad.jpg").write_bytes(b"this is text")
    ends: list[ImageEnd] = []
    report = await backfill(home.config, on_end=ends.append)
    assert (report.ended, report.tally.uploaded, report.tally.quarantined) == (Ended.DONE, 2, 1)
    assert {end.path: end.outcome for end in ends} == {
        "one.jpg": "uploaded",
        "two.jpg": "uploaded",
        "bad.jpg": "quarantined",
    }
    bad = next(end for end in ends if end.path == "bad.jpg")
    assert (bad.folder, bad.file_id, bad.reason) == ("inbox", None, "not_an_image")
    with Manifest.open(load_settings(home.config).manifest) as manifest:
        assert {line.file_id for line in manifest.live()} == {end.file_id for end in ends if end.file_id}
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


async def test_paths_with_purpose_and_metadata_stand_in_for_folders(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.jpg").write_bytes(jpeg(photograph(64, 48, 9)))
    os.utime(elsewhere / "x.jpg", (0, 0))
    drop(home, "one.jpg")
    settings = load_settings(home.config)
    report = await backfill(settings, paths=[elsewhere], purpose="first_frame", metadata={"who": "me = I"})
    assert report.tally.uploaded == 1, report
    (line,) = home.manifest()
    assert (line["purpose"], line["metadata"]) == ("first_frame", {"who": "me = I"})


async def test_what_the_callback_raises_ends_the_run_and_comes_out(home: Home) -> None:
    drop(home, *(f"{number}.jpg" for number in range(30)))
    called: list[str] = []

    def fail(end: ImageEnd) -> None:
        called.append(end.path)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await backfill(home.config, on_end=fail)
    assert len(called) == 1
    report = await backfill(home.config)
    assert report.tally.discovered == 30
    assert len(home.present()) == 30
    assert all(row["created"] == 1 for row in home.sandbox.stats()["created"])


async def test_a_run_that_is_cancelled_leaves_nothing_behind(home: Home) -> None:
    drop(home, "one.jpg")
    home.sandbox.set_faults({"hang": 1.0})
    running = asyncio.create_task(backfill(home.config))
    await until(lambda: bool(home.sandbox.stats()["faults"]))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    home.sandbox.set_faults({"hang": 0.0})
    report = await backfill(home.config)
    assert report.tally.uploaded + report.tally.replayed == 1


async def test_a_deadline_and_refusals_are_ends_not_errors(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(home, "one.jpg")
    home.sandbox.set_faults({"hang": 1.0})
    home.settings["drain"] = "100ms"
    home.save()
    assert (await backfill(home.config, deadline_seconds=0.5)).ended is Ended.OUT_OF_TIME
    home.sandbox.set_faults({"hang": 0.0})
    monkeypatch.setenv("AUROUS_API_KEY", "al_live_unknown0000000000")
    refused = await backfill(home.config)
    assert refused.ended is Ended.REFUSED
    assert refused.message


async def test_what_is_wrong_with_the_call_is_raised(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        await backfill(home.config, paths=[tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="name the paths"):
        await backfill(home.config, purpose="reference")
    (tmp_path / "wrong.yaml").write_text("folders: [{path: nowhere}]")
    with pytest.raises(SettingsError, match="does not exist"):
        await backfill(tmp_path / "wrong.yaml")


async def test_more_than_the_quota_can_keep_alive_is_refused_unless_it_is_meant(home: Home) -> None:
    home.settings["api"]["quota"] = {"burst": 1, "per_minute": 1}
    home.save()
    for number in range(1600):
        (home.inbox / f"{number}.jpg").write_bytes(str(number).encode())
    with pytest.raises(UsageError, match="allow_expiry=True"):
        await backfill(home.config)


async def test_one_ledger_has_one_run_at_a_time(home: Home) -> None:
    drop(home, "one.jpg")
    home.sandbox.set_faults({"slow": 1.0})
    first = asyncio.create_task(backfill(home.config))
    await until(lambda: bool(home.sandbox.stats()["faults"]))
    with pytest.raises(LedgerHeld):
        await backfill(home.config)
    assert (await first).tally.uploaded == 1
