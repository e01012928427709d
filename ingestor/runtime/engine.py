"""Where the flow runs: in this process alone, or here and on other machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ingestor.engines import EmbeddedEngine
from ingestor.model import Outcome, QueuedSource
from ingestor.ports import Engine, Ingest
from ingestor.runtime.parts import Parts


def engine_of(
    parts: Parts,
    *,
    ingest: Ingest,
    places: int,
    ended: Callable[[QueuedSource, Outcome], None],
    batch: str | None = None,
    folders: Sequence[str] | None = None,
    works: bool = True,
) -> Engine:
    """The engine of these parts. `works` False: what is in line is left to other machines."""
    if parts.cluster is not None:
        return parts.cluster.engine(
            ingest=ingest,
            places=places,
            ready=parts.gate.ready,
            is_ready=lambda: parts.gate.is_ready,
            ended=ended,
            batch=batch,
            works=works,
        )
    return EmbeddedEngine(
        ledger=parts.ledger,
        ingest=ingest,
        clock=parts.clock,
        observer=parts.observer,
        places=places,
        ready=parts.gate.ready,
        is_ready=lambda: parts.gate.is_ready,
        ended=ended,
        batch=batch,
        folders=folders,
    )
