"""A hook that is a command of this machine's."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ingestor.runtime.hooks.message import HookFailed, Message
from ingestor.settings.wording import holds_key

_NOT_FOR_COMMANDS = frozenset(
    {"AUROUS_API_KEY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)
"""The key, and what the service manager says to us alone."""
_TAIL_BYTES = 2_000


class CommandHook:
    """Runs a program with the message on its stdin. Done when it exits with 0."""

    at_once = 1
    """Commands of people do not expect to meet themselves."""

    def __init__(self, argv: tuple[str, ...], *, timeout_seconds: float, directory: Path) -> None:
        self.target = f"command-{hashlib.sha256(json.dumps(argv).encode()).hexdigest()[:32]}"
        self.name = argv[0]
        self._argv = argv
        self._timeout_seconds = timeout_seconds
        self._directory = directory

    async def tell(self, message: Message) -> None:
        """Raises `HookFailed`. What takes too long is killed, with all that it has started."""
        try:
            # Files, not pipes: one that does not read, or that leaves others behind, can hold up nobody.
            with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
                stdin.write(message.body + b"\n")
                stdin.seek(0)
                code = await self._run(message, stdin, stderr)
                if code != 0:
                    raise HookFailed(f"{_ended(code)}{_last_words(stderr)}")
        except OSError as error:
            raise HookFailed(f"cannot be run: {error.strerror}") from error

    async def _run(self, message: Message, stdin: IO[bytes], stderr: IO[bytes]) -> int:
        """How it exited."""
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=stdin,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            cwd=self._directory,
            env=environment_for(message, os.environ),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await process.wait()
        except TimeoutError:
            raise HookFailed(f"was killed: it took longer than {self._timeout_seconds:g} s") from None
        finally:
            if process.returncode is None:
                _kill_group(process.pid)
                await process.wait()


def environment_for(message: Message, environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, without the API key and without whatever looks like one."""
    kept = {name: value for name, value in environ.items() if name not in _NOT_FOR_COMMANDS and not holds_key(value)}
    return {**kept, "INGESTOR_EVENT": message.event, "INGESTOR_EVENT_ID": message.event_id}


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _ended(code: int) -> str:
    return f"exited with {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"


def _last_words(stderr: IO[bytes]) -> str:
    """The last line that it wrote to stderr."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _TAIL_BYTES))
    lines = stderr.read().decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
