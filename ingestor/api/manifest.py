"""The manifest for other programs: what stands in it now, and what comes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ingestor.api.lines import ManifestLine
from ingestor.api.tail import Found, Tail

_AT_ONCE = 500
POLL_SECONDS = 0.5

Place = tuple[str, str]
"""Folder and path."""


class Manifest:
    """A manifest file, read as it is at each call. Use it in one thread, and close it, or use it in a `with`.

        with Manifest.open("var/manifest.jsonl") as manifest:
            ids = [line.file_id for line in manifest.live()]
            for line in manifest.follow():
                ...

    In memory is only where each path's last line begins. The file may be compacted, repaired or replaced meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.damaged = 0
        """Lines passed over, because they are none of a manifest; the next start of ingestor repairs the file."""
        self.last_seq = 0
        """The highest number seen."""
        self._tail = Tail(self.path)
        self._places: dict[Place, int] = {}
        self._file_number = 0

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Manifest:
        """The manifest at `path`; one that is not there yet is empty until it is. Raises `OSError`."""
        manifest = cls(path)
        manifest.refresh()
        return manifest

    def close(self) -> None:
        self._tail.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- what stands in it

    def refresh(self) -> None:
        """Take up what was added. Every method does so by itself."""
        for found in self._tail.lines():
            if found.file_number != self._file_number:
                self._file_number = found.file_number
                self._places.clear()
            place = self._place_of(found)
            if place is not None:
                self._places[place] = found.offset
        if self._tail.file_number != self._file_number:
            self._file_number = self._tail.file_number  # another file, without a line yet
            self._places.clear()

    def live(self, now: datetime | None = None) -> Iterator[ManifestLine]:
        """Each path's last line, where its id is good at `now`: at this moment, where none is given."""
        now = now or datetime.now(UTC)
        return (line for line in self.present() if line.is_live(now))

    def present(self) -> Iterator[ManifestLine]:
        """Each path's last line, in no order."""
        self.refresh()
        for place in list(self._places):
            line = self._line(place)
            if line is not None:
                yield line

    def by_path(self) -> Mapping[Place, ManifestLine]:
        """Each path's last line, by folder and path. All of them in memory: some 2 kB each."""
        return {(line.folder, line.path): line for line in self.present()}

    def get(self, folder: str, path: str) -> ManifestLine | None:
        """The last line of a path."""
        self.refresh()
        return self._line((folder, path))

    def _place_of(self, found: Found) -> Place | None:
        try:
            seq, folder, path = _head_of(found.data)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.damaged += 1
            return None
        self.last_seq = max(self.last_seq, seq)
        return (folder, path)

    def _line(self, place: Place) -> ManifestLine | None:
        offset = self._places.get(place)
        if offset is None:
            return None
        try:
            return ManifestLine.parse(self._tail.at(offset))
        except ValueError:
            return None

    # -- what comes

    def follow(
        self, *, after: int | None = None, poll_seconds: float = POLL_SECONDS, idle_seconds: float | None = None
    ) -> Iterator[ManifestLine]:
        """Each new line once, as it is written; blocks in between.

        `after`: the `seq` that was seen last, where an earlier run left off (0: everything); None: what comes from now
        on. Lines that a compaction has removed meanwhile are not given. `idle_seconds`: end when nothing has come for
        so long (0: when all that is there has been given); None: never.
        """
        return self._follow(self._follower(after), poll_seconds, idle_seconds)

    @staticmethod
    def _follow(follower: _Follower, poll_seconds: float, idle_seconds: float | None) -> Iterator[ManifestLine]:
        try:
            quiet_since = time.monotonic()
            while True:
                lines = follower.take()
                yield from lines
                if lines:
                    quiet_since = time.monotonic()
                elif idle_seconds is not None and time.monotonic() - quiet_since >= idle_seconds:
                    return
                else:
                    time.sleep(poll_seconds)
        finally:
            follower.close()

    def follow_async(
        self, *, after: int | None = None, poll_seconds: float = POLL_SECONDS, idle_seconds: float | None = None
    ) -> AsyncIterator[ManifestLine]:
        """As `follow`, for an event loop."""
        return self._follow_async(self._follower(after), poll_seconds, idle_seconds)

    @staticmethod
    async def _follow_async(
        follower: _Follower, poll_seconds: float, idle_seconds: float | None
    ) -> AsyncIterator[ManifestLine]:
        try:
            quiet_since = time.monotonic()
            while True:
                lines = await asyncio.to_thread(follower.take)
                for line in lines:
                    yield line
                if lines:
                    quiet_since = time.monotonic()
                elif idle_seconds is not None and time.monotonic() - quiet_since >= idle_seconds:
                    return
                else:
                    await asyncio.sleep(poll_seconds)
        finally:
            follower.close()

    def _follower(self, after: int | None) -> _Follower:
        if after is not None:
            return _Follower(Tail(self.path), after)
        self.refresh()
        return _Follower(self._tail.twin(), self.last_seq)


_TEXT = rb'"([^"\\]*)"'
_HEAD = re.compile(
    rb'\{"v": \d+, "seq": (\d+), "at": "[^"]*", "event": "\w+", "folder": ' + _TEXT + rb', "path": ' + _TEXT + rb"[,}]"
)


def _head_of(data: bytes) -> tuple[int, str, str]:
    """Number, folder and path of a line: of a million lines only the beginning is read, where it is plain."""
    head = _HEAD.match(data)
    if head is not None and data.endswith(b"}\n"):
        return int(head[1]), sys.intern(head[2].decode()), head[3].decode()
    fields = json.loads(data)
    return max(0, fields["seq"]), fields["folder"], fields["path"]


class _Follower:
    """The lines above a number, each once."""

    def __init__(self, tail: Tail, last_seq: int) -> None:
        self._tail = tail
        self._last_seq = last_seq
        self._lines = self._new()

    def close(self) -> None:
        self._tail.close()

    def take(self) -> list[ManifestLine]:
        """The next ones, some at a time; empty: there are none now."""
        lines = list(itertools.islice(self._lines, _AT_ONCE))
        if not lines:
            self._lines = self._new()
        return lines

    def _new(self) -> Iterator[ManifestLine]:
        for found in self._tail.lines():
            try:
                line = ManifestLine.parse(found.data)
            except ValueError:
                continue
            if line.seq > self._last_seq:
                self._last_seq = line.seq
                yield line
