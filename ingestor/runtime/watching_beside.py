"""File events of a large folder, from a program beside this one: see `watch_program`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from ingestor.disk.programs import ENVIRONMENT, command
from ingestor.runtime import watch_program
from ingestor.runtime.watch_program import BETWEEN, LENGTH, PATHS, READY
from ingestor.runtime.watching import EventsUnavailable, why_no_events

MANY = 20_000
"""Entries of a folder from which on watchfiles would hold our loop for too long."""

_LIMIT_BYTES = 1 << 20


class NotStarted(Exception):
    """The program did not come so far as to watch anything."""


def is_large(root: Path, recursive: bool) -> bool:
    """Whether there are `MANY` entries below a root, as far as they can be listed."""
    count = 0
    for _, directories, files in os.walk(root):
        count += len(directories) + len(files)
        if count >= MANY:
            return True
        if not recursive:
            break
    return False


async def changes_beside(root: Path, *, recursive: bool, ready: asyncio.Event) -> AsyncGenerator[set[str]]:
    """Like `watching.changes`; `ready` is set as soon as all is watched. Ends the program when it is closed.

    Raises `EventsUnavailable`, and `NotStarted`.
    """
    try:
        program = await asyncio.create_subprocess_exec(
            *command(watch_program.__file__, str(root), str(int(recursive)), packages=True),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=ENVIRONMENT,
            limit=_LIMIT_BYTES,
            process_group=0,  # Ctrl-C is for us
        )
    except OSError as error:
        raise NotStarted(str(error)) from error
    try:
        while (frame := await _frame(program)) is not None:
            what, told = frame[:1], frame[1:]
            if what == READY:
                ready.set()
            elif what == PATHS:
                yield set(os.fsdecode(told).split(BETWEEN))
            else:
                raise EventsUnavailable(_why(told.decode("utf-8", "replace")))
        if not ready.is_set():
            raise NotStarted("the program that watches has ended")
        raise EventsUnavailable("the program that watches has ended")
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.wait()


async def _frame(program: asyncio.subprocess.Process) -> bytes | None:
    assert program.stdout is not None
    try:
        (length,) = LENGTH.unpack(await program.stdout.readexactly(LENGTH.size))
        return await program.stdout.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


def _why(told: str) -> str:
    name, number, text = told.split(BETWEEN, 2)
    # An `OSError` of such a number is a `PermissionError` by itself, where it is one.
    return why_no_events(RuntimeError(text) if name == "RuntimeError" else OSError(int(number), text))
