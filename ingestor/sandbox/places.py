"""A data folder is served by one process at a time, at an address that it takes again after a restart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from pathlib import Path

from ingestor.sandbox.errors import SandboxHeld

_PATIENCE_SECONDS = 2.0


class HeldFolder:
    """A locked data folder. Raises SandboxHeld where another sandbox has it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._address = folder / "address.json"
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise SandboxHeld(folder, _address_of_holder(self._address)) from error
        _open_here.add(self)
        self._remembered = _read(self._address)
        _write(self._address, {**self._remembered, "base_url": None})

    def last_port(self, host: str) -> int:
        """The port of the last time at this host, or 0."""
        port = self._remembered.get("port", 0)
        return port if self._remembered.get("host") == host and isinstance(port, int) else 0

    def tell(self, host: str, port: int, base_url: str) -> None:
        """Write down where the folder is served."""
        self._remembered = {"host": host, "port": port}
        _write(self._address, {**self._remembered, "base_url": base_url})

    def release(self) -> None:
        """Let another process have it."""
        if self in _open_here:
            _write(self._address, {**self._remembered, "base_url": None})
        self.drop()

    def drop(self) -> None:
        """Close our hand on the lock and say nothing."""
        if self in _open_here:
            _open_here.discard(self)
            os.close(self._lock)


def listening_socket(host: str, ports: list[int]) -> socket.socket:
    """A socket bound to the first of the ports that is free. Raises OSError where none is."""
    for port in ports[:-1]:
        with contextlib.suppress(OSError):
            return _bound(host, port)
    return _bound(host, ports[-1])


def _bound(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    _sockets_here.add(bound)
    return bound


def _address_of_holder(path: Path) -> str | None:
    # It may hold the folder without listening yet.
    until = time.monotonic() + _PATIENCE_SECONDS
    while (base_url := _read(path).get("base_url")) is None and time.monotonic() < until:
        time.sleep(0.02)
    return base_url if isinstance(base_url, str) else None


def _read(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(path: Path, value: dict[str, object]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(value))
    partial.rename(path)


_open_here: weakref.WeakSet[HeldFolder] = weakref.WeakSet()
_sockets_here: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def _forget_in_child() -> None:
    """A forked worker that outlives us must not keep folder and port from our successor."""
    for held in list(_open_here):
        held.drop()
    for bound in list(_sockets_here):
        bound.close()


os.register_at_fork(after_in_child=_forget_in_child)
