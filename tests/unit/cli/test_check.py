from __future__ import annotations

import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ingestor.cli import check_places, machine
from ingestor.cli.check_places import LEAST_FREE_BYTES
from ingestor.ledger import LedgerLock
from tests.unit.cli.conftest import Corner, Filled, on_terminal

GONE = {"error": {"type": "not_found", "code": "resource_not_found", "message": "no such file", "param": None}}
KEY = "al_live_0123456789abcdef"


class Server:
    """Answers every request alike, and remembers them."""

    def __init__(self) -> None:
        self.status = 404
        self.body: Any = GONE
        self.headers: dict[str, str] = {}
        self.clock_offset_seconds = 0.0
        self.asked: list[tuple[str, str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.command, self.path, self.headers.get("X-Api-Key")))
                body = json.dumps(server.body).encode()
                self.send_response_only(server.status)
                self.send_header("Date", formatdate(time.time() + server.clock_offset_seconds, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def refuses(self, status: int, kind: str, code: str) -> None:
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": "so it is", "param": None}}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An API on these settings, with a key for it."""
    server = Server()
    corner.settings["api"] = {"base_url": server.url, "timeout": "5s"}
    corner.save()
    monkeypatch.setenv("AUROUS_API_KEY", KEY)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a worker takes a quarter of a second; one test does it."""
    if "workers" in request.keywords:
        return

    async def started(pool: object) -> None:
        pass

    monkeypatch.setattr("ingestor.images.workers.pool.ImagePool.warm_up", started)


def found(corner: Corner, area: str, *arguments: str) -> list[tuple[str, str]]:
    """Level and message of each finding of an area."""
    findings = corner.run("check", "--json", *arguments).json["findings"]
    return [(finding["level"], finding["message"]) for finding in findings if finding["area"] == area]


def only(corner: Corner, area: str, *arguments: str) -> tuple[str, str]:
    (finding,) = found(corner, area, *arguments)
    return finding


# -- all in one run --------------------------------------------------------------------------------


def test_where_nothing_is_wrong_it_ends_with_0_and_leaves_nothing_behind(corner: Corner) -> None:
    before = sorted(corner.folder.rglob("*"))
    ran = corner.run("check")
    assert (ran.code, ran.err) == (0, "")
    assert "nothing wrong" in ran.out
    assert sorted(corner.folder.rglob("*")) == before


def test_the_json_has_the_documented_shape(corner: Corner) -> None:
    told = corner.run("check", "--json").json
    assert told.keys() == {"ok", "exit_code", "findings"}
    assert (told["ok"], told["exit_code"]) == (True, 0)
    assert all(finding.keys() == {"area", "level", "message"} for finding in told["findings"])
    assert {finding["level"] for finding in told["findings"]} <= {"ok", "warning", "wrong"}


def test_every_mistake_in_the_settings_is_told_with_its_line(corner: Corner) -> None:
    corner.config.write_text(
        "api: {base_url: sandbox, concurency: 3}\nmanifest: 7\nfolders:\n  - path: nowhere\n    purpose: decoration\n"
    )
    ran = corner.run("check")
    assert ran.code == 2
    for line, words in ((1, "concurrency"), (2, "manifest"), (4, "does not exist"), (5, "decoration")):
        assert re.search(rf"{re.escape(str(corner.config))}:{line}: .*{words}", ran.out), words
    assert ran.last_words.endswith("(and 3 more)")


def test_mistakes_in_the_settings_do_not_hide_what_else_is_wrong(corner: Corner) -> None:
    corner.settings["drain"] = "soon"
    corner.settings["api"] = {"base_url": "http://127.0.0.1:9"}
    corner.save()
    told = corner.run("check", "--json").json
    wrong = {finding["area"] for finding in told["findings"] if finding["level"] == "wrong"}
    assert wrong == {"settings", "key"}
    assert told["exit_code"] == 2


def test_what_hangs_on_a_wrong_setting_is_not_asked(server: Server, corner: Corner) -> None:
    corner.settings["api"]["concurrency"] = 0
    corner.settings["ledger"] = 7
    corner.save()
    areas = {finding["area"] for finding in corner.run("check", "--json").json["findings"]}
    assert not areas & {"api", "key", "ledger", "files"}
    assert server.asked == []


def test_a_settings_file_that_is_not_there_is_told(corner: Corner) -> None:
    ran = corner.bare("check", "-c", "nowhere.yaml")
    assert ran.code == 2
    assert "there is no settings file here" in ran.last_words


def test_settings_without_folders_are_warned_of(corner: Corner) -> None:
    corner.settings["folders"] = []
    corner.save()
    assert ("warning", f"{corner.config}: no `folders` are set; `watch` needs one") in found(corner, "settings")
    assert corner.run("check").out.endswith("nothing wrong, 1 warning\n")


# -- the API ---------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_shows_that_address_and_key_are_right(server: Server, corner: Corner) -> None:
    assert only(corner, "api") == ("ok", f"{server.url} answers and takes the key")
    assert server.asked == [("GET", "/v1/files/file_00000000000000000000000000", KEY)]


def test_the_key_is_never_shown(server: Server, corner: Corner) -> None:
    ran = corner.run("check", "--json")
    assert KEY not in ran.out + ran.err
    server.refuses(401, "authentication", "invalid_api_key")
    ran = corner.run("check")
    assert KEY not in ran.out + ran.err


def test_offline_asks_nobody(server: Server, corner: Corner) -> None:
    assert only(corner, "api", "--offline") == ("ok", f"{server.url} was not asked")
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "kind", "code", "level", "ends"),
    [
        (401, "authentication", "invalid_api_key", "wrong", 4),
        (401, "authentication", "revoked_api_key", "wrong", 4),
        (403, "authentication", "missing_scope", "warning", 0),
        (402, "invalid_request", "balance_too_low", "wrong", 4),
        (429, "rate_limit", "too_many_requests", "warning", 0),
        (500, "server_error", "internal_error", "wrong", 5),
        (503, "server_error", "provider_unavailable", "wrong", 5),
        (404, "page", "page_not_found", "wrong", 5),
        (400, "invalid_request", "invalid_format", "warning", 0),
    ],
)
def test_each_refusal_has_its_exit_code(
    server: Server, corner: Corner, status: int, kind: str, code: str, level: str, ends: int
) -> None:
    server.refuses(status, kind, code)
    ran = corner.run("check", "--json")
    levels = {finding["level"] for finding in ran.json["findings"] if finding["area"] == "api"}
    assert (levels, ran.code) == ({level}, ends)


def test_an_address_where_nobody_listens_ends_with_5(server: Server, corner: Corner) -> None:
    server.close()
    ran = corner.run("check")
    assert ran.code == 5
    assert "127.0.0.1" in ran.last_words


def test_an_api_that_knows_the_file_that_cannot_be_is_doubted(server: Server, corner: Corner) -> None:
    server.status = 200
    server.body = {
        "id": "file_00000000000000000000000000",
        "object": "file",
        "purpose": "reference",
        "mime_type": "image/png",
        "size_bytes": 1,
        "width_px": 1,
        "height_px": 1,
        "url": "https://files.invalid/x",
        "created_at": "2026-11-24T10:00:00Z",
        "expires_at": "2026-11-25T10:00:00Z",
        "metadata": {},
    }
    level, message = only(corner, "api")
    assert level == "warning"
    assert "is it the Files API?" in message


@pytest.mark.parametrize(
    ("offset", "words"), [(-3600, r"is 1 h( 1 s)? ahead of the API's"), (90, r"is 1 min (29|30) s behind the API's")]
)
def test_a_clock_that_is_wrong_is_told(server: Server, corner: Corner, offset: float, words: str) -> None:
    server.clock_offset_seconds = offset
    level, message = found(corner, "api")[-1]
    assert level == "warning"
    assert re.search(words, message)


def test_a_version_that_goes_away_is_warned_of(server: Server, corner: Corner) -> None:
    server.headers = {"Aurous-Deprecated": "true", "Sunset": "Sat, 01 May 2027 00:00:00 GMT"}
    assert any(level == "warning" and "Sat, 01 May 2027" in message for level, message in found(corner, "api"))


def test_the_bundled_sandbox_needs_no_key_and_is_not_started(corner: Corner) -> None:
    assert only(corner, "api")[0] == "ok"
    assert found(corner, "key") == []


# -- the key ---------------------------------------------------------------------------------------


def test_no_key_is_told_and_the_api_is_not_asked(
    server: Server, corner: Corner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUROUS_API_KEY")
    ran = corner.run("check")
    assert ran.code == 4
    assert "AUROUS_API_KEY is not set" in ran.last_words
    assert server.asked == []


def test_a_key_file_that_others_may_read_is_told(server: Server, corner: Corner, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o644)
    corner.settings["api"]["key_file"] = "key"
    corner.save()
    level, message = only(corner, "key")
    assert level == "wrong"
    assert "chmod 600" in message


def test_an_unusual_key_is_tried_with_a_warning(
    server: Server, corner: Corner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUROUS_API_KEY", "something-else")
    assert only(corner, "key")[0] == "warning"
    assert server.asked[0][2] == "something-else"


# -- folders ---------------------------------------------------------------------------------------


@pytest.fixture
def no_root(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of folders that this user may not write: root may write everywhere."""
    locked: set[str] = set()
    access = check_places.os.access

    def denied(path: Any, mode: int) -> bool:
        return access(path, mode) and not (mode & os.W_OK and Path(path).name in locked)

    monkeypatch.setattr(check_places.os, "access", denied)
    return locked


def test_each_folder_is_counted_with_those_inside(corner: Corner) -> None:
    corner.drop("a/b/c.jpg")
    assert found(corner, "folders") == [("ok", f"inbox: {corner.inbox}, 3 folders")]


@pytest.mark.parametrize("action", [{"after_upload": "delete"}, {"on_quarantine": "move:bad"}])
def test_a_folder_that_images_are_to_be_taken_from_must_be_writable(
    corner: Corner, no_root: set[str], action: dict[str, str]
) -> None:
    corner.settings["folders"][0] |= action
    corner.save()
    assert corner.run("check").code == 0
    no_root.add("inbox")
    ran = corner.run("check")
    assert ran.code == 2
    assert "cannot be written by this user" in ran.last_words


def test_a_folder_that_keeps_its_images_need_not_be_writable(corner: Corner, no_root: set[str]) -> None:
    no_root.add("inbox")
    assert corner.run("check").code == 0


def test_a_target_that_cannot_be_made_is_told(corner: Corner, no_root: set[str], tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    no_root.add("locked")
    corner.settings["folders"][0]["after_upload"] = "move:locked/done"
    corner.save()
    ran = corner.run("check")
    assert ran.code == 2
    assert "after_upload moves to" in ran.last_words


def test_a_folder_inside_that_cannot_be_read_is_warned_of(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    corner.drop("locked/a.jpg")
    scandir = check_places.os.scandir

    def denied(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(check_places.os, "scandir", denied)
    warned = [message for level, message in found(corner, "folders") if level == "warning"]
    assert len(warned) == 1
    assert "locked cannot be read" in warned[0]


# -- ledger and manifest ---------------------------------------------------------------------------


def test_a_sound_ledger_is_said_to_be_sound(corner: Corner) -> None:
    corner.fill(_nothing)
    assert only(corner, "ledger") == ("ok", f"{corner.ledger} is sound; nobody holds it")


def test_who_holds_the_ledger_is_told(corner: Corner) -> None:
    corner.fill(_nothing)
    lock = LedgerLock(corner.ledger, "ingestor watch")
    lock.acquire()
    try:
        assert "ingestor watch, process" in only(corner, "ledger")[1]
    finally:
        lock.release()


async def _nothing(ledger: Filled) -> None:
    pass


@pytest.mark.parametrize("damage", ["garbage", "pages", "newer", "other"])
def test_a_ledger_that_cannot_be_used_is_told_and_left_as_it_is(corner: Corner, damage: str) -> None:
    corner.fill(_nothing)
    _harm(corner.ledger, damage)
    before = corner.ledger.read_bytes()
    ran = corner.run("check", "--json")
    assert ran.code == 1
    assert [level for level, _ in found(corner, "ledger")] == ["wrong"]
    assert corner.ledger.read_bytes() == before


def _harm(ledger: Path, damage: str) -> None:
    if damage == "garbage":
        ledger.write_bytes(b"no database, however long it may be" * 100)
    elif damage == "pages":
        content = bytearray(ledger.read_bytes())
        content[4096 * 2 : 4096 * 6] = b"\xff" * (4096 * 4)
        ledger.write_bytes(content)
    elif damage == "newer":
        with sqlite3.connect(ledger) as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.close()
    else:
        ledger.unlink()
        with sqlite3.connect(ledger) as database:
            database.execute("CREATE TABLE recipes (name TEXT)")
        database.close()


def test_a_ledger_on_a_network_file_system_is_warned_of(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "file_system_of", lambda path: "nfs4")
    levels = found(corner, "files")
    assert [level for level, _ in levels] == ["warning", "warning"]
    assert "nfs4" in levels[0][1]
    assert "local disk" in levels[0][1]


def test_little_free_space_is_warned_of(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_bytes", lambda path: LEAST_FREE_BYTES - 1)
    warned = [message for level, message in found(corner, "files") if level == "warning"]
    assert len(warned) == 2
    assert warned[0].startswith("only 200 MB are free where the ledger")


def test_a_place_for_the_ledger_that_cannot_be_written_is_told(corner: Corner, no_root: set[str]) -> None:
    (corner.folder / "var").mkdir()
    no_root.add("var")
    ran = corner.run("check")
    assert ran.code == 1
    assert "cannot be written by this user" in ran.last_words


# -- events and images -----------------------------------------------------------------------------


def test_more_folders_than_inotify_watches_name_the_limit(
    corner: Corner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "max_user_watches").write_text("3\n")
    (tmp_path / "max_user_instances").write_text("1\n")
    monkeypatch.setattr(machine, "INOTIFY", tmp_path)
    corner.drop("a/b.jpg")
    warned = [message for level, message in found(corner, "events") if level == "warning"]
    assert len(warned) == 2
    assert "sysctl fs.inotify.max_user_watches=1048576" in warned[0]
    assert "sysctl fs.inotify.max_user_instances=1024" in warned[1]


def test_a_machine_without_such_limits_is_fine(corner: Corner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "INOTIFY", tmp_path / "nowhere")
    assert [level for level, _ in found(corner, "events")] == ["ok"]


def test_events_that_lie_are_warned_of_where_they_are_asked_for(
    corner: Corner, monkeypatch: pytest.MonkeyPatch
) -> None:
    corner.settings["folders"][0]["watch"] = "native"
    corner.save()
    monkeypatch.setattr(check_places.machine, "file_system_of", lambda path: "cifs")
    assert any(level == "warning" and "cifs" in message for level, message in found(corner, "events"))


def test_a_polled_folder_costs_no_watches(corner: Corner) -> None:
    corner.settings["folders"][0]["watch"] = "poll"
    corner.save()
    assert found(corner, "events") == [
        ("ok", "inbox: watched by looking every few seconds (as the setting `watch` says)")
    ]


@pytest.mark.usefixtures("workers")
def test_image_workers_are_started_and_ended(corner: Corner) -> None:
    assert found(corner, "images")[0][1].startswith("workers start")


@pytest.fixture
def workers() -> None:
    """Real ones."""


# -- for people ------------------------------------------------------------------------------------


def test_on_a_terminal_of_80_columns_no_line_is_longer(corner: Corner) -> None:
    screen = on_terminal(["check", "--offline", "-c", str(corner.config)])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.decode())
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "nothing wrong" in plain
