"""`ingestor watch`.

SIGTERM and SIGINT end it after what is in flight, within the setting `drain`; a second one ends it at once. SIGHUP
reads the settings again; wrong ones are refused, told, and the old ones stay.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, run, settings_of
from ingestor.cli.exits import Exit, Failed
from ingestor.cli.worker import check_shared
from ingestor.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from ingestor.observe.metrics import Metrics
    from ingestor.observe.recent import Recent
    from ingestor.ports import Ledger, Observer
    from ingestor.settings import Settings


def command(
    config: Config = None,
    submit_only: Annotated[
        bool, typer.Option("--submit-only", help="Find images and leave the work to other machines (shared ledger).")
    ] = False,
) -> None:
    came = run(_Watching(config, submit_only=submit_only).run())
    if signal.SIGINT in came:
        raise Failed(Exit.INTERRUPTED, "interrupted; what was left is taken up at the next start")


class _Watching:
    """A daemon, and after each SIGHUP another one with the settings as they are then."""

    def __init__(self, config: Path | None, *, submit_only: bool) -> None:
        self._config = config
        self._submit_only = submit_only
        self._next: Settings | None = None

    async def run(self) -> list[int]:
        """Until a signal ends it; the signals that came."""
        from ingestor.observe.logs import LogObserver, configure_logs
        from ingestor.observe.metrics import Metrics
        from ingestor.observe.recent import Recent
        from ingestor.observe.several import Observers
        from ingestor.runtime.opening import hold_ledger
        from ingestor.runtime.system_clock import SystemClock

        self._next = settings = self._settings()
        clock = SystemClock()
        recent, metrics = Recent(clock), Metrics(clock)
        configure_logs(settings.log.level, settings.log.format)
        async with hold_ledger(settings, "ingestor watch", waits=Observers(LogObserver(), recent)) as ledger:
            await _check_capacity(settings, ledger)
            came: list[int] = []
            while self._next is not None and not came:
                settings, self._next = self._next, None
                came = await self._one_life(settings, ledger, recent, metrics)
            return came

    def _settings(self) -> Settings:
        settings = settings_of(self._config)
        if not settings.folders:
            raise UsageError(f"{settings.source_file}: no `folders` are set; add at least one")
        if self._submit_only:
            check_shared(settings, "--submit-only")
        return settings

    async def _one_life(self, settings: Settings, ledger: Ledger, recent: Recent, metrics: Metrics) -> list[int]:
        from ingestor.app import assemble
        from ingestor.cli.signals import on_signal, on_signals
        from ingestor.observe.logs import LogObserver, configure_logs
        from ingestor.observe.several import Observers
        from ingestor.runtime.daemon import Daemon
        from ingestor.runtime.service_manager import ServiceManager

        configure_logs(settings.log.level, settings.log.format)
        observer = Observers(LogObserver(), recent, metrics)
        async with assemble(
            settings,
            ledger=ledger,
            folders=settings.folders,
            observer=observer,
            patient=True,
            what="ingestor watch",
        ) as parts:
            daemon = Daemon(parts, recent, works=not self._submit_only)
            manager = ServiceManager(daemon.pulse, daemon.sentence, clock=parts.clock)
            daemon.beside(manager.run)
            if settings.status.listen is not None:
                from ingestor.page import StatusPage

                daemon.beside(StatusPage(parts, recent, metrics, daemon.pulse).run)

            def reload() -> None:
                if self._read_again(settings, observer):
                    manager.reloading()
                    daemon.stop()

            with on_signals(daemon.stop, daemon.abort) as came, on_signal(signal.SIGHUP, reload):
                await daemon.run()
            return came

    def _read_again(self, old: Settings, observer: Observer) -> bool:
        """Whether there are new settings that can be used; if not, why is told."""
        try:
            fresh = self._settings()
        except (SettingsError, UsageError) as error:
            observer.notice("settings_refused", message=str(error))
            return False
        if fresh.ledger != old.ledger:
            message = f"{fresh.source_file}: another `ledger` is taken up by a restart only; all old settings stay"
            observer.notice("settings_refused", message=message)
            return False
        observer.notice("settings_reloaded", message=str(fresh.source_file))
        self._next = fresh
        return True


async def _check_capacity(settings: Settings, ledger: Ledger) -> None:
    """Raises `UsageError` where more is to be kept alive than the quota can."""
    from ingestor.app import UPLOAD_QUOTA_FACT
    from ingestor.runtime.capacity import too_many_to_renew
    from ingestor.runtime.supply import supply_of
    from ingestor.runtime.system_clock import SystemClock

    supply = supply_of(settings.api.quota, await ledger.fact(UPLOAD_QUOTA_FACT), SystemClock().now())
    why = await too_many_to_renew(settings.folders, ledger, supply.per_minute)
    if why is not None:
        raise UsageError(f"{settings.source_file}: {why}")
