"""The statements of the flow, built once: building one anew for each image costs forty times what running it does.

An `UPDATE` here sets whichever columns it is executed with; the row is named by parameters that begin with `this_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ingestor.ledger.prepared import Prepared
from ingestor.ledger.rows import VANISHED, split_path
from ingestor.ledger.schema import facts, sources, uploads
from ingestor.model import SourceFile, SourceState

Parameters = dict[str, Any]
_Inserts = Mapping[str, Any]
"""The `INSERT` of each dialect that knows `ON CONFLICT`, by the dialect's name."""


def upsert(connection: Connection, statements: _Inserts) -> Any:
    return statements[connection.dialect.name]


def this(folder: str, path: str) -> Parameters:
    """A path, as parameters."""
    directory, name = split_path(path)
    return {"this_folder": folder, "this_directory": directory, "this_name": name}


def still(source: SourceFile) -> Parameters:
    """A path with the bytes that were found there, as parameters."""
    identity = source.identity
    return {
        **this(source.folder, source.path),
        "this_device": identity.device,
        "this_inode": identity.inode,
        "this_size": identity.size_bytes,
        "this_mtime": identity.mtime_ns,
        # Whoever rewrites a file can set its old time again, but not this one.
        "this_ctime": identity.ctime_ns,
    }


_THIS = and_(
    sources.c.folder == bindparam("this_folder"),
    sources.c.directory == bindparam("this_directory"),
    sources.c.name == bindparam("this_name"),
)
_STILL = and_(
    _THIS,
    sources.c.device == bindparam("this_device"),
    sources.c.inode == bindparam("this_inode"),
    sources.c.size_bytes == bindparam("this_size"),
    sources.c.mtime_ns == bindparam("this_mtime"),
    sources.c.ctime_ns == bindparam("this_ctime"),
)
_UPLOAD = uploads.c.content_id == bindparam("this_content")

SOURCE = Prepared(select(sources).where(_THIS))
SET_SOURCE = Prepared(update(sources).where(_THIS))
SET_SOURCE_RETURNING = Prepared(
    update(sources)
    .where(_THIS)
    .returning(sources.c.state, sources.c.wanted_generation, sources.c.listed_content_id, sources.c.listed_generation)
)

_STILL_IN_LINE = and_(_STILL, sources.c.state == SourceState.WAITING)
SAME_SOURCE = Prepared(select(sources).where(_STILL_IN_LINE))
"""The path in line, unless discovery has found other bytes there meanwhile: then it stays in line for those.

Who was taken for dead and comes back late finds that somebody else has brought it to its end: nothing is changed.
"""
SET_SAME_SOURCE = Prepared(update(sources).where(_STILL_IN_LINE))
SET_FINISHED = Prepared(
    update(sources).where(_STILL, or_(sources.c.state == SourceState.WAITING, sources.c.reason == VANISHED))
)
"""The path in line; or one whose file a scan has missed, for it was put away a moment before that is recorded."""
SET_SOURCE_IF_STILL = Prepared(update(sources).where(_STILL))
"""The path with those bytes, whether or not it is in line."""

UPLOAD = Prepared(select(uploads).where(_UPLOAD))
SET_UPLOAD = Prepared(update(uploads).where(_UPLOAD))
SET_UPLOAD_RETURNING = Prepared(update(uploads).where(_UPLOAD).returning(*uploads.c))

_LISTED = and_(
    sources.c.content_id == bindparam("this_content"), sources.c.listed_content_id == bindparam("this_content")
)
LISTED_SOURCES = Prepared(select(sources).where(_LISTED))
"""The paths whose last manifest line is about this content."""
SET_LISTED_SOURCES = Prepared(update(sources).where(_LISTED))


def _new_upload(insert_into: Any) -> Any:
    return insert_into(uploads).on_conflict_do_nothing(index_elements=["content_id"])


def _take(insert_into: Any) -> Any:
    """A path already waiting as it is keeps its place and its attempts; any other begins anew."""
    statement = insert_into(sources)
    new = statement.excluded
    unchanged = and_(
        sources.c.state == SourceState.WAITING,
        sources.c.size_bytes == new.size_bytes,
        sources.c.mtime_ns == new.mtime_ns,
        sources.c.inode == new.inode,
        sources.c.device == new.device,
        sources.c.context == new.context,
    )
    always = ("root", "device", "inode", "size_bytes", "mtime_ns", "ctime_ns", "context", "state", "batch", "put_away")
    kept = ("ready_at", "attempt", "wanted_generation", "changed_at", "reason", "message", "request_id")
    # The better of two lanes: a dropped file that a backfill meets as well stays fresh.
    best_lane = case((and_(unchanged, sources.c.lane < new.lane), sources.c.lane), else_=new.lane)
    return statement.on_conflict_do_update(
        index_elements=["folder", "directory", "name"],
        set_={
            **{name: getattr(new, name) for name in always},
            **{name: case((unchanged, sources.c[name]), else_=getattr(new, name)) for name in kept},
            "lane": best_lane,
        },
    )


def _keep_fact(insert_into: Any) -> Any:
    statement = insert_into(facts)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": new.value, "changed_at": new.changed_at}
    )


_DIALECTS = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}
NEW_UPLOAD = Prepared(_new_upload(sqlite_insert), on_postgresql=_new_upload(postgresql_insert))
TAKE: _Inserts = {name: _take(insert_into) for name, insert_into in _DIALECTS.items()}
KEEP_FACT: _Inserts = {name: _keep_fact(insert_into) for name, insert_into in _DIALECTS.items()}
