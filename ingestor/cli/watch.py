"""`ingestor watch`.

SIGTERM and SIGINT end it after what is in flight, within the setting `drain`; a second one ends it at once.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from ingestor.cli.common import Config, run, settings_of
from ingestor.cli.exits import Exit, Failed
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from ingestor.settings import Settings


def command(config: Config = None) -> None:
    settings = settings_of(config)
    if not settings.folders:
        raise UsageError(f"{settings.source_file}: no `folders` are set; add at least one")
    came = run(_watch(settings))
    if signal.SIGINT in came:
        raise Failed(Exit.INTERRUPTED, "interrupted; what was left is taken up at the next start")


async def _watch(settings: Settings) -> list[int]:
    from ingestor.app import assemble, hold_ledger
    from ingestor.cli.signals import on_signals
    from ingestor.observe.logs import LogObserver, configure_logs
    from ingestor.observe.recent import Recent
    from ingestor.observe.several import Observers
    from ingestor.runtime.daemon import Daemon
    from ingestor.runtime.system_clock import SystemClock

    configure_logs(settings.log.level, settings.log.format)
    recent = Recent(SystemClock())
    observer = Observers(LogObserver(), recent)
    async with (
        hold_ledger(settings, "ingestor watch") as ledger,
        assemble(settings, ledger=ledger, folders=settings.folders, observer=observer, patient=True) as parts,
    ):
        daemon = Daemon(parts, recent)
        with on_signals(daemon.stop, daemon.abort) as came:
            await daemon.run()
        return came
