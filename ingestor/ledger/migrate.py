"""Bring a ledger to this program's schema, at start."""

from __future__ import annotations

import contextlib
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ingestor.errors import LedgerUnreadable
from ingestor.ledger.schema import REVISION

MIGRATIONS = Path(__file__).parent / "migrations"


def revision_of(connection: Connection) -> str | None:
    """The revision that a ledger is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def check_readable(connection: Connection, name: str) -> None:
    """Raises `LedgerUnreadable` unless this is a ledger with the schema that this program reads."""
    revision = revision_of(connection)
    if revision is None:
        raise LedgerUnreadable(f"{name}: this is no ledger; name another place in the setting `ledger`")
    if revision != REVISION:
        raise LedgerUnreadable(
            f"{name}: this ledger has schema {revision}, this program reads {REVISION}; an older one is brought up to "
            "date by `ingestor watch` or `ingestor backfill`, a newer one needs a newer ingestor"
        )


def migrate(connection: Connection, name: str) -> bool:
    """Upgrade to `REVISION`; True if there was anything to do.

    Raises `LedgerUnreadable` for a newer ledger, and for a database that is no ledger.
    """
    present = revision_of(connection)
    if present == REVISION:
        return False
    if present is None and inspect(connection).get_table_names():
        raise LedgerUnreadable(
            f"{name}: this database belongs to another program; name another place in the setting `ledger`"
        )
    # Alembic takes 0.2 s to import, and almost every start has nothing to migrate.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config)
    if present is not None:
        script = None
        with contextlib.suppress(CommandError):
            script = known.get_revision(present)
        if script is None:
            raise LedgerUnreadable(
                f"{name}: this ledger was written by a newer ingestor (schema {present}, this program knows "
                f"{REVISION}); run that version, or name another place in the setting `ledger`"
            )
    command.upgrade(config, "head")
    return True
