"""Programs of two versions on one ledger, as during an upgrade that goes from machine to machine.

A migration is compatible with the version before it: it adds what that version does not ask for. Which versions may
work with a schema is written beside its number by the program that made it.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from ingestor.ledger.migrate import revision_of
from ingestor.ledger.schema import REVISION, WORKS_WITH

_NOTE = text("SELECT obj_description(to_regclass('alembic_version'), 'pg_class')")


def may_work(connection: Connection) -> bool:
    """Whether the schema is a newer one that this program may work with all the same."""
    present = revision_of(connection)
    if present is None or present == REVISION:
        return False
    try:
        noted = json.loads(connection.execute(_NOTE).scalar() or "null")
        return noted["revision"] == present and REVISION in noted["works_with"]
    except (KeyError, TypeError, ValueError):
        return False


def note(connection: Connection) -> None:
    """Tell older programs whether they may go on with the schema that this one has made."""
    noted = json.dumps({"revision": REVISION, "works_with": list(WORKS_WITH)})
    connection.exec_driver_sql(f"COMMENT ON TABLE alembic_version IS '{noted}'")
