from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingestor.engines.cluster_wire import pack, unpack
from ingestor.model import (
    Digest,
    Done,
    DoneAs,
    FileId,
    FileIdentity,
    IdempotencyKey,
    Lane,
    Outcome,
    Quarantined,
    QueuedSource,
    Retry,
    Snoozed,
    SourceFile,
)

IDENTITY = FileIdentity(device=1, inode=2**63 + 5, size_bytes=10, mtime_ns=3, ctime_ns=4)
OUTCOMES: list[Outcome] = [
    Done(
        how=DoneAs.REPLAYED,
        file_id=FileId("file_1"),
        digest=Digest("0" * 64),
        key=IdempotencyKey("k"),
        request_id="r",
        bytes_read=5,
        bytes_sent=6,
        normalised=("resized", "webp"),
    ),
    Snoozed(reason="quota", message="m", delay_seconds=1.5),
    Retry(reason="internal", message="m", delay_seconds=2.0, attempt=3, request_id="r"),
    Quarantined(reason="broken", message="m"),
]


def queued(path: str = "a/b.jpg", root: str = "/in") -> QueuedSource:
    source = SourceFile(folder="inbox", root=Path(root), path=path, identity=IDENTITY)
    return QueuedSource(source=source, context="c", lane=Lane.RENEWAL, attempt=2)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_what_became_of_a_path_arrives_as_it_was_sent(outcome: Outcome) -> None:
    assert unpack(json.loads(json.dumps(pack(queued(), outcome)))) == (queued(), outcome)


def test_names_of_any_bytes_arrive_and_are_text_that_a_database_takes() -> None:
    odd = queued("caf\udce9/\udcff.jpg", "/in/\udc80")
    told = pack(odd, OUTCOMES[3])
    json.dumps(told, ensure_ascii=False).encode()
    assert unpack(json.loads(json.dumps(told)))[0] == odd


def test_messages_are_made_fit_for_the_database() -> None:
    told = pack(queued(), Quarantined(reason="broken", message="a\x00b \udce9"))
    text = json.dumps(told, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text
