"""Commands run in this process, on a corner of the disk with settings, an inbox and a ledger that tests fill."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestor.cli import main
from ingestor.ledger import SqliteLedger
from ingestor.model import Lane, Receipt, Sighting
from ingestor.stages.discover import DropFolder
from tests.fakes import FakeClock
from tests.ledger_kit import Walk, content, folder_settings, source_of


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def last_words(self) -> str:
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


class Corner:
    """A folder with `ingestor.yaml`, `inbox/`, and the ledger in `var/`."""

    def __init__(
        self, folder: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder = folder
        self._empty_ledger = empty_ledger
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.settings: dict[str, Any] = {
            "api": {"base_url": "sandbox"},
            "folders": [{"path": "inbox", "purpose": "reference", "settle": "0s"}],
        }
        self.save()
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    @property
    def config(self) -> Path:
        return self.folder / "ingestor.yaml"

    @property
    def ledger(self) -> Path:
        return self.folder / "var" / "ledger.db"

    def save(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    def drop(self, path: str, data: bytes = b"picture", *, age_seconds: float = 3600.0) -> Path:
        """A file in the inbox that has been quiet for a while."""
        file = self.inbox / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        then = datetime.now(UTC).timestamp() - age_seconds
        os.utime(file, (then, then))
        return file

    def run(self, *arguments: str) -> Ran:
        """`ingestor ARGUMENTS -c SETTINGS`, in this process."""
        return self.bare(*arguments, "-c", str(self.config))

    def bare(self, *arguments: str) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["ingestor", *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    def fill(self, story: Callable[[Filled], Awaitable[None]], *, start: datetime | None = None) -> None:
        """Let things have happened, by a clock that begins at `start` (now)."""

        if not self.ledger.exists():
            self.ledger.parent.mkdir()
            shutil.copyfile(self._empty_ledger, self.ledger)

        async def fill() -> None:
            clock = FakeClock(start or datetime.now(UTC))
            ledger = SqliteLedger(self.ledger, clock)
            await ledger.open()
            try:
                await story(Filled(ledger, clock, self.inbox))
            finally:
                await ledger.close()

        asyncio.run(fill())


class Filled(Walk):
    """Steps of the flow for files that are in the inbox."""

    def __init__(self, ledger: SqliteLedger, clock: FakeClock, inbox: Path) -> None:
        super().__init__(ledger, clock)
        self.inbox = inbox

    def seen(self, path: str) -> Sighting:
        """The file as a scan of the inbox sees it, by the settings that it has."""
        context = DropFolder(folder_settings(self.inbox)).context(None)
        return Sighting(source=source_of(self.inbox, path), context=context)

    async def live(self, path: str, number: int = 1, **metadata: Any) -> Receipt:
        return await self.uploaded(self.seen(path), content(number, **metadata))

    async def bad(self, path: str, reason: str = "not_an_image", message: str = "it is text", number: int = 90) -> None:
        seen, what = self.seen(path), content(number)
        await self.entered(seen, what)
        assert await self.ledger.quarantine(seen.source, what.content_id, reason, message, None)

    async def waits(self, path: str) -> None:
        await self.ledger.take([self.seen(path)], Lane.FRESH, None)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"

    async def make() -> None:
        ledger = SqliteLedger(path, FakeClock())
        await ledger.open()
        await ledger.close()

    asyncio.run(make())
    return path


@pytest.fixture
def corner(
    tmp_path: Path, empty_ledger: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Corner:
    monkeypatch.chdir(tmp_path)
    return Corner(tmp_path, empty_ledger, monkeypatch, capsys)


def on_terminal(arguments: list[str], *, columns: int = 80, **environment: str) -> bytes:
    """What `python -m ingestor ARGUMENTS` writes to a terminal of this width."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-m", "ingestor", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )
    os.close(slave)
    written = b""
    with suppress(OSError):
        while process.poll() is None or select.select([master], [], [], 0)[0]:
            if select.select([master], [], [], 0.02)[0]:
                written += os.read(master, 1 << 16)
    os.close(master)
    assert process.wait(20) == 0
    return written
