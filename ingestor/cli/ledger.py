"""`ingestor ledger`.

`ingestor ledger copy FROM TO` writes all that one ledger remembers into another one, which holds nothing yet: an SQLite
file into a PostgreSQL database when several machines are to work together, or back. Each of the two is a path or a
postgresql:// address; a password is best left to PGPASSWORD or ~/.pgpass, since others see a command line. Nothing may
work with either of them meanwhile. The old ledger stays as it is; name the new one in the settings then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestor.cli.common import Config, Json, out, out_json, run
from ingestor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestor.settings import Settings


def command(
    action: Annotated[str, typer.Argument(metavar="copy", help="What is done.")],
    source: Annotated[str, typer.Argument(metavar="FROM", help="The ledger that there is.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Where it is written to.")],
    config: Config = None,
    json: Json = False,
) -> None:
    if action != "copy":
        raise UsageError(f"there is no `ingestor ledger {action}`; there is `ingestor ledger copy FROM TO`")
    here, there = _settings(config, source, "FROM"), _settings(config, target, "TO")
    if str(here.ledger) == str(there.ledger):
        raise UsageError("FROM and TO are the same ledger")
    copied = run(_copy(here, there))
    if json:
        out_json(dict(copied))
        return
    told = ", ".join(f"{number:,} {table}" for table, number in copied.items())
    out(f"copied {told}; now write ledger: {there.ledger} into the settings")


def _settings(config: Path | None, place: str, argument: str) -> Settings:
    """Those of the file, where there is one, with this ledger. Raises `UsageError`."""
    from ingestor.cli.common import settings_of
    from ingestor.errors import SettingsError
    from ingestor.settings import Settings
    from ingestor.settings.database import LedgerPlace

    try:
        ledger = LedgerPlace().read(place, Path.cwd())
    except ValueError as error:
        raise UsageError(f"{argument}: {error}") from None
    try:
        settings = settings_of(config, folders_are_read=False)
    except SettingsError:
        if config is not None:
            raise
        settings = Settings()
    return settings.model_copy(update={"ledger": ledger})


async def _copy(here: Settings, there: Settings) -> Mapping[str, int]:
    from ingestor.runtime.opening import copy_ledger

    return await copy_ledger(here, there)
