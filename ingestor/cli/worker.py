"""`ingestor worker`.

It takes images of shared folders, and of this machine's own, that `ingestor watch` or `ingestor backfill` anywhere have
put in line; any number of workers may run, on any number of machines. SIGTERM and SIGINT end it after what is in
flight, within the setting `drain`; a second one ends it at once, and others take over what it had.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, run, settings_of
from ingestor.cli.exits import Exit, Failed
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings


def command(
    config: Config = None,
    concurrency: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="Images of each lane (fresh, renewals, backlog) at once."),
    ] = None,
) -> None:
    settings = settings_of(config)
    check_shared(settings, "a worker")
    came = run(_work(settings, concurrency))
    if signal.SIGINT in came:
        raise Failed(Exit.INTERRUPTED, "interrupted; others take up what was left")


def check_shared(settings: Settings, what: str) -> None:
    """Raises `UsageError` where the ledger is one machine's own."""
    from ingestor.settings import DatabaseUrl

    if not isinstance(settings.ledger, DatabaseUrl):
        raise UsageError(f"{settings.source_file}: {what} needs a shared ledger; set ledger: postgresql://…")


async def _work(settings: Settings, concurrency: int | None) -> list[int]:
    from ingestor.app import assemble
    from ingestor.cli.signals import on_signals
    from ingestor.observe.logs import LogObserver, configure_logs
    from ingestor.observe.recent import Recent
    from ingestor.observe.several import Observers
    from ingestor.runtime.opening import open_ledger
    from ingestor.runtime.service_manager import ServiceManager
    from ingestor.runtime.system_clock import SystemClock
    from ingestor.runtime.worker import WorkerDaemon

    configure_logs(settings.log.level, settings.log.format)
    recent = Recent(SystemClock())
    observer = Observers(LogObserver(), recent)
    async with (
        open_ledger(settings, must_exist=False, waits=observer) as ledger,
        assemble(
            settings,
            ledger=ledger,
            folders=settings.folders,
            observer=observer,
            patient=True,
            what="ingestor worker",
        ) as parts,
    ):
        worker = WorkerDaemon(parts, recent, concurrency=concurrency)
        worker.beside(ServiceManager(worker.pulse, worker.sentence, clock=parts.clock).run)
        with on_signals(worker.stop, worker.abort) as came:
            await worker.run()
        return came
