from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

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
    Skipped,
    Snoozed,
    SourceFile,
)
from ingestor.runtime.tally import Tally

IDENTITY = FileIdentity(device=1, inode=2, size_bytes=3, mtime_ns=4, ctime_ns=5)
QUEUED = QueuedSource(
    source=SourceFile(folder="f", root=Path("/f"), path="a\udcff.jpg", identity=IDENTITY),
    context="",
    lane=Lane.BACKFILL,
    attempt=0,
)
DONE = st.sampled_from(DoneAs).map(
    lambda how: Done(how=how, file_id=FileId("file_1"), digest=Digest("d"), key=IdempotencyKey("k"), bytes_sent=5)
)
ENDINGS = st.one_of(
    DONE,
    st.just(Quarantined(reason="corrupt", message="no")),
    st.just(Snoozed(reason="vanished", message="gone", delay_seconds=1)),
)


@given(st.lists(ENDINGS), st.integers(0, 5), st.integers(0, 5))
def test_the_totals_always_add_up(endings: list[Outcome], skipped: int, deferred: int) -> None:
    tally = Tally()
    for ending in endings:
        tally.discovered += 1
        assert tally.end(QUEUED, ending)
    for _ in range(skipped):
        tally.skip(Skipped(path="x", reason="ignored"))
    for _ in range(deferred):
        tally.discovered += 1
        tally.defer("y", "settling", "not yet")
    told = tally.as_json()
    assert told["discovered"] == sum(
        told[name]
        for name in ("uploaded", "replayed", "already_live", "duplicates", "skipped", "deferred", "quarantined")
    )
    json.dumps(told).encode()


def test_what_stays_in_line_is_not_counted() -> None:
    tally = Tally()
    assert not tally.end(QUEUED, Snoozed(reason="api", message="down", delay_seconds=1))
    assert not tally.end(QUEUED, Retry(reason="internal", message="x", delay_seconds=1, attempt=1))
    assert tally.accounted == 0
