"""What crosses the border between daemon and worker: JSON with its length before it, so that nothing is unpickled.

A decoder that an image has taken over can then answer nonsense, but not run code in the daemon.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

LENGTH = struct.Struct(">I")
LARGEST_MESSAGE_BYTES = 256 * 1024

Message = dict[str, Any]


def pack(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes) -> Message:
    """The message in `body`. Raises `ValueError` for whatever is no JSON object."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


def body_length(header: bytes) -> int:
    """How many bytes follow. Raises `ValueError` for more than any honest message has."""
    (length,) = LENGTH.unpack(header)
    if length > LARGEST_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return int(length)


def path_to_text(path: Path) -> str:
    """Any file name, UTF-8 or not, as text that JSON carries: one character a byte."""
    return os.fsencode(path).decode("latin-1")


def path_from_text(text: str) -> Path:
    return Path(os.fsdecode(text.encode("latin-1")))


def receive(channel: socket.socket) -> Message | None:
    """The next message; None when the other side has closed. Blocks."""
    header = _receive_exactly(channel, LENGTH.size)
    if header is None:
        return None
    body = _receive_exactly(channel, body_length(header))
    return None if body is None else unpack(body)


def _receive_exactly(channel: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(count - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
