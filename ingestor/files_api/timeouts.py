"""How long each part of an exchange may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. Each names what may not take longer."""

    connect: float = 10.0
    """From the name to a connection that can be used, TLS included."""
    stall: float = 30.0
    """Between two pieces of the body that the other side takes."""
    answer: float = 60.0
    """From the end of the body to the answer, and between two pieces of the answer."""
    total: float = 300.0
    """The whole exchange, so that a trickle ends too."""

    @classmethod
    def of(cls, seconds: float) -> Self:
        """From the one setting: an answer within `seconds`, a slow link five times as long."""
        return cls(connect=min(10.0, seconds), stall=min(30.0, seconds), answer=seconds, total=5 * seconds)
