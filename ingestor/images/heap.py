"""What the C library keeps of memory that was freed: it stands beside the pixels of a large picture."""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""malloc_trim(3), which not every C library has."""


def give_back() -> None:
    """Return it to the system. What is needed again costs some milliseconds, which a small picture would feel."""
    if _trim is not None:
        _trim(0)
