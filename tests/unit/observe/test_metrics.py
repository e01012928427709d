from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingestor import __version__
from ingestor.observe.metrics import MOST_VALUES, Label, Metrics
from ingestor.observe.snapshot import Snapshot
from tests.fakes import START, FakeClock


class Counted:
    """Metrics, and what a scrape of them shows."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics(self.clock)
        self.notice = self.metrics.notice

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        text = self.metrics.exposition()[0].decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        return self.samples().get((f"ingestor_{name}", tuple(sorted(labels.items()))))


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_images_are_counted_by_folder_and_outcome(counted: Counted) -> None:
    for outcome in ("uploaded", "uploaded", "duplicate"):
        counted.notice("image_end", folder="products", outcome=outcome, bytes_read=10, bytes_sent=None)
    counted.notice("image_end", folder="products", outcome="quarantined", reason="truncated", bytes_sent=3)
    assert counted.value("files_total", folder="products", outcome="uploaded") == 2
    assert counted.value("files_total", folder="products", outcome="duplicate") == 1
    assert counted.value("files_total", folder="products", outcome="quarantined") == 1
    assert counted.value("quarantined_files_total", reason="truncated") == 1
    assert (counted.value("read_bytes_total"), counted.value("sent_bytes_total")) == (30, 3)
    assert counted.value("last_file_timestamp_seconds") == START.timestamp()


def test_what_is_tried_again_is_no_end(counted: Counted) -> None:
    counted.notice("image_end", folder="products", outcome="retry", reason="api")
    counted.notice("image_end", folder="products", outcome="snoozed", reason="busy")
    assert (counted.value("retries_total"), counted.value("snoozes_total")) == (1, 1)
    assert not [key for key in counted.samples() if key[0] == "ingestor_files_total"]


def test_seconds_are_observed_only_where_the_stage_was_reached(counted: Counted) -> None:
    counted.notice("image_end", outcome="uploaded", upload_seconds=0.3, normalise_seconds=0.02)
    counted.notice("image_end", outcome="duplicate", upload_seconds=None)
    assert counted.value("upload_seconds_count") == 1
    assert counted.value("upload_seconds_sum") == pytest.approx(0.3)
    assert counted.value("upload_seconds_bucket", le="0.25") == 0
    assert counted.value("upload_seconds_bucket", le="0.5") == 1
    assert counted.value("normalise_seconds_bucket", le="0.025") == 1


def test_a_folder_tells_what_it_found_and_how_it_is_watched(counted: Counted) -> None:
    counted.notice("found", folder="products", number=3)
    counted.notice("file_event", folder="products", number=3)
    counted.clock.advance(5)
    counted.notice("scan_end", folder="products", files=3, seconds=0.5, rescued=2)
    counted.notice("watch_mode", folder="products", mode="poll", why="NFS", degraded=True)
    assert counted.value("found_files_total", folder="products") == 3
    assert counted.value("rescued_files_total", folder="products") == 2
    assert counted.value("scans_total", folder="products") == 1
    assert counted.value("last_event_timestamp_seconds", folder="products") == START.timestamp()
    assert counted.value("last_scan_timestamp_seconds", folder="products") == START.timestamp() + 5
    assert counted.value("last_scan_duration_seconds", folder="products") == 0.5
    assert counted.value("watch_mode", folder="products", mode="poll") == 1
    assert counted.value("watch_mode", folder="products", mode="native") == 0
    assert counted.value("watch_degraded", folder="products") == 1


def test_a_folder_that_is_gone_shows_until_it_is_back(counted: Counted) -> None:
    counted.notice("folder_gone", folder="products", path="/in")
    assert counted.value("folder_present", folder="products") == 0
    counted.notice("folder_back", folder="products", path="/in")
    assert counted.value("folder_present", folder="products") == 1


def test_429s_and_retries_are_counted_by_call_from_0_on(counted: Counted) -> None:
    assert counted.value("rate_limited_total", call="upload") == 0
    counted.notice("quota_held", call="upload", seconds=3.0)
    counted.notice("api_retry", call="fetch", why="502", faults=1, seconds=1.0, request_id=None)
    assert counted.value("rate_limited_total", call="upload") == 1
    assert counted.value("api_retries_total", call="fetch") == 1


def test_one_reason_for_a_pause_shows_at_a_time(counted: Counted) -> None:
    counted.notice("api_paused", reason="unreachable", message="m")
    counted.notice("api_paused", reason="key", message="m")
    assert counted.value("api_paused", reason="key") == 1
    assert counted.value("api_paused", reason="unreachable") == 0
    counted.notice("api_resumed", reason="key", seconds=1)
    assert counted.value("api_paused", reason="key") == 0


def test_a_full_disk_shows_until_it_is_cured(counted: Counted) -> None:
    counted.notice("disk_paused", reason="disk_full", message="m")
    assert counted.value("disk_paused") == 1
    counted.notice("disk_resumed")
    assert counted.value("disk_paused") == 0


@pytest.mark.parametrize(
    ("event", "facts", "name", "value"),
    [
        ("worker_lost", {"message": "m"}, "workers_lost_total", 1),
        ("internal_fault", {"error": ValueError()}, "internal_faults_total", 1),
        ("renewal_planned", {"number": 4}, "renewals_planned_total", 4),
        ("expired", {"number": 5}, "expired_files_total", 5),
    ],
)
def test_other_events_count(counted: Counted, event: str, facts: dict[str, object], name: str, value: float) -> None:
    counted.notice(event, **facts)
    assert counted.value(name) == value


@pytest.mark.parametrize("odd", [None, "many", math.nan, math.inf, -3])
def test_a_number_that_is_none_counts_as_0(counted: Counted, odd: object) -> None:
    counted.notice("found", folder="products", number=odd)
    counted.notice("image_end", outcome="uploaded", folder="products", bytes_read=odd)
    assert counted.value("found_files_total", folder="products") == 0
    assert counted.value("read_bytes_total") == 0


def test_an_unknown_event_counts_nowhere(counted: Counted) -> None:
    def known() -> dict[object, float]:
        return {key: value for key, value in counted.samples().items() if key[0].startswith("ingestor_")}

    before = str(known())
    counted.notice("something_new", folder="products", path="a")
    assert str(known()) == before


# -- snapshots


def test_a_snapshot_shows_how_things_stand(counted: Counted) -> None:
    counted.metrics.set_snapshot(
        Snapshot(
            queue={"waiting": 3, "working": 2},
            oldest_waiting_seconds=12.5,
            entries={("products", "live"): 7, ("frames", "live"): 1},
            next_expiry_at=datetime(2026, 11, 25, tzinfo=UTC),
            quota_left=11,
            quota_capacity=60,
            quota_per_minute=30,
        )
    )
    assert counted.value("queue_files", state="waiting") == 3
    assert counted.value("oldest_waiting_seconds") == 12.5
    assert counted.value("entries", folder="products", state="live") == 7
    assert counted.value("next_expiry_timestamp_seconds") == datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    assert [counted.value(f"quota_{name}") for name in ("left", "capacity", "per_minute")] == [11, 60, 30]


def test_what_is_not_in_the_next_snapshot_shows_as_0(counted: Counted) -> None:
    counted.metrics.set_snapshot(Snapshot(queue={"waiting": 3}, entries={("products", "live"): 7}))
    counted.metrics.set_snapshot(Snapshot(queue={"working": 1}))
    assert counted.value("queue_files", state="waiting") == 0
    assert counted.value("queue_files", state="working") == 1
    assert counted.value("entries", folder="products", state="live") == 0


@pytest.mark.parametrize("name", ["next_expiry_timestamp_seconds", "quota_left", "last_file_timestamp_seconds"])
def test_what_nobody_knows_is_no_number(counted: Counted, name: str) -> None:
    assert math.isnan(counted.value(name) or 0)
    counted.metrics.set_snapshot(Snapshot())
    assert math.isnan(counted.value(name) or 0)


def test_the_build_is_told(counted: Counted) -> None:
    ((labels, value),) = [(dict(key[1]), value) for key, value in counted.samples().items() if "build" in key[0]]
    assert (labels["version"], value) == (__version__, 1)


# -- bounds


def test_a_label_has_a_bounded_number_of_values(counted: Counted) -> None:
    for number in range(3 * MOST_VALUES):
        counted.notice("image_end", outcome="quarantined", folder="products", reason=f"code_{number}")
    reasons = [key for key in counted.samples() if key[0] == "ingestor_quarantined_files_total"]
    assert len(reasons) == MOST_VALUES + 1
    assert counted.value("quarantined_files_total", reason="other") == 2 * MOST_VALUES


@pytest.mark.parametrize("odd", ["a" * 65, "two\nlines", "al_live_123456", "https://h.test/?sig=1"])
def test_a_label_shows_neither_long_texts_nor_secrets(odd: str) -> None:
    assert Label().of(odd) == "other"


def test_a_folder_may_have_any_honest_name() -> None:
    assert Label().of("Grüße 写真") == "Grüße 写真"


def test_folders_that_share_the_rest_of_a_label_are_added_up(counted: Counted) -> None:
    counted.metrics.set_snapshot(Snapshot(entries={(f"f{n}", "live"): 1 for n in range(MOST_VALUES + 5)}))
    assert counted.value("entries", folder="other", state="live") == 5


# -- exposition


def test_the_accept_header_decides_the_format(counted: Counted) -> None:
    plain, plain_type = counted.metrics.exposition()
    openmetrics, openmetrics_type = counted.metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert plain_type.startswith("text/plain")
    assert openmetrics_type.startswith("application/openmetrics-text")
    assert openmetrics.endswith(b"# EOF\n")
    assert not plain.endswith(b"# EOF\n")


def test_two_of_them_share_nothing() -> None:
    first, second = Counted(), Counted()
    first.notice("worker_lost")
    assert second.value("workers_lost_total") == 0


def test_the_process_is_measured_too(counted: Counted) -> None:
    assert counted.samples()["process_resident_memory_bytes", ()] > 0
