"""Programs of ours that run beside this process: how they are started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

ENVIRONMENT: Mapping[str, str] = MappingProxyType({"LC_ALL": "C.UTF-8", "PATH": os.defpath})
"""Nothing of ours is in it, above all no API key."""


def command(file: str, *arguments: str, packages: bool = False) -> Sequence[str]:
    """What runs this file of ours; without `packages` it finds the standard library alone, and starts faster."""
    return [sys.executable, "-I", *([] if packages else ["-S"]), file, *arguments]
