"""Streams that tests read back."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyte


class Lines(io.StringIO):
    """A stream that is read back as lines, or as the JSON objects in them."""

    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


class Terminal(Lines):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Screen:
    """A terminal of a given size, in a pseudo-terminal: what a program writes to it, and what people then see."""

    def __init__(self, columns: int, rows: int = 24) -> None:
        self.columns = columns
        self.raw = b""
        self._screen = pyte.Screen(columns, rows)
        self._bytes = pyte.ByteStream(self._screen)
        self._master, self._slave = pty.openpty()
        termios.tcsetwinsize(self._slave, (rows, columns))
        self.stream = os.fdopen(os.dup(self._slave), "w", encoding="utf-8")

    def seen(self) -> list[str]:
        """The lines on the screen after all that was written until now, without the empty ones."""
        while select.select([self._master], [], [], 0)[0]:
            piece = os.read(self._master, 1 << 16)
            self.raw += piece
            self._bytes.feed(piece)
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def run(self, code: str, environment: Mapping[str, str]) -> int:
        """Run Python code whose standard error is this terminal; its exit code."""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._slave,
            env={**os.environ, **environment},
        )
        while process.poll() is None:
            self.seen()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        self.seen()
        return process.returncode

    def close(self) -> None:
        self.stream.close()
        os.close(self._slave)
        os.close(self._master)
