"""A user's corner of the disk: settings, an inbox, and `ingestor` as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from ingestor.sandbox import Sandbox
from tests import warm
from tests.warm import WarmProcess

SETTLE = "100ms"


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

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


@dataclass
class Running:
    """A command that runs."""

    process: asyncio.subprocess.Process | WarmProcess
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    async def until_logged(self, event: str, seconds: float = 20.0) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [line for line in self.log if line["event"] == event]
            return bool(found)

        await until(seen, seconds, lambda: f"no {event} in {self.lines[-5:]}")
        return found[0]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 40)


class Home:
    """A folder with settings, `inbox/`, and what `ingestor` makes in `var/`."""

    is_warm = True
    """Whether its programs are forked with everything imported, which is quick, or begun as a user begins them."""

    def __init__(self, folder: Path, sandbox: Sandbox, **settings: Any) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.inbox = folder / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.settings: dict[str, Any] = {
            "api": {"base_url": sandbox.base_url, "quota": {"burst": 1000, "per_minute": 60000}},
            "ledger": "var/ledger.db",
            "manifest": "var/manifest.jsonl",
            "normalise": {"workers": 2},
            "folders": [{"path": "inbox", "purpose": "reference", "settle": SETTLE}],
            "log": {"level": "debug"},
            "status": {"listen": None},
            **settings,
        }
        self.save()

    @property
    def config(self) -> Path:
        return self.folder / "ingestor.yaml"

    def save(self) -> None:
        self.config.write_text(yaml.safe_dump(self.settings))

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, "AUROUS_API_KEY": self.sandbox.api_key}

    async def start(
        self, *arguments: str, prefix: Sequence[str] = (), **environment: str
    ) -> asyncio.subprocess.Process | WarmProcess:
        if self.is_warm and not prefix:
            return await warm.start(arguments, {**self.environment, **environment}, str(self.folder))
        return await asyncio.create_subprocess_exec(
            *prefix,
            sys.executable,
            "-m",
            "ingestor",
            *arguments,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, stdin: bytes = b"", seconds: float = 60.0, **environment: str) -> Ran:
        """Run `ingestor ARGUMENTS -c SETTINGS` to its end."""
        process = await self.start(*arguments, "-c", str(self.config), **environment)
        out, err = await asyncio.wait_for(process.communicate(stdin), seconds)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    @contextlib.asynccontextmanager
    async def watching(self, **environment: str) -> AsyncIterator[Running]:
        """`ingestor watch`, past its start; killed at the end if it still runs."""
        async with self.running("watch", **environment) as running:
            await running.until_logged("scan_end")
            yield running

    @contextlib.asynccontextmanager
    async def running(self, *arguments: str, **environment: str) -> AsyncIterator[Running]:
        """`ingestor ARGUMENTS -c SETTINGS`; killed at the end if it still runs."""
        process = await self.start(*arguments, "-c", str(self.config), **environment)
        running = Running(process)
        reading = asyncio.create_task(_read(process, running.lines))
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reading

    async def delete_at_api(self, file_id: str) -> None:
        """As somebody else of the team may do."""
        headers = {"X-Api-Key": self.sandbox.api_key}
        url = f"{self.sandbox.base_url}/v1/files/{file_id}"
        async with aiohttp.ClientSession(headers=headers) as session, session.delete(url) as answer:
            assert answer.status == 200

    async def at_api(self) -> set[str]:
        """The ids of the manifest that are good at the API."""
        ids = {line["file_id"] for line in self.manifest() if line.get("file_id")}
        good = set()
        async with aiohttp.ClientSession(headers={"X-Api-Key": self.sandbox.api_key}) as session:
            for file_id in ids:
                async with session.get(f"{self.sandbox.base_url}/v1/files/{file_id}") as answer:
                    if answer.status == 200:
                        good.add(file_id)
        return good

    def manifest(self) -> list[dict[str, Any]]:
        """All lines; each must be whole."""
        path = self.folder / "var" / "manifest.jsonl"
        text = path.read_text() if path.exists() else ""
        assert text == "" or text.endswith("\n"), "a torn line"
        return [json.loads(line) for line in text.splitlines()]

    def present(self) -> dict[str, dict[str, Any]]:
        """The last line for each path."""
        return {line["path"]: line for line in self.manifest()}

    async def until_listed(self, paths: set[str], seconds: float = 30.0) -> None:
        await until(
            lambda: paths <= self.present().keys(), seconds, lambda: f"missing: {paths - self.present().keys()}"
        )


async def _read(process: asyncio.subprocess.Process | WarmProcess, lines: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        lines.append(line.decode().rstrip("\n"))


async def until(
    is_so: Callable[[], bool], seconds: float = 20.0, complaint: Callable[[], str] = lambda: "it did not happen"
) -> None:
    """Return as soon as `is_so`; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, complaint()
        await asyncio.sleep(0.02)
