"""The file that an image comes in: opened once, read by whoever needs how much."""

from __future__ import annotations

import contextlib
import errno
import io
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import mapped
from ingestor.policy.sizing import check_file_bytes

Found = TypeVar("Found")

HEAD_BYTES = 4096
IN_MEMORY_BYTES = 64_000_000
"""Files up to here are read at once; larger ones only by decoders that need all of it."""

_HELD_BYTES = 4_000_000
"""A copy of a file up to here is small beside what a worker takes anyway."""
_GIVE_BACK_SECONDS = 0.005
"""In which a decoder goes through a megabyte or less."""


class Source:
    """An open, regular file that is not empty."""

    def __init__(self, path: Path, file: BinaryIO, size_bytes: int) -> None:
        self.path = path
        self.name = path.name
        self.size_bytes = size_bytes
        self._file = file
        self._whole: bytes | None = None
        self._found: dict[object, Any] = {}
        self.head = self._read(HEAD_BYTES)
        self.is_mended = False

    def whole(self) -> bytes:
        """All bytes, read once."""
        if self._whole is None:
            self._file.seek(0)
            self._whole = self._read(-1)
        return self._whole

    def once(self, find: Callable[[bytes], Found]) -> Found:
        """What `find` makes of all bytes: made once for all who ask, and forgotten with them."""
        if find not in self._found:
            self._found[find] = find(self.whole())
        found: Found = self._found[find]
        return found

    def replace(self, data: bytes) -> None:
        """Go on with these bytes, mended, instead of the file's."""
        self._found = {}
        self._file, self._whole, self.is_mended = io.BytesIO(data), None, True
        self.size_bytes, self.head = len(data), data[:HEAD_BYTES]

    def forget(self) -> None:
        """Give the memory of `whole` back; what is asked for later is read anew."""
        self._whole, self._found = None, {}

    @contextlib.contextmanager
    def in_passing(self, checked_bytes: int) -> Iterator[bytes | mmap.mmap]:
        """All bytes, for a decoder that goes through them once: those of a large file are not held in memory.

        They come from the system's cache, and what `whole` and `once` have kept is forgotten. Only the first
        `checked_bytes` stay as `whole` had them, whoever writes to the file meanwhile: by them memory is allocated. A
        file that becomes shorter meanwhile, or cannot be read, ends the process with SIGBUS (mmap(2)).
        """
        held_bytes = mapped.pages(checked_bytes)
        if (data := self._mapped(held_bytes)) is None:
            yield self.whole()
            return
        self.forget()
        with _given_back(data, held_bytes):
            yield data

    def _mapped(self, held_bytes: int) -> mmap.mmap | None:
        if self.is_mended or self.size_bytes <= max(_HELD_BYTES, held_bytes) or len(self.whole()) != self.size_bytes:
            return None
        try:
            return mapped.behind(self.whole()[:held_bytes], self._file.fileno(), self.size_bytes)
        except (OSError, ValueError):
            # Not every file system can, and the file may be shorter by now.
            return None

    def tail(self, count: int) -> bytes:
        self._file.seek(max(0, self.size_bytes - count))
        return self._read(count)

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer, or none, where the file ends."""
        if self._whole is not None:
            return self._whole[offset : offset + count]
        if offset > self.size_bytes:
            return b""
        self._file.seek(offset)
        return self._read(count)

    def stream(self) -> BinaryIO:
        """The content from its start, for a decoder that seeks."""
        if self._whole is not None or self.size_bytes <= IN_MEMORY_BYTES:
            return io.BytesIO(self.whole())
        self._file.seek(0)
        return self._file

    def head_stream(self) -> BinaryIO:
        """Like `stream`, for a decoder that will read the header alone: the file itself."""
        self._file.seek(0)
        return self._file

    def _read(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except OSError as error:
            raise not_ready(self.path, error) from error


@contextlib.contextmanager
def _given_back(data: mmap.mmap, held_bytes: int) -> Iterator[None]:
    """Meanwhile pages that were read do not stay in this process: what is read again comes from the cache again."""
    done = threading.Event()

    def give_back() -> None:
        while not done.wait(_GIVE_BACK_SECONDS):
            data.madvise(mmap.MADV_DONTNEED, held_bytes)

    thread = threading.Thread(target=give_back, name="give back", daemon=True)
    with contextlib.suppress(RuntimeError):
        # Refused where there are as many threads as there may be: that costs memory alone.
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.ident is not None:
            thread.join()


@contextlib.contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[Source]:
    """The file at `path`. Raises `SourceNotReady` (not there, not readable, busy, empty) and `ImageRejected`."""
    try:
        # Without O_NONBLOCK a pipe that somebody left in the folder would hold us for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise not_ready(path, error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ImageRejected("not_a_file", f"{path.name}: is no regular file; put the image itself in the folder")
    with open(descriptor, "rb") as file:
        if status.st_size == 0:
            raise SourceNotReady("empty", f"{path.name}: has no bytes yet")
        check_file_bytes(path.name, status.st_size, max_pixels)
        yield Source(path, file, status.st_size)


def not_ready(path: Path, error: OSError) -> SourceNotReady:
    """What an error on the source means: look again later, whatever it was."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR | errno.ESTALE:
            return SourceNotReady("vanished", f"{path.name}: is not there any more")
        case errno.EACCES | errno.EPERM:
            return SourceNotReady("unreadable", f"{path.name}: may not be read by this user; check its permissions")
        case errno.ELOOP | errno.ENAMETOOLONG | errno.ENXIO:
            return SourceNotReady("unreadable", f"{path.name}: cannot be opened ({error.strerror})")
        case _:
            return SourceNotReady("busy", f"{path.name}: cannot be read just now ({error.strerror})")
