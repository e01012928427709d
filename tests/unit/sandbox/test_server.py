import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from ingestor.sandbox import Bucket, Sandbox, SandboxHeld, SandboxOptions
from tests.unit.sandbox.caller import Caller, image

DAY = 24 * 3600


async def test_it_starts_and_stops_as_a_context_without_a_folder_of_its_own():
    async with Sandbox() as sandbox, Caller(sandbox) as caller:
        await caller.uploaded()
        assert sandbox.base_url.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.base_url).port)


async def test_it_says_so_when_it_has_not_been_started():
    with pytest.raises(RuntimeError, match="not been started"):
        Sandbox().stats()
    await Sandbox().stop()


async def test_it_listens_on_loopback_alone_unless_told_otherwise(serve):
    caller = await serve()
    port = urlsplit(caller.sandbox.base_url).port
    assert listening_at(port) == {"0100007F"}
    everywhere = await serve(host="0.0.0.0", data_dir=caller.sandbox.options.data_dir.parent / "other")
    assert listening_at(urlsplit(everywhere.sandbox.base_url).port) == {"00000000"}


def listening_at(port):
    """The addresses, as the kernel writes them, at which a port of IPv4 listens."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


async def test_listening_everywhere_its_urls_lead_to_where_the_caller_reached_it(serve):
    caller = await serve(host="0.0.0.0")
    port = urlsplit(caller.sandbox.base_url).port
    file = (await caller.upload(headers={"Host": f"sandbox.test:{port}"})).json
    assert file["url"].startswith(f"http://sandbox.test:{port}/signed/")


async def test_files_index_clock_buckets_and_port_survive_a_restart(serve):
    first = await serve(upload_bucket=Bucket(5, 0.001))
    content = image(seed=4)
    file = await first.uploaded(content, metadata={"a": 1})
    first.sandbox.advance(1000)
    now, address = first.sandbox.now(), first.sandbox.base_url
    await first.sandbox.stop()

    again = await serve(upload_bucket=Bucket(5, 0.001))
    assert again.sandbox.base_url == address
    assert again.sandbox.now() >= now
    fetched = (await again.get(file["id"])).json
    assert {**fetched, "url": None} == {**file, "url": None}
    for url in (file["url"], fetched["url"]):
        assert (await again.call("GET", url, api_key=None)).body == content
    assert (await again.upload()).remaining == 3
    assert again.created() == 2


SERVE = """
import asyncio, sys
from pathlib import Path
from ingestor.sandbox import Sandbox, SandboxOptions
async def main():
    async with Sandbox(SandboxOptions(data_dir=Path(sys.argv[1]))) as sandbox:
        print(sandbox.base_url, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill(serve, tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(tmp_path / "sandbox"), stdout=asyncio.subprocess.PIPE
    )
    base_url = (await process.stdout.readline()).decode().strip()
    caller = await serve(data_dir=tmp_path / "unused")
    answers = []

    async def upload(number):
        form = aiohttp.FormData()
        form.add_field("file", image(seed=number), filename="x.jpg")
        form.add_field("purpose", "reference")
        headers = {"X-Api-Key": "al_live_sandbox", "Idempotency-Key": str(number)}
        url = base_url + "/v1/files"
        async with aiohttp.ClientSession() as session, session.post(url, data=form, headers=headers) as response:
            answers.append((number, (await response.json())["id"]))
            if len(answers) == 15:
                os.kill(process.pid, signal.SIGKILL)

    await asyncio.gather(*(upload(number) for number in range(40)), return_exceptions=True)
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGKILL
    await caller.sandbox.stop()

    again = await serve()
    assert len(answers) >= 15
    for number, file_id in answers:
        file = (await again.get(file_id)).json
        served = await again.call("GET", urlsplit(file["url"])._replace(scheme="", netloc="").geturl())
        assert served.body == image(seed=number)
    rows = {row["sha256"]: row["created"] for row in again.sandbox.stats()["created"]}
    assert set(rows.values()) == {1}
    assert {hashlib.sha256(image(seed=number)).hexdigest() for number, _ in answers} <= set(rows)


async def test_a_folder_is_served_by_one_sandbox_at_a_time(serve):
    caller = await serve()
    with pytest.raises(SandboxHeld, match=caller.sandbox.base_url):
        await serve()
    assert (await caller.upload()).status == 201


async def test_a_port_that_is_taken_is_told_and_nothing_stays_held(serve, tmp_path):
    caller = await serve()
    taken = urlsplit(caller.sandbox.base_url).port
    with pytest.raises(OSError, match="in use"):
        await serve(port=taken, data_dir=tmp_path / "other")
    assert (await (await serve(data_dir=tmp_path / "other")).upload()).status == 201


async def test_a_clock_that_runs_faster_ends_files_on_its_own(serve):
    caller = await serve(time_scale=DAY * 2)
    file = await caller.uploaded()
    async with asyncio.timeout(10):
        while (await caller.get(file["id"])).status == 200:
            await asyncio.sleep(0.05)
        while list((caller.sandbox.options.data_dir / "files").iterdir()):
            await asyncio.sleep(0.05)
    assert caller.sandbox.stats()["live"] == 0


async def test_the_index_is_in_the_folder_for_whoever_wants_to_look(serve):
    caller = await serve()
    file = await caller.uploaded(metadata={"a": 1})
    await caller.sandbox.stop()
    with sqlite3.connect(caller.sandbox.options.data_dir / "index.db") as index:
        assert index.execute("SELECT id, metadata FROM files").fetchall() == [(file["id"], json.dumps({"a": 1}))]


async def test_it_stops_although_calls_hang_and_bodies_are_half_sent(serve):
    caller = await serve()
    caller.sandbox.script("hang", "hang_after")
    hanging = [asyncio.create_task(caller.upload()) for _ in range(2)]
    async with asyncio.timeout(5):
        while sum(caller.sandbox.stats()["faults"].values()) < 2:
            await asyncio.sleep(0.01)
        at = urlsplit(caller.sandbox.base_url)
        _, writer = await asyncio.open_connection(at.hostname, at.port)
        writer.write(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nX-Api-Key: al_live_sandbox\r\nContent-Length: 9\r\n\r\nx")
        await writer.drain()
        await caller.sandbox.stop()
        results = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    writer.close()


async def test_hundreds_of_uploads_at_once_are_all_answered(serve):
    caller = await serve(upload_bucket=Bucket(1000, 1))
    answers = await asyncio.gather(*(caller.upload(image(seed=number), key=str(number)) for number in range(200)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 200
    assert caller.created() == 200


def test_options_may_be_left_out():
    assert Sandbox().options == SandboxOptions()
