"""What became of a path, as one machine tells another: values to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ingestor.model import (
    Digest,
    Done,
    DoneAs,
    FileId,
    FileIdentity,
    IdempotencyKey,
    Json,
    Lane,
    Outcome,
    Quarantined,
    QueuedSource,
    Retry,
    Snoozed,
    SourceFile,
)

_KINDS: Mapping[str, Any] = {"done": Done, "snoozed": Snoozed, "retry": Retry, "quarantined": Quarantined}


def pack(queued: QueuedSource, outcome: Outcome) -> dict[str, Json]:
    """Both as JSON. A name whose bytes are not UTF-8 is spelled as a list of them."""
    source = queued.source
    kind = next(name for name, one in _KINDS.items() if type(outcome) is one)
    return {
        "kind": kind,
        "outcome": {name: _plain(value) for name, value in asdict(outcome).items()},
        "folder": source.folder,
        "root": _spelled(str(source.root)),
        "path": _spelled(source.path),
        "identity": asdict(source.identity),
        "context": queued.context,
        "lane": int(queued.lane),
        "attempt": queued.attempt,
    }


def unpack(told: Mapping[str, Any]) -> tuple[QueuedSource, Outcome]:
    """What `pack` was given. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    source = SourceFile(
        folder=told["folder"],
        root=Path(_read(told["root"])),
        path=_read(told["path"]),
        identity=FileIdentity(**told["identity"]),
    )
    queued = QueuedSource(source=source, context=told["context"], lane=Lane(told["lane"]), attempt=told["attempt"])
    fields = dict(told["outcome"])
    if told["kind"] == "done":
        done = Done(
            how=DoneAs(fields.pop("how")),
            file_id=FileId(fields.pop("file_id")),
            digest=Digest(fields.pop("digest")),
            key=IdempotencyKey(fields.pop("key")),
            normalised=tuple(fields.pop("normalised")),
            **fields,
        )
        return queued, done
    outcome: Outcome = _KINDS[told["kind"]](**fields)
    return queued, outcome


def _plain(value: Any) -> Json:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str):
        # PostgreSQL keeps no NUL and no half of a character in JSON.
        return value.replace("\x00", "").encode("utf-8", "backslashreplace").decode()
    return value


def _spelled(name: str) -> Json:
    try:
        name.encode()
    except UnicodeEncodeError:
        return list(name.encode("utf-8", "surrogateescape"))
    return name


def _read(spelled: Json) -> str:
    return bytes(spelled).decode("utf-8", "surrogateescape") if isinstance(spelled, list) else str(spelled)
