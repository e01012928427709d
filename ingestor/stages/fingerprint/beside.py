"""Files hashed by a program beside this one as soon as they are many: it reads while we send."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from typing import cast

from ingestor.disk import not_ready
from ingestor.disk.programs import ENVIRONMENT, command
from ingestor.model import Digest, SourceFile
from ingestor.ports import Clock
from ingestor.stages.fingerprint import hasher
from ingestor.stages.fingerprint.fingerprint import digest_of, fingerprint
from ingestor.stages.fingerprint.hasher import ANSWER, END, Seen

MANY = 50
"""Files within a second from which on the program is worth its start, and the 10 MB that it takes."""
_SECOND = 1.0
_LOOKS, _LOOK_SECONDS = 1000, 0.001
"""Until a program that was killed is taken to hang."""


class Hasher:
    """`fingerprint`, in this process at first. To be closed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since, self._recent = clock.monotonic(), 0
        self._program: _Program | None = None
        self._is_closed = False

    async def fingerprint(self, source: SourceFile) -> Digest:
        """See `fingerprint.fingerprint`."""
        program = await self._program_of_many()
        if program is not None:
            try:
                return digest_of(source, await program.look(os.fsencode(source.absolute)))
            except _Ended:
                pass  # somebody has killed it
            except OSError as error:
                raise not_ready(source.absolute, error) from error
        return await fingerprint(source, lambda: self._is_closed)

    async def close(self) -> None:
        """End the program, and what is being read in this process."""
        self._is_closed = True
        await self._end_program()

    async def _end_program(self) -> None:
        """Whoever still waits for it gets the answer from this process."""
        program, self._program = self._program, None
        if program is not None:
            await program.end()

    async def _program_of_many(self) -> _Program | None:
        """The program; None while files are few, or where none can be started."""
        if self._program is not None and not self._program.has_ended:
            return self._program
        await self._end_program()
        now = self._clock.monotonic()
        if now - self._since > _SECOND:
            self._since, self._recent = now, 0
        self._recent += 1
        if self._recent == MANY:
            with contextlib.suppress(OSError):
                self._program = await _Program.start()
        return self._program


class _Ended(Exception):
    """The program does not answer any more."""


class _Program(asyncio.Protocol):
    """The program, and who waits for which answer."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[Seen]] = {}
        self._asked = 0
        self._rest = b""
        self.has_ended = False

    @classmethod
    async def start(cls) -> _Program:
        """Raises `OSError`."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = _launch(theirs.fileno())
        except OSError:
            ours.close()
            raise
        _, program = await asyncio.get_running_loop().create_connection(lambda: cls(process), sock=ours)
        return program

    async def look(self, path: bytes) -> Seen:
        """What `hasher.look` gives, or raises; `_Ended` when nobody answers."""
        if self._transport is None or self.has_ended:
            raise _Ended
        number, self._asked = self._asked, (self._asked + 1) % (1 << 32)
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._transport.write(path + END)
        return await answer

    async def end(self) -> None:
        """Return when it is gone, or hangs in a call to a disk that outlives even SIGKILL."""
        self._process.kill()
        if self._transport is not None:
            self._transport.abort()
        for _ in range(_LOOKS):
            if self._process.poll() is not None:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Loops other than asyncio's own have transports of other classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % ANSWER.size
        for number, error, *mark, digest in ANSWER.iter_unpack(data[:whole]):
            answer = self._waiting.pop(number)
            if answer.done():
                continue
            if error:
                answer.set_exception(OSError(error, os.strerror(error)))
            else:
                answer.set_result((tuple(mark), digest))
        self._rest = data[whole:]

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = True
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(_Ended())
        self._process.kill()


def _launch(channel: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(hasher.__file__),
        stdin=channel,
        stdout=channel,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        process_group=0,  # Ctrl-C is for us
    )
