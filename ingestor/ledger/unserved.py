"""Renewals in line in folders that nobody works on: taken out of the line, so that nobody counts on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from ingestor.ledger.line import left_line
from ingestor.ledger.rows import join_path
from ingestor.ledger.schema import sources
from ingestor.ledger.statements import SET_SOURCE, this
from ingestor.ledger.uploads import is_waited_for, move_upload, upload_of
from ingestor.model import Lane, SourceState, State


def withdraw_unserved(connection: Connection, folders: Sequence[str], now: datetime, limit: int) -> int:
    """Renewals of paths outside of `folders` leave the line, done with as before; how many, at most `limit`.

    What waits there for its own sake, new or changed, stays: the folder may come back.
    """
    rows = connection.execute(
        select(sources.c.folder, sources.c.directory, sources.c.name, sources.c.content_id)
        .where(
            sources.c.state == SourceState.WAITING,
            sources.c.lane == int(Lane.RENEWAL),
            sources.c.folder.not_in(folders),
            # One that the manifest has not told of yet waits for its own sake.
            sources.c.listed_content_id == sources.c.content_id,
        )
        .limit(limit)
    ).all()
    for row in rows:
        SET_SOURCE.on(connection, {**this(row.folder, join_path(row.directory, row.name)), **left_line(now)})
        upload = upload_of(connection, row.content_id)
        has_had_id = upload.file_id is not None
        if upload.state == State.SENDING and has_had_id and not is_waited_for(connection, row.content_id):
            # Its id ended while its successor was on the way, which nobody waits for any more.
            move_upload(connection, upload, State.EXPIRED, now)
    return len(rows)
