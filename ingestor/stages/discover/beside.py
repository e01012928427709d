"""Directories of one walk, listed by a program beside this one as soon as they are many: it lists while we compare."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from typing import IO

from ingestor.disk.programs import ENVIRONMENT, command
from ingestor.stages.discover import lister
from ingestor.stages.discover.lister import Listed, framed, listed, unpacked

MANY = 20_000
"""Entries of a walk from which on the program is worth its start."""
_LARGE_BYTES = 500_000
"""A directory of this size holds many by itself."""
_PIPE_BYTES = 1 << 20
"""A piece has a third of it: so the next one is there when it is asked for."""


class Lists:
    """`lister.listed` for one walk, in this process at first. To be closed."""

    def __init__(self, suffixes: tuple[str, ...], odd: str, most: int) -> None:
        self._rules = (suffixes, odd, most)
        self._seen = 0
        self._program: subprocess.Popen[bytes] | None = None
        self._may_start = bool(suffixes)  # without plain names nothing would be left for it to do

    def ask(self, directory: str, *, follow: bool) -> Iterator[Listed]:
        """See `listed`; the program begins at once. Several may be asked for, to be read in this order."""
        if self._program is None and self._may_start and self._is_worth_it(directory):
            self._start()
        if self._program is None:
            return self._own(directory, follow=follow)
        _tell(self._program, (b"1" if follow else b"0") + os.fsencode(directory))
        return self._answers(_output(self._program), directory, follow=follow)

    def close(self) -> None:
        """End the program, whatever it is at."""
        program, self._program = self._program, None
        if program is not None:
            program.kill()
            for pipe in (program.stdin, program.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            program.wait()

    def _is_worth_it(self, directory: str) -> bool:
        if self._seen >= MANY:
            return True
        with contextlib.suppress(OSError):
            return os.stat(directory).st_size >= _LARGE_BYTES
        return False

    def _start(self) -> None:
        suffixes, odd, most = self._rules
        self._may_start = False  # once a walk: it goes on without
        with contextlib.suppress(OSError):
            self._program = subprocess.Popen(
                command(lister.__file__),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                process_group=0,  # Ctrl-C is for us
            )
            with contextlib.suppress(AttributeError, OSError):  # not on every system, not beyond its limits
                fcntl.fcntl(_output(self._program), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            _tell(self._program, os.fsencode(lister.BETWEEN.join([str(most), odd, *suffixes])))

    def _own(self, directory: str, *, follow: bool) -> Iterator[Listed]:
        suffixes, odd, most = self._rules
        for part in listed(directory, follow=follow, suffixes=suffixes, odd=odd, most=most):
            self._seen += len(part.plain) + len(part.others)
            yield part

    def _answers(self, output: IO[bytes], directory: str, *, follow: bool) -> Iterator[Listed]:
        given = 0
        try:
            while True:
                part = unpacked(output)
                given += 1
                yield part
                if part.is_last:
                    return
        except (EOFError, ValueError):  # it has ended, now or while an earlier one was read
            self.close()
        # Somebody has killed it. The parts that it has given are as they were: a directory keeps its order.
        for number, part in enumerate(self._own(directory, follow=follow)):
            if number >= given or part.is_last:
                yield part


def _tell(program: subprocess.Popen[bytes], data: bytes) -> None:
    assert program.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # that it has ended is seen when it does not answer
        program.stdin.write(framed(data))
        program.stdin.flush()


def _output(program: subprocess.Popen[bytes]) -> IO[bytes]:
    assert program.stdout is not None
    return program.stdout
