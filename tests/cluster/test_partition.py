"""Hosts in network namespaces: a cable is cut between a worker and the database, or the API, and mended again.

Root alone may make such hosts. `make test` cuts each cable once, `make soak` longer and in each worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ingestor.sandbox import DEFAULT_KEY
from tests.cluster.kit import draw
from tests.cluster.processes import Database, started, stopped
from tests.home import Home
from tests.postgres_kit import OwnServer

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="no `ip` here (Debian: iproute2)"),
]

AS_NOBODY = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
STALE = "2s"
DATABASE, API = 1, 2
"""Of a worker's cables: where each of them leads."""
Cuts = tuple[tuple[int, int, float], ...]
"""Which worker, which cable, for how many seconds. Without the database for more than `STALE`: it is taken for dead."""


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Net:
    """Hosts, each a namespace, with a cable from each worker to the database and one to the API."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(2)
        self._hosts: list[str] = []
        self._cables = 0

    def host(self, name: str) -> str:
        host = f"ing{self._token}{name}"
        ip("netns", "add", host)
        self._hosts.append(host)
        ip("-n", host, "link", "set", "lo", "up")
        return host

    def inside(self, host: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", host)

    def cable(self, one: str, other: str) -> tuple[str, str]:
        """The name of its end at `one`, and the address of `other` over it."""
        self._cables += 1
        number, ends = self._cables, (f"v{self._token}{self._cables}a", f"v{self._token}{self._cables}b")
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for host, end, last in ((one, ends[0], 2), (other, ends[1], 1)):
            ip("link", "set", end, "netns", host)
            ip("-n", host, "addr", "add", f"10.77.{number}.{last}/24", "dev", end)
            ip("-n", host, "link", "set", end, "up")
        return ends[0], f"10.77.{number}.1"

    def cut(self, host: str, end: str) -> None:
        ip("-n", host, "link", "set", end, "down")

    def mend(self, host: str, end: str) -> None:
        ip("-n", host, "link", "set", end, "up")

    def remove(self) -> None:
        for host in self._hosts:
            subprocess.run(["ip", "netns", "del", host], capture_output=True)


class IsolatedServer(OwnServer):
    """PostgreSQL on a host of its own. Who is on this machine reaches it by its socket."""

    def __init__(self, prefix: tuple[str, ...]) -> None:
        self._prefix = prefix
        super().__init__()

    listens_on = "*"

    def _call(self, program: str, *arguments: object) -> None:
        if program == "pg_ctl" and self._hba.exists() and "10.77" not in self._hba.read_text():
            with self._hba.open("a") as hba:
                hba.write("host all all 10.77.0.0/16 trust\n")
        command = [*self._prefix, sys.executable, "-c", AS_NOBODY, str(self._bin / program), *map(str, arguments)]
        subprocess.run(command, cwd=self._folder, check=True, stdin=subprocess.DEVNULL, capture_output=True)

    @property
    def _hba(self) -> Path:
        return self._data / "pg_hba.conf"

    @property
    def local_url(self) -> str:
        return f"postgresql://ingestor@/postgres?host={self._folder}&port={self.port}"


@pytest.fixture
def net() -> Iterator[Net]:
    net = Net()
    try:
        net.host("probe")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine allows no network namespaces: {error.stderr.decode().strip()}")
    yield net
    net.remove()


@contextlib.asynccontextmanager
async def program(*command: str) -> AsyncIterator[str]:
    """Something that runs for the block; its first line."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    finally:
        process.kill()
        await process.wait()


class FarStation:
    """A worker's host: its settings name the database by its address there, and the API by a relay on the host."""

    def __init__(self, home: Home) -> None:
        self.home = home


@pytest.mark.parametrize(
    ("images", "cuts"),
    [
        pytest.param(60, ((0, DATABASE, 3.5), (1, API, 1.0)), id="short"),
        pytest.param(
            300,
            ((0, DATABASE, 8.0), (1, API, 4.0), (1, DATABASE, 8.0), (0, API, 4.0)),
            id="long",
            marks=pytest.mark.soak,
        ),
    ],
)
async def test_what_is_cut_off_and_comes_back_loses_nothing_and_sends_nothing_twice(
    net: Net, tmp_path: Path, images: int, cuts: Cuts
) -> None:
    inbox, manifest = tmp_path / "inbox", tmp_path / "manifest.jsonl"
    inbox.mkdir()
    os.chmod(tmp_path, 0o755)
    draw(inbox, *(f"{number}.png" for number in range(images)))
    folder = {"path": str(inbox), "name": "shared", "purpose": "reference", "settle": "100ms", "shared": True}
    database_host, api_host = net.host("db"), net.host("api")
    server = IsolatedServer(net.inside(database_host))
    database = Database(server.local_url)
    data = tmp_path / "api"
    async with contextlib.AsyncExitStack() as stack:
        sandbox = (*net.inside(api_host), sys.executable, "-m", "ingestor", "sandbox", "--host", "0.0.0.0")
        await stack.enter_async_context(
            program(*sandbox, "--port", "8788", "--data", str(data), "--upload-bucket", "20,360")
        )
        homes, cables = [], []
        for name in ("w1", "w2"):
            host = net.host(name)
            to_database, database_address = net.cable(host, database_host)
            to_api, api_address = net.cable(host, api_host)
            relay = (*net.inside(host), sys.executable, "-m", "tests.cluster.relay", "127.0.0.1", "0", api_address)
            port = int(await stack.enter_async_context(program(*relay, "8788")))
            homes.append(_home(tmp_path / name, f"postgresql://ingestor@{database_address}:{server.port}/postgres"))
            homes[-1].settings |= {
                "api": {"base_url": f"http://127.0.0.1:{port}", "quota": {"burst": 20, "per_minute": 360}},
                "folders": [folder],
                "manifest": str(manifest),
                "cluster": {"station": name, "stale": STALE},
            }
            homes[-1].save()
            cables.append((host, to_database, to_api))
        first = net.inside(cables[0][0])
        async with started(FarStation(homes[0]), "backfill", "--submit-only", prefix=first) as submitting:  # type: ignore[arg-type]
            assert await asyncio.wait_for(submitting.process.wait(), 120) == 0
        workers = [
            await stack.enter_async_context(started(FarStation(home), "worker", prefix=net.inside(host)))  # type: ignore[arg-type]
            for home, (host, _, _) in zip(homes, cables, strict=True)
        ]
        await database.until_done(20, 60)
        for which, cable, seconds in cuts:
            host, end = cables[which][0], cables[which][cable]
            net.cut(host, end)
            await asyncio.sleep(seconds)
            net.mend(host, end)
            if cable == DATABASE:
                await workers[1 - which].until_logged("jobs_reaped")
        await database.until_done(images, 180)
        for worker in workers:
            assert await stopped(worker) == 0
    ids = await database.ids_by_path()
    server.remove()
    assert len(ids) == images
    assert all(len(one) == 1 for one in ids.values())
    assert len({one for each in ids.values() for one in each}) == images
    assert _made(data) == images


def _home(folder: Path, ledger: str) -> Home:
    class NoSandbox:
        base_url = "http://127.0.0.1:1"
        api_key = DEFAULT_KEY

    return Home(folder, NoSandbox(), ledger=ledger)  # type: ignore[arg-type]


def _made(data: Path) -> int:
    import sqlite3

    with contextlib.closing(sqlite3.connect(data / "index.db")) as index:
        number: int = index.execute("SELECT count(*) FROM files").fetchone()[0]
        return number
