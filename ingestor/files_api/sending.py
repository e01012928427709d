"""The bytes of an image, read whole and exactly as promised, and handed on in pieces."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestor.disk import open_regular
from ingestor.errors import SourceNotReady
from ingestor.files_api.form import Form
from ingestor.model import FileIdentity

PIECE_BYTES = 256 * 1024
"""Between two looks at whether the other side still takes what is sent."""

_REASONS = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
    errno.ELOOP: "unreadable",
    errno.ENXIO: "unreadable",
}


async def read_exactly(file: Path, size_bytes: int, identity: FileIdentity | None = None) -> bytes:
    """All bytes of a file that has this size and identity; else `SourceNotReady`. Links and devices are not opened.

    What is sent must be what the idempotency key was made of: a file that somebody rewrites meanwhile is not sent.
    """
    # One hop to a thread for all of it: aiofiles would take one each to open, read and close.
    return await asyncio.to_thread(_read_exactly, file, size_bytes, identity)


def _read_exactly(file: Path, size_bytes: int, identity: FileIdentity | None) -> bytes:
    # By the system's own calls: each step of a file object is one more wait for the interpreter.
    try:
        handle = open_regular(os.fspath(file), os.O_RDONLY)
        try:
            _check(file, handle, identity)
            content = os.read(handle, size_bytes + 1)
            # one read may give less than there is (network file systems)
            while content and len(content) < size_bytes and (more := os.read(handle, size_bytes - len(content))):
                content += more
            _check(file, handle, identity)
        finally:
            os.close(handle)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, "busy")
        raise SourceNotReady(reason, f"{file}: cannot be read ({error.strerror or error})") from None
    if len(content) != size_bytes:
        raise SourceNotReady("changed", f"{file}: has another size than a moment ago")
    return content


def _check(file: Path, handle: int, identity: FileIdentity | None) -> None:
    """Whether it is the file that is meant, if any, and neither a FIFO nor a device."""
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENXIO, "not a regular file")
    if identity is not None and FileIdentity.of(status) != identity:
        raise SourceNotReady("changed", f"{file}: changed since it was hashed")


class SendStalled(TimeoutError):
    """The other side took no byte of the body for too long."""


class Watchdog:
    """Ends the upload it is around with `SendStalled` when the body stands still for `stall_seconds`."""

    def __init__(self, stall_seconds: float) -> None:
        self._stall_seconds = stall_seconds
        self._deadline: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        self._deadline = await asyncio.timeout(None).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline, self._deadline = self._deadline, None
        assert deadline is not None
        try:
            await deadline.__aexit__(kind, error, trace)
        except TimeoutError:
            raise SendStalled from None

    def progress(self) -> None:
        self._end_at(asyncio.get_running_loop().time() + self._stall_seconds)

    def done(self) -> None:
        """The body is on its way: the answer has a timeout of its own."""
        self._end_at(None)

    def _end_at(self, when: float | None) -> None:
        # an answer may come before the body was taken: then aiohttp's writer outlives the exchange for a
        # moment
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(when)


async def body(form: Form, content: bytes, watchdog: Watchdog) -> AsyncIterator[bytes | memoryview]:
    """The body of one attempt, in pieces."""
    watchdog.progress()
    yield form.head
    view = memoryview(content)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
        watchdog.progress()
    yield form.tail
    watchdog.done()
