from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingestor.model import FileIdentity, Known, Sighting, SourceFile, SourceState, State
from ingestor.policy.intake import Intake, intake_of

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
IDENTITY = FileIdentity(device=1, inode=2, size_bytes=3, mtime_ns=4, ctime_ns=5)
SIGHTING = Sighting(source=SourceFile(folder="f", root=Path("/f"), path="a.jpg", identity=IDENTITY), context="context")
KNOWN = Known(
    identity=IDENTITY,
    context="context",
    state=SourceState.DONE,
    upload_state=State.LIVE,
    expires_at=NOW + timedelta(hours=1),
    reason=None,
    message=None,
    request_id=None,
)


def test_a_file_that_nobody_knows_is_taken() -> None:
    assert intake_of(None, SIGHTING, NOW, revive=False) is Intake.TAKE


@pytest.mark.parametrize("field", ["inode", "size_bytes", "mtime_ns", "ctime_ns", "device"])
def test_a_file_that_may_have_been_rewritten_is_taken(field: str) -> None:
    known = replace(KNOWN, identity=replace(IDENTITY, **{field: 99}))
    assert intake_of(known, SIGHTING, NOW, revive=False) is Intake.TAKE


def test_other_metadata_make_it_another_upload() -> None:
    assert intake_of(replace(KNOWN, context="other"), SIGHTING, NOW, revive=False) is Intake.TAKE


@pytest.mark.parametrize("state", [State.LIVE, State.RENEWING])
def test_a_good_id_is_left_alone(state: State) -> None:
    assert intake_of(replace(KNOWN, upload_state=state), SIGHTING, NOW, revive=True) is Intake.LIVE


def test_an_id_that_has_ended_comes_back_only_where_that_is_wanted() -> None:
    over = replace(KNOWN, expires_at=NOW)
    assert intake_of(over, SIGHTING, NOW, revive=True) is Intake.TAKE
    assert intake_of(over, SIGHTING, NOW, revive=False) is Intake.ENDED


def test_what_an_operator_has_purged_stays_purged() -> None:
    assert intake_of(replace(KNOWN, upload_state=State.PURGED), SIGHTING, NOW, revive=True) is Intake.ENDED


@pytest.mark.parametrize(
    ("state", "intake"),
    [
        (SourceState.WAITING, Intake.IN_LINE),
        (SourceState.QUARANTINED, Intake.QUARANTINED),
        (SourceState.VANISHED, Intake.TAKE),
    ],
)
def test_a_file_goes_by_where_it_stands(state: SourceState, intake: Intake) -> None:
    assert intake_of(replace(KNOWN, state=state), SIGHTING, NOW, revive=False) is intake
