"""What a run is made of: chosen and wired in `app`, used by the loops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ingestor.files_api import BreakerStatus, SlotsStatus
from ingestor.pipeline import Tools
from ingestor.ports import Clock, Ledger, Observer
from ingestor.quota import QuotaStatus
from ingestor.settings import FolderSettings, Settings
from ingestor.stages.discover import DropFolder

if TYPE_CHECKING:
    from ingestor.runtime.cluster import Cluster


class Stoppable(Protocol):
    """The API as the loops steer it: `files_api.ResilientFilesApi`."""

    def stop(self) -> None:
        """All that wait end now; what is in flight finishes."""

    async def ready(self) -> None:
        """Return when new work is wanted."""

    @property
    def is_ready(self) -> bool:
        """Whether new work is wanted now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All the parts of one process."""

    settings: Settings
    tools: Tools
    gate: Stoppable
    snapshots: Mapping[str, Callable[[], Any]]
    """Facts that a restart has to remember, by the name under which the ledger keeps them."""
    upload_quota: Callable[[], QuotaStatus]
    read_quota: Callable[[], QuotaStatus]
    breaker: Callable[[], BreakerStatus]
    slots: Callable[[], SlotsStatus]
    """Uploads in flight."""
    cluster: Cluster | None = None
    """What there is besides where machines share the ledger."""

    @property
    def ledger(self) -> Ledger:
        return self.tools.ledger

    @property
    def clock(self) -> Clock:
        return self.tools.clock

    @property
    def observer(self) -> Observer:
        return self.tools.observer

    @property
    def folders(self) -> tuple[FolderSettings, ...]:
        return tuple(self.tools.folders.values())

    def drop_folders(self) -> list[DropFolder]:
        return [DropFolder(folder) for folder in self.folders]
