from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingestor import ManifestLine
from ingestor.ledger.rows import receipt_detail
from ingestor.model import HistoryEntry
from ingestor.stages.manifest import encode, manifest_line

AT = datetime(2026, 11, 24, 10, 0, 2, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "v": 1,
    "seq": 17,
    "at": "2026-11-24T10:00:02Z",
    "event": "uploaded",
    "folder": "products",
    "path": "a/b.jpg",
    "source": "/abs/inbox/products/a/b.jpg",
    "sha256": "ab",
    "idempotency_key": "ing1-cd",
    "generation": 0,
    "file_id": "file_1",
    "purpose": "reference",
    "mime_type": "image/webp",
    "size_bytes": 1247892,
    "width_px": 4096,
    "height_px": 3072,
    "created_at": "2026-11-24T10:00:00Z",
    "expires_at": "2026-11-25T10:00:00.5Z",
    "metadata": {"campaign": "launch-2026"},
    "replayed": False,
    "normalised": ["resized", "webp"],
    "sent_sha256": "ef",
    "request_id": "req_1",
}


def line_of(**changes: Any) -> ManifestLine:
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not ...}
    return ManifestLine.parse(json.dumps(fields))


def test_a_line_has_every_field_with_its_type() -> None:
    line = line_of()
    assert (line.seq, line.at, line.event, line.folder, line.path) == (17, AT, "uploaded", "products", "a/b.jpg")
    assert line.expires_at == datetime(2026, 11, 25, 10, 0, 0, 500000, tzinfo=UTC)
    assert line.normalised == ("resized", "webp")
    assert line.metadata == {"campaign": "launch-2026"}
    assert (line.width_px, line.replayed, line.generation) == (4096, False, 0)
    assert {line: 1}[line_of()] == 1


def test_a_line_that_ingestor_writes_is_read_whole() -> None:
    row: Any = type("Row", (), {})()
    for name in (
        "digest",
        "idempotency_key",
        "generation",
        "file_id",
        "purpose",
        "mime_type",
        "size_bytes",
        "width_px",
    ):
        setattr(row, name, name)
    for name in ("height_px", "metadata", "normalised", "sent_sha256", "request_id", "replayed"):
        setattr(row, name, {"a": 1} if name == "metadata" else ["webp"] if name == "normalised" else name)
    row.created_at = row.expires_at = AT
    detail = {**receipt_detail("/root", "a.jpg", row), "reason": "r", "message": "m"}
    entry = HistoryEntry(seq=1, at=AT, folder="f", path="a.jpg", event="uploaded", listed=True, detail=detail)
    written = manifest_line(entry)
    read = dataclasses.asdict(ManifestLine.parse(encode(written)))
    assert written.keys() - read.keys() == {"v"}
    assert all(read[name] is not None for name in read)


def test_fields_of_a_later_version_are_left_out_and_missing_ones_are_empty() -> None:
    assert line_of(v=2, novelty=[1]) == line_of()
    line = line_of(event="quarantined", file_id=..., metadata=..., normalised=..., reason="corrupt", message="m")
    assert (line.file_id, line.metadata, line.normalised, line.reason) == (None, {}, (), "corrupt")


def test_a_path_that_is_not_utf_8_is_what_the_system_calls_it() -> None:
    entry = HistoryEntry(seq=1, at=AT, folder="f", path="caf\udce9.jpg", event="expired", listed=True, detail={})
    assert ManifestLine.parse(encode(manifest_line(entry))).path == "caf\udce9.jpg"


@pytest.mark.parametrize("event", ["uploaded", "renewed"])
def test_an_id_is_live_until_it_expires(event: str) -> None:
    line = line_of(event=event)
    assert line.expires_at is not None
    assert line.is_live(line.expires_at - timedelta(microseconds=1))
    assert not line.is_live(line.expires_at)


def test_without_a_time_the_present_counts() -> None:
    assert line_of(expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()).is_live()
    assert not line_of(expires_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat()).is_live()


@pytest.mark.parametrize("event", ["expired", "purged", "quarantined", "something_new"])
def test_no_other_event_has_a_live_id(event: str) -> None:
    assert not line_of(event=event).is_live(AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '"x"',
        "{}",
        "[" * 100_000,
        json.dumps({**FIELDS, "at": "yesterday"}),
        json.dumps({**FIELDS, "seq": "1"}),
        json.dumps({**FIELDS, "path": 5}),
    ],
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no line of a manifest"):
        ManifestLine.parse(text)
