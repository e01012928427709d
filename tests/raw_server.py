"""A server that answers byte for byte what a test tells it to, over real sockets. It knows of HTTP only lengths."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def parts(self) -> dict[str, tuple[dict[str, str], bytes]]:
        """Of a multipart body, as the standard library reads it: name to headers and content."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        return {
            part.get_param("name", header="content-disposition"): (
                {name.lower(): value for name, value in part.items()},
                part.get_payload(decode=True),
            )
            for part in message.iter_parts()
        }


Behaviour = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request. A server reads the whole body first, unless told otherwise."""


@dataclass
class RawServer:
    base_url: str
    requests: list[Request] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    """One for each request; the last one for all that follow."""
    read_body: bool = True

    def then(self, *behaviours: Behaviour) -> None:
        self.behaviours[:] = behaviours


@asynccontextmanager
async def raw_server(*behaviours: Behaviour, read_body: bool = True, ssl: Any = None) -> AsyncIterator[RawServer]:
    server = RawServer("", behaviours=list(behaviours), read_body=read_body)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            while True:
                request = await _read(reader, server.read_body)
                server.requests.append(request)
                behaviour = server.behaviours.pop(0) if len(server.behaviours) > 1 else server.behaviours[0]
                await behaviour(request, writer)
                await writer.drain()
                if not server.read_body:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl, limit=2**20)
    port = listener.sockets[0].getsockname()[1]
    server.base_url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader, read_body: bool) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = await reader.readexactly(length) if read_body and length else b""
    return Request(method, path, headers, body)


# -- behaviours ------------------------------------------------------------------------------------

FILE = {
    "id": "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN",
    "object": "file",
    "purpose": "reference",
    "mime_type": "image/jpeg",
    "size_bytes": 11,
    "width_px": 1024,
    "height_px": 768,
    "url": "https://files.example.com/f?token=s3cret-signature",
    "expires_at": "2026-11-25T10:00:00Z",
    "created_at": "2026-11-24T10:00:00Z",
}


def answer(status: int, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Date": "Tue, 24 Nov 2026 10:00:00 GMT",
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + content)

    return behave


def created(**changes: Any) -> Behaviour:
    return answer(201, {**FILE, **changes})


def problem(status: int, type: str, code: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> Behaviour:
    error = {"type": type, "code": code, "message": f"about {code}", "param": None, "doc_url": "https://d/x"}
    return answer(status, {"error": {**error, "request_id": "req_1", **more}}, headers)


def raw(content: bytes) -> Behaviour:
    """These bytes, and the end of the connection."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        writer.close()

    return behave


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    """RST instead of an answer."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


def drip(pause: float) -> Behaviour:
    """A proper answer, a byte at a time."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        content = json.dumps(FILE).encode()
        writer.write(f"HTTP/1.1 201 X\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        for byte in content:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)

    return behave
