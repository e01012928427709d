"""Batch ingestion worker for a hosted generation API: from a drop folder to live file ids.

For other programs: `Manifest.open(path)` reads the list of file ids and follows it; `await backfill(settings)` runs one
pass. Both are in `ingestor.api`, and imported only when they are asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ingestor.api import (
        Ended,
        ImageEnd,
        IngestorError,
        LedgerHeld,
        Manifest,
        ManifestLine,
        Report,
        Settings,
        SettingsError,
        Tally,
        backfill,
        load_settings,
    )

__all__ = [
    "Ended",
    "ImageEnd",
    "IngestorError",
    "LedgerHeld",
    "Manifest",
    "ManifestLine",
    "Report",
    "Settings",
    "SettingsError",
    "Tally",
    "__version__",
    "backfill",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("ingestor.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
