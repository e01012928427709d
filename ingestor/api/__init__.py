"""ingestor from another program: run a backfill, read the manifest.

What stands in `__all__` keeps its names and meanings; fields and arguments may be added.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ingestor.api.lines import ManifestLine
from ingestor.api.manifest import Manifest
from ingestor.errors import IngestorError, LedgerHeld, SettingsError

if TYPE_CHECKING:
    from ingestor.api.running import Ended, ImageEnd, Report, Settings, Tally, backfill, load_settings

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
    "backfill",
    "load_settings",
]


def __getattr__(name: str) -> Any:
    """What runs things is imported when it is asked for: whoever reads a manifest needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("ingestor.api.running"), name)
