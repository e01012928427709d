"""Streams that tests read back."""

from __future__ import annotations

import io
import json
from typing import Any


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
