"""What the service manager is told: ready, what we do, that we get on with it, stopping. sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping

from ingestor.ports import Clock
from ingestor.runtime.pulse import Phase, Pulse

LOOK_SECONDS = 1.0
STATUS_CHARACTERS = 200


class ServiceManager:
    """Tells systemd, where it has started us (`Type=notify`), or whoever else listens on `NOTIFY_SOCKET`.

    The watchdog is fed only while `pulse` has nothing to complain of, so that a daemon that stands still is restarted.
    """

    def __init__(
        self, pulse: Pulse, status: Callable[[], str], *, clock: Clock, environment: Mapping[str, str] | None = None
    ) -> None:
        self._pulse = pulse
        self._status = status
        self._clock = clock
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _watchdog_seconds(environment)
        self._told_ready = False
        self._told_stopping = False
        self._told_status = ""

    async def run(self) -> None:
        """Until cancelled; returns at once where nobody listens."""
        if not self._address:
            return
        try:
            while True:
                self._tell_news()
                await self._clock.sleep(min(LOOK_SECONDS, self._watchdog_seconds / 3))
        finally:
            # A short drain ends between two looks.
            self._tell_stopping()

    def reloading(self) -> None:
        """The daemon ends for another one with new settings, which says READY by itself."""
        self._told_stopping = True
        if self._address:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")

    def _tell_news(self) -> None:
        news = []
        if self._pulse.phase is Phase.RUNNING and not self._told_ready:
            self._told_ready = True
            news.append("READY=1")
        if self._pulse.phase is Phase.DRAINING:
            self._tell_stopping()
        stalled = self._pulse.stalled()
        status = (stalled or self._status())[:STATUS_CHARACTERS].replace("\n", " ")
        if status != self._told_status:
            self._told_status = status
            news.append(f"STATUS={status}")
        if stalled is None:
            news.append("WATCHDOG=1")
        if news:
            self._send("\n".join(news))

    def _tell_stopping(self) -> None:
        if not self._told_stopping:
            self._told_stopping = True
            self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # A manager that does not listen any more must not hurt the work.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.sendto(message.encode("utf-8", "replace"), address)


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """How often the watchdog wants to be fed; for ever where it does not."""
    told, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not told.isdecimal() or (pid and pid != str(os.getpid())):
        return float("inf")
    return int(told) / 1e6
