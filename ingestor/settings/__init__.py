"""Settings: flag over environment over file over default, with every mistake told in one run.

`shape` is what there is to set; `load` reads it; `settings_schema` describes it to editors.
"""

from ingestor.settings.database import DatabaseUrl
from ingestor.settings.loading import adhoc_folder, load, survey
from ingestor.settings.metadata import PLACEHOLDERS
from ingestor.settings.schema import settings_schema
from ingestor.settings.shape import (
    ApiSettings,
    ClusterSettings,
    FolderSettings,
    HookSettings,
    HooksSettings,
    LogSettings,
    NormaliseSettings,
    QuotaSettings,
    Settings,
    StatusSettings,
)
from ingestor.settings.units import parse_bytes, parse_seconds, write_bytes, write_seconds
from ingestor.settings.values import (
    SANDBOX,
    AfterAction,
    AfterKind,
    ListenAddress,
    is_loopback,
)

__all__ = [
    "PLACEHOLDERS",
    "SANDBOX",
    "AfterAction",
    "AfterKind",
    "ApiSettings",
    "ClusterSettings",
    "DatabaseUrl",
    "FolderSettings",
    "HookSettings",
    "HooksSettings",
    "ListenAddress",
    "LogSettings",
    "NormaliseSettings",
    "QuotaSettings",
    "Settings",
    "StatusSettings",
    "adhoc_folder",
    "is_loopback",
    "load",
    "parse_bytes",
    "parse_seconds",
    "settings_schema",
    "survey",
    "write_bytes",
    "write_seconds",
]
