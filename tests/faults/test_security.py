"""What must not leak, and what must not reach out of its place, with processes of their own."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.faults.forked import children_of
from tests.faults.kit import check_created_once, events, inside, picture
from tests.home import Home, until

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture
def open_umask() -> object:
    """The most careless user there is."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
async def test_whatever_is_kept_is_for_its_owner_alone(home: Home) -> None:
    home.settings["folders"][0] |= {"after_upload": "move:done", "on_quarantine": "move:bad"}
    home.save()
    (home.inbox / "good.png").write_bytes(picture(1))
    (home.inbox / "bad.png").write_text("no image")
    async with home.watching() as running:
        await home.until_listed({"good.png", "bad.png"})
        await until(lambda: (home.folder / "bad" / "bad.error.json").exists())
        while_running = modes_below(home.folder / "var")
        assert await running.stop() == 0
    assert {"ledger.db", "ledger.db-wal", "ledger.db.lock", "manifest.jsonl", "spool"} <= while_running.keys()
    kept = while_running | modes_below(home.folder / "var")
    kept["bad.error.json"] = stat.S_IMODE((home.folder / "bad" / "bad.error.json").stat().st_mode)
    assert {name: oct(mode) for name, mode in kept.items() if mode & OTHERS} == {}


def modes_below(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


async def test_the_key_stands_in_no_file_no_line_of_output_and_no_worker(home: Home) -> None:
    key = home.sandbox.api_key
    (home.inbox / "good.png").write_bytes(picture(1))
    (home.inbox / "bad.png").write_text("no image")
    home.sandbox.script("html", "lost_answer", "redirect")
    home.is_warm = False  # its command line is looked at
    async with home.watching() as running:
        await home.until_listed({"good.png", "bad.png"}, 60)
        workers = children_of(running.process.pid)
        assert workers
        for pid in workers:
            assert key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert key.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert key.encode() not in Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
        assert await running.stop() == 0
    for command in (["explain", "good.png", "--json"], ["verify", "--json"]):
        ran = await home.run(*command)
        assert key not in ran.out + ran.err, command
    assert not any(key in line for line in running.lines)
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if key.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("mode", [0o640, 0o604])
async def test_a_key_file_that_others_may_read_is_refused(home: Home, mode: int) -> None:
    (home.inbox / "one.png").write_bytes(picture(1))
    key_file = home.folder / "key"
    key_file.write_text(home.sandbox.api_key)
    key_file.chmod(mode)
    home.settings["api"]["key_file"] = "key"
    home.save()
    ran = await home.run("backfill", "--json", AUROUS_API_KEY="")
    assert ran.code == 4
    assert f"chmod 600 {key_file}" in ran.last_words
    assert (ran.json["deferred"], ran.json["quarantined"]) == (1, 0)
    assert home.sandbox.stats()["requests"] == {}, "nothing is sent"


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost@example.com",
        "http://10.0.0.1",
    ],
)
async def test_the_key_goes_out_over_tls_or_to_this_machine_only(home: Home, address: str) -> None:
    home.settings["api"]["base_url"] = address
    home.save()
    ran = await home.run("backfill")
    assert ran.code == 2
    assert "base_url" in ran.err


async def test_a_link_in_the_target_does_not_lead_a_moved_image_out_of_it(home: Home) -> None:
    outside = home.folder / "outside"
    outside.mkdir()
    (home.folder / "done").mkdir()
    (home.folder / "done" / "sub").symlink_to(outside)
    (home.inbox / "sub").mkdir()
    (home.inbox / "sub" / "one.png").write_bytes(picture(1))
    home.settings["folders"][0] |= {"after_upload": "move:done", "settle": "0s"}
    home.save()
    async with inside(home) as program, program.watching():
        await home.until_listed({"sub/one.png"})
        await until(lambda: any(end.get("reason") == "disk_in_the_way" for end in program.observer.of("image_end")))
        assert list(outside.iterdir()) == []
        assert (home.inbox / "sub" / "one.png").exists()
        (home.folder / "done" / "sub").unlink()
        await until(lambda: (home.folder / "done" / "sub" / "one.png").exists())
    assert events(home, ["sub/one.png"]) == {"sub/one.png": "uploaded"}
    check_created_once(home)


async def test_a_sidecar_reads_nothing_from_elsewhere_and_has_its_limits(home: Home) -> None:
    home.settings["folders"][0]["settle"] = "0s"
    home.save()
    (home.folder / "secret.json").write_text('{"secret": "0123456789"}')
    sidecars = {
        "link": lambda path: path.symlink_to(home.folder / "secret.json"),
        "folder": lambda path: path.mkdir(),
        "pipe": lambda path: os.mkfifo(path),
        "large": lambda path: path.write_text(json.dumps({"a": "x" * 70_000})),
        "too-much-metadata": lambda path: path.write_text(json.dumps({"a": "x" * 20_000})),
        "deep": lambda path: path.write_text("[" * 50_000),
        "no-object": lambda path: path.write_text("[1]"),
    }
    for number, (name, make) in enumerate(sidecars.items()):
        make(home.inbox / f"{name}.png.json")
        (home.inbox / f"{name}.png").write_bytes(picture(number))
    async with inside(home) as program:
        report = await program.backfill()
    assert report.tally.quarantined == len(sidecars)
    reasons = {line["path"]: line["reason"] for line in home.manifest()}
    expected = dict.fromkeys((f"{name}.png" for name in sidecars), "bad_sidecar")
    assert reasons == expected | {"too-much-metadata.png": "metadata_too_large"}
    assert home.sandbox.stats()["created_total"] == 0
    kept = b"".join(path.read_bytes() for path in (home.folder / "var").iterdir() if path.is_file())
    assert b"0123456789" not in kept


async def test_a_path_that_leads_out_of_a_drop_folder_is_not_taken_from_the_command_line(home: Home) -> None:
    (home.folder / "secret.png").write_bytes(picture(1))
    (home.inbox / "link").symlink_to(home.folder)
    ran = await home.run("backfill", str(home.inbox / "link" / "secret.png"), "--json")
    assert home.manifest() == [], ran.out
    assert ran.json["skipped"] == 1
