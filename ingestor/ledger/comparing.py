"""What a scan asks: what is held of a directory's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, func, select, type_coerce

from ingestor.ledger.columns import unescape_path
from ingestor.ledger.rows import VANISHED, identity_of
from ingestor.ledger.schema import sources, uploads
from ingestor.model import Comparison, Known, Mark, SourceState, State

_KNOWN = (
    select(
        sources.c.name,
        sources.c.device,
        sources.c.inode,
        sources.c.size_bytes,
        sources.c.mtime_ns,
        sources.c.ctime_ns,
        sources.c.context,
        sources.c.state,
        sources.c.reason,
        sources.c.message,
        sources.c.request_id,
        uploads.c.state.label("upload_state"),
        uploads.c.expires_at,
    )
    .select_from(sources.outerjoin(uploads, uploads.c.content_id == sources.c.content_id))
    .where(sources.c.folder == bindparam("folder"), sources.c.directory == bindparam("directory"))
)
_NAMED = sources.c.name.in_(bindparam("names", expanding=True))
_KNOWN_NAMED = _KNOWN.where(_NAMED)


def known(connection: Connection, folder: str, directory: str, names: Sequence[str] | None) -> Mapping[str, Known]:
    """What is held of the files of one directory (of those `names`, where given), by name."""
    where = {"folder": folder, "directory": directory}
    if names is None:
        rows = connection.execute(_KNOWN, where)
    else:
        rows = connection.execute(_KNOWN_NAMED, {**where, "names": names})
    return {
        row.name: Known(
            identity=identity_of(row),
            context=row.context,
            # Done with as it vanished: should it be there again, it is looked at again.
            state=SourceState.VANISHED if row.reason == VANISHED else SourceState(row.state),
            upload_state=None if row.upload_state is None else State(row.upload_state),
            expires_at=row.expires_at,
            reason=row.reason,
            message=row.message,
            request_id=row.request_id,
        )
        for row in rows
    }


# Raw columns: a row of a million costs a third of what it does with every value made into what it stands for.
_MARKS = select(
    type_coerce(sources.c.name, Text),
    type_coerce(sources.c.device, BigInteger),
    type_coerce(sources.c.inode, BigInteger),
    sources.c.size_bytes,
    sources.c.mtime_ns,
    sources.c.ctime_ns,
    sources.c.context,
    and_(
        sources.c.state == SourceState.DONE, sources.c.reason.is_(None), sources.c.live_until > bindparam("now")
    ).label("is_live"),
    and_(sources.c.put_away.is_(None), func.coalesce(sources.c.reason, "") != VANISHED).label("is_expected"),
).where(sources.c.folder == bindparam("folder"), sources.c.directory == bindparam("directory"))
_MARKS_NAMED = _MARKS.where(_NAMED)


def compare(
    connection: Connection, folder: str, directory: str, marks: Mapping[str, Mark], now: datetime, *, whole: bool
) -> Comparison:
    """Which of the files that a listing has seen need a closer look, and which were not seen."""
    where: dict[str, Any] = {"folder": folder, "directory": directory, "now": now}
    if whole:
        rows = connection.execute(_MARKS, where)
    else:
        rows = connection.execute(_MARKS_NAMED, {**where, "names": list(marks)})
    live, missing = set(), []
    for row in rows:
        name = row[0]
        if "\\" in name:
            name = unescape_path(name)
        seen = marks.get(name)
        if seen is None:
            if row[8]:
                missing.append(name)
        elif row[7] and seen == row[1:7]:
            live.add(name)
    return Comparison(strangers=tuple(name for name in marks if name not in live), missing=tuple(missing))
