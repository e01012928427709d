"""What a scan asks: what is held of a directory's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    func,
    or_,
    select,
    type_coerce,
)

from ingestor.ledger.columns import unescape_path
from ingestor.ledger.rows import VANISHED, identity_of
from ingestor.ledger.schema import sources, uploads
from ingestor.model import Comparison, Known, Mark, Marks, SourceState, State

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
        sources.c.content_id,
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
            content_id=row.content_id,
        )
        for row in rows
    }


_IN_DIRECTORY = and_(sources.c.folder == bindparam("folder"), sources.c.directory == bindparam("directory"))

_IS_LIVE = and_(
    sources.c.state == SourceState.DONE,
    or_(sources.c.live_until > bindparam("now"), bindparam("ended", type_=Integer) == 1),
    sources.c.reason.is_(None),
)
# As the database has them: a million rows have no time to be made into what they stand for.
_MARK = (
    type_coerce(sources.c.name, Text),
    type_coerce(sources.c.device, BigInteger),
    type_coerce(sources.c.inode, BigInteger),
    sources.c.size_bytes,
    sources.c.mtime_ns,
    sources.c.ctime_ns,
)
_MARKS = select(*_MARK, and_(_IS_LIVE, sources.c.context == bindparam("context"))).where(_IN_DIRECTORY)
_MARKS_NAMED = _MARKS.where(_NAMED)
_CONTEXTS = select(sources.c.name, sources.c.context).where(_IN_DIRECTORY, _IS_LIVE, _NAMED)
_LIVE_NAMED = select(*_MARK, _IS_LIVE).where(_IN_DIRECTORY, _NAMED)


def _distinct_directories() -> Select[str]:
    # From each directory to the next by the index: neither database does that for a DISTINCT, which reads every path.
    of_folder = select(func.min(sources.c.directory).label("directory")).where(sources.c.folder == bindparam("folder"))
    found = of_folder.cte("found", recursive=True)
    following = of_folder.where(sources.c.directory > found.c.directory).scalar_subquery()
    found = found.union_all(select(following).where(found.c.directory.is_not(None)))
    return select(found.c.directory).where(found.c.directory.is_not(None))


_DIRECTORIES = _distinct_directories()
_EXPECTED = select(sources.c.name).where(
    _IN_DIRECTORY, sources.c.put_away.is_(None), func.coalesce(sources.c.reason, "") != VANISHED
)


def compare(
    connection: Connection, folder: str, directory: str, marks: Marks, now: datetime, *, whole: bool, ended: bool
) -> Comparison:
    """Which of the files that a listing has seen need a closer look, and which were not seen."""
    where = {
        "folder": folder,
        "directory": directory,
        "now": now,
        "context": marks.context,
        "ended": int(ended),
    }
    seen = marks.by_name
    if whole:
        held = _marks(connection.execute(_MARKS, where))
    else:
        held = _marks(connection.execute(_MARKS_NAMED, {**where, "names": list(seen)}))
    if held == seen and not marks.contexts:
        return Comparison(strangers=(), missing=())
    live = _unescaped(held)
    if marks.contexts:
        live |= dict.fromkeys(marks.contexts) | _live_with_sidecars(connection, where, marks.contexts)
    strangers = sorted(name for name, mark in seen.items() if live.get(name) != mark)
    missing = expected(connection, folder, directory) if whole else ()
    return Comparison(strangers=tuple(strangers), missing=tuple(name for name in missing if name not in seen))


def directories(connection: Connection, folder: str) -> Sequence[str]:
    """Every directory of a folder that a path is held of."""
    return connection.execute(_DIRECTORIES, {"folder": folder}).scalars().all()


def expected(connection: Connection, folder: str, directory: str) -> Sequence[str]:
    """The names in a directory that are held, and were neither put away nor missed before."""
    return connection.execute(_EXPECTED, {"folder": folder, "directory": directory}).scalars().all()


def _live_with_sidecars(
    connection: Connection, where: Mapping[str, Any], contexts: Mapping[str, str]
) -> dict[str, Mark | None]:
    named = {**where, "names": list(contexts)}
    live = _unescaped(_marks(connection.execute(_LIVE_NAMED, named)))
    held = {row.name: row.context for row in connection.execute(_CONTEXTS, named)}
    return {name: mark for name, mark in live.items() if held.get(name) == contexts[name]}


def _marks(result: CursorResult[Any]) -> dict[str, Mark | None]:
    """The files of a directory by name; None for one whose id is not good."""
    assert result.cursor is not None
    return {row[0]: row[1:6] if row[6] else None for row in result.cursor}  # type: ignore[attr-defined]


def _unescaped(marks: dict[str, Mark | None]) -> dict[str, Mark | None]:
    return {unescape_path(name) if "\\" in name else name: mark for name, mark in marks.items()}
