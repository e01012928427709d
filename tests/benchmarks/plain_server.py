"""An API that takes everything at once and checks nothing: what is measured against it is the client alone.

`python -m tests.benchmarks.plain_server` prints its port, and at the end of a run answers when each upload began.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import itertools
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TYPE = re.compile(rb"(?i)\r\nContent-Type: (image/\w+)")
_PURPOSE = re.compile(rb'name="purpose"\r\n\r\n(\w+)')
_ids = itertools.count(1)
began: list[float] = []


def receipt(head: bytes, body: bytes) -> bytes:
    """The file object for a multipart body whose first part is the image."""
    start = body.index(b"\r\n\r\n") + 4
    boundary = body[: body.index(b"\r\n")]
    size = body.index(b"\r\n" + boundary, start) - start
    kind = _TYPE.search(body[:start])
    purpose = _PURPOSE.search(body[start + size :])
    now = datetime.now(UTC)
    return json.dumps(
        {
            "id": f"file_{next(_ids):026d}",
            "object": "file",
            "purpose": purpose[1].decode() if purpose else "reference",
            "mime_type": kind[1].decode() if kind else "image/jpeg",
            "size_bytes": size,
            "width_px": 8,
            "height_px": 8,
            "url": "https://files.invalid/x",
            "created_at": now.isoformat(),
            "expires_at": (now + timedelta(hours=24)).isoformat(),
        }
    ).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            began.append(time.time())
            if head.startswith(b"GET /v1/"):
                began.pop()
                content = b"{}"  # whoever asks for an id gets the time with it
            elif head.startswith(b"GET /began"):
                content = json.dumps(began).encode()
                began.clear()
            else:
                length = _LENGTH.search(head)
                content = receipt(head, await reader.readexactly(int(length[1]) if length else 0))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            # A client that hears no time asks for it.
            date = email.utils.formatdate(usegmt=True).encode()
            writer.write(b"Date: %b\r\nContent-Length: %d\r\n\r\n%b" % (date, len(content), content))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class Running:
    """Such a server, in a process of its own."""

    url: str
    pid: int

    def uploads(self) -> int:
        """How many there were since this was last asked."""
        with urllib.request.urlopen(f"{self.url}/began") as answer:
            return len(json.load(answer)) - 1


@contextlib.contextmanager
def running() -> Iterator[Running]:
    command = [sys.executable, "-m", "tests.benchmarks.plain_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Running(f"http://127.0.0.1:{process.stdout.readline().strip()}", process.pid)
        process.stdin.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 22)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
