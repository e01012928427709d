from __future__ import annotations

from typing import Any

import pytest

from ingestor.errors import (
    AccountRefused,
    ApiRefusedImage,
    ApiUnavailable,
    DiskFault,
    EnvironmentFault,
    ImageRejected,
    ImageWorkerLost,
    KeyConflict,
    LedgerUnreadable,
    MetadataRejected,
    SourceNotReady,
)
from ingestor.model import FileIdentity, Quarantined, Retry, Snoozed
from ingestor.policy.endings import RETRY, Circumstances, ending_of

QUIET = 2.0
NOW = 1_000_000.0


def circumstances(attempt: int = 1, age_seconds: float = 0.0) -> Circumstances:
    changed = int((NOW - age_seconds) * 1e9)
    identity = FileIdentity(device=1, inode=2, size_bytes=3, mtime_ns=changed, ctime_ns=changed)
    return Circumstances(attempt=attempt, identity=identity, quiet_seconds=QUIET, wall=NOW, chance=0.0)


@pytest.mark.parametrize(
    "fault",
    [
        AccountRefused("key", "no"),
        AccountRefused("balance", "no"),
        ApiUnavailable("api", "down"),
        DiskFault("disk_full", "full"),
        EnvironmentFault("stopping", "stopping"),
        ImageWorkerLost("none could be started", solitary=False),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_fault_that_is_not_the_images_own_spends_no_attempt_and_blames_no_image(fault: Exception) -> None:
    assert isinstance(ending_of(fault, circumstances()), Snoozed)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImageRejected("corrupt", "damaged"), "corrupt"),
        (MetadataRejected("bad_sidecar", "no JSON"), "bad_sidecar"),
        (ApiRefusedImage("no", code="reference_blocked", request_id="req_1"), "reference_blocked"),
        (ApiRefusedImage("no"), "refused"),
    ],
)
def test_what_is_wrong_with_the_image_quarantines_it(error: Exception, reason: str) -> None:
    ending = ending_of(error, circumstances())
    assert isinstance(ending, Quarantined)
    assert ending.reason == reason


def test_a_truncated_image_settles_again_and_is_quarantined_only_when_nobody_writes_it_any_more() -> None:
    error = SourceNotReady("truncated", "the end is missing")
    assert isinstance(ending_of(error, circumstances(age_seconds=QUIET)), Snoozed)
    assert ending_of(error, circumstances(age_seconds=QUIET * 5)) == Quarantined(
        reason="truncated", message="the end is missing"
    )


@pytest.mark.parametrize("reason", ["changed", "busy", "unreadable", "empty", "vanished"])
def test_a_file_that_is_not_ready_is_looked_at_again(reason: str) -> None:
    ending = ending_of(SourceNotReady(reason, "not now"), circumstances())
    assert isinstance(ending, Snoozed)
    assert ending.delay_seconds > 0


@pytest.mark.parametrize("error", [KeyConflict("used", request_id="req_9"), ValueError("a bug"), ZeroDivisionError()])
def test_a_fault_of_ours_is_tried_again_ever_later_and_never_held_against_the_image(error: Exception) -> None:
    first, tenth = ending_of(error, circumstances(1)), ending_of(error, circumstances(10))
    assert isinstance(first, Retry)
    assert isinstance(tenth, Retry)
    assert first.attempt == 1
    assert first.delay_seconds < tenth.delay_seconds <= RETRY.most_seconds


def test_a_ledger_that_cannot_be_used_ends_more_than_an_attempt() -> None:
    with pytest.raises(LedgerUnreadable):
        ending_of(LedgerUnreadable("corrupt"), circumstances())


def test_the_request_id_that_support_asks_for_is_kept() -> None:
    ending: Any = ending_of(ApiRefusedImage("no", code="invalid_format", request_id="req_7"), circumstances())
    assert ending.request_id == "req_7"
