"""The daemon as a process of its own: each file that is dropped is taken once, and whole."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests.home import Home, until
from tests.samples import photograph


def jpeg(seed: int, width: int = 320, height: int = 240) -> bytes:
    buffer = io.BytesIO()
    photograph(width, height, seed).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def created_once(home: Home) -> bool:
    """No content was created twice at the API."""
    return all(row["created"] == 1 for row in home.sandbox.stats()["created"])


async def write_slowly(path: Path, content: bytes, pieces: int = 12) -> None:
    with path.open("wb") as file:
        step = len(content) // pieces + 1
        for start in range(0, len(content), step):
            file.write(content[start : start + step])
            file.flush()
            await asyncio.sleep(0.06)


async def test_files_that_come_in_every_way_are_taken_once_and_whole(home: Home) -> None:
    home.settings["folders"][0]["settle"] = "300ms"
    home.save()
    (home.inbox / "there-before.jpg").write_bytes(jpeg(100))
    slow = jpeg(1, 1600, 1200)
    async with home.watching() as running:
        await write_slowly(home.inbox / "slow.jpg", slow)
        part = home.inbox / "download.jpg.part"
        part.write_bytes(jpeg(2))
        await asyncio.sleep(0.4)
        part.rename(home.inbox / "download.jpg")
        (home.inbox / "new").mkdir()
        for number in range(5):
            (home.inbox / "new" / f"{number}.jpg").write_bytes(jpeg(10 + number))
        await home.until_listed(
            {"there-before.jpg", "slow.jpg", "download.jpg", *(f"new/{number}.jpg" for number in range(5))}
        )
        assert await running.stop() == 0

    present = home.present()
    assert present["slow.jpg"]["sha256"] == hashlib.sha256(slow).hexdigest()
    assert all(line["event"] == "uploaded" for line in home.manifest())
    assert len(home.manifest()) == 8
    assert created_once(home)


async def test_two_hundred_at_once_are_each_taken(home: Home) -> None:
    contents = {f"{number:03}.jpg": jpeg(1000 + number, 64, 48) for number in range(200)}
    async with home.watching() as running:
        for name, content in contents.items():
            (home.inbox / name).write_bytes(content)
        await home.until_listed(set(contents), 60)
        assert await running.stop() == 0
    assert len(home.manifest()) == 200
    assert home.sandbox.stats()["created_total"] == 200
    assert created_once(home)


ENDINGS = pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])


@ENDINGS
async def test_a_signal_lets_what_is_in_flight_finish(home: Home, number: int, code: int) -> None:
    home.sandbox.set_faults({"slow": 1.0})
    async with home.watching() as running:
        (home.inbox / "one.jpg").write_bytes(jpeg(3))
        await until(lambda: bool(home.sandbox.stats()["faults"]))
        assert await running.stop(number) == code
    assert home.present()["one.jpg"]["event"] == "uploaded"


@ENDINGS
async def test_a_second_signal_ends_it_at_once_and_the_next_start_goes_on(home: Home, number: int, code: int) -> None:
    home.sandbox.set_faults({"hang": 1.0})
    async with home.watching() as running:
        (home.inbox / "one.jpg").write_bytes(jpeg(4))
        await until(lambda: bool(home.sandbox.stats()["faults"]))
        running.process.send_signal(number)
        await running.until_logged("draining")
        assert await running.stop(number) == code
    home.sandbox.set_faults({"hang": 0.0})
    ran = await home.run("backfill", "--json")
    assert ran.code == 0, ran.err
    assert home.present()["one.jpg"]["event"] == "uploaded"
    assert created_once(home)


async def test_a_changed_file_is_a_new_upload_and_a_touched_one_is_not(home: Home) -> None:
    path = home.inbox / "one.jpg"
    path.write_bytes(jpeg(5))
    async with home.watching() as running:
        await home.until_listed({"one.jpg"})
        first = home.present()["one.jpg"]
        os.utime(path)
        path.write_bytes(jpeg(6))
        await until(lambda: home.present()["one.jpg"]["sha256"] != first["sha256"])
        os.utime(path)
        await until(lambda: sum(line["event"] == "image_end" for line in running.log) >= 3)
        assert await running.stop() == 0
    assert len(home.manifest()) == 2
    assert home.sandbox.stats()["created_total"] == 2


async def test_a_folder_that_is_replaced_is_watched_again(home: Home) -> None:
    async with home.watching() as running:
        home.inbox.rename(home.folder / "away")
        await running.until_logged("folder_gone")
        home.inbox.mkdir()
        await running.until_logged("folder_back")
        (home.inbox / "after.jpg").write_bytes(jpeg(7))
        await home.until_listed({"after.jpg"})
        assert await running.stop() == 0


async def test_a_polled_folder_is_complete_too(home: Home) -> None:
    home.settings["folders"][0] |= {"watch": "poll", "rescan": "200ms"}
    home.save()
    async with home.watching() as running:
        assert (await running.until_logged("watch_mode"))["mode"] == "poll"
        (home.inbox / "sub").mkdir()
        (home.inbox / "sub" / "one.jpg").write_bytes(jpeg(8))
        await home.until_listed({"sub/one.jpg"})
        assert await running.stop() == 0
    assert Image.open(home.inbox / "sub" / "one.jpg").size == (320, 240)


async def test_sighup_takes_new_settings_and_refuses_wrong_ones(home: Home) -> None:
    async with home.watching() as running:
        (home.inbox / "one.jpg").write_bytes(jpeg(20))
        await home.until_listed({"one.jpg"})
        good = home.config.read_text()
        home.config.write_text(good.replace("purpose: reference", "purpose: refrence"))
        running.process.send_signal(signal.SIGHUP)
        refused = await running.until_logged("settings_refused")
        assert "refrence" in refused["message"]
        (home.folder / "second").mkdir()
        home.settings["folders"].append({"path": "second", "purpose": "first_frame", "settle": "50ms"})
        home.save()
        running.process.send_signal(signal.SIGHUP)
        await running.until_logged("settings_reloaded")
        (home.folder / "second" / "two.jpg").write_bytes(jpeg(21))
        (home.inbox / "three.jpg").write_bytes(jpeg(22))
        await home.until_listed({"two.jpg", "three.jpg"})
        assert await running.stop() == 0
    assert home.present()["two.jpg"]["purpose"] == "first_frame"
    assert created_once(home)


async def test_the_service_manager_is_told_ready_what_we_do_and_stopping(home: Home) -> None:
    address = str(home.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)
        async with home.watching(NOTIFY_SOCKET=address, WATCHDOG_USEC="300000") as running:
            told = [await asyncio.wait_for(asyncio.get_running_loop().sock_recv(manager, 4096), 10) for _ in range(4)]
            assert any(message.startswith(b"READY=1") for message in told)
            assert any(b"STATUS=0 at work" in message for message in told)
            assert sum(b"WATCHDOG=1" in message for message in told) >= 3
            assert await running.stop() == 0
        rest = b""
        with contextlib.suppress(BlockingIOError):
            while message := manager.recv(4096):
                rest += message
        assert b"STOPPING=1" in rest


async def test_the_chart_on_the_page_outlives_a_restart(home: Home) -> None:
    home.settings["status"] = {"listen": "127.0.0.1:0"}
    home.save()
    Image.new("RGB", (16, 16), "red").save(home.inbox / "a.png")
    async with home.watching() as running:
        await home.until_listed({"a.png"})
        assert await running.stop() == 0
    async with home.watching() as running:
        page = (await running.until_logged("page_ready"))["url"]
        async with aiohttp.ClientSession() as session, session.get(page) as answer:
            shown = await answer.text()
        assert await running.stop() == 0
    assert "In 24 hours: 1 uploads and 0 quarantined" in shown
