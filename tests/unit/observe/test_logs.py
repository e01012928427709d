from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import warnings
from datetime import UTC, datetime

import pytest
import time_machine

from ingestor.observe.logs import LogObserver, configure_logs, current_sink, logger
from tests.unit.observe.kit import Lines, Terminal

IMAGE = {
    "outcome": "uploaded",
    "folder": "products",
    "path": "a/b.jpg",
    "digest": "ab" * 32,
    "key": "ing1-" + "cd" * 32,
    "file_id": "file_01HQABCDEFGHJKMNPQRSTVWXYZ",
    "request_id": "req_1",
    "attempt": 1,
    "seconds": 1.23456789,
    "normalised": ("resized", "webp"),
}


def put_off(observer: LogObserver, outcome: str = "snoozed", path: str = "a.jpg", reason: str = "busy") -> None:
    observer.notice("image_end", outcome=outcome, folder="products", path=path, reason=reason, message="m")


# -- one line for each image


def test_an_images_end_is_one_line_with_all_that_an_operator_asks_for(logged: Lines) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 10, 0, 2, tzinfo=UTC), tick=False):
        LogObserver().notice("image_end", **IMAGE, fingerprint_seconds=0.1, after_seconds=0.1)
    assert logged.objects() == [
        {
            "timestamp": "2026-11-24T10:00:02.000Z",
            "level": "info",
            "event": "image_end",
            **IMAGE,
            "seconds": 1.235,
            "normalised": ["resized", "webp"],
        }
    ]


def test_facts_stand_in_reading_order_whatever_order_they_come_in(logged: Lines) -> None:
    LogObserver().notice("image_end", **dict(reversed(IMAGE.items())), unheard_of=1)
    names = list(logged.objects()[0])
    assert names[:6] == ["timestamp", "level", "event", "outcome", "folder", "path"]
    assert names[-1] == "unheard_of"


def test_what_is_not_known_is_left_out(logged: Lines) -> None:
    LogObserver().notice("image_end", outcome="uploaded", path="a", file_id=None, normalised=(), message="")
    assert set(logged.objects()[0]) == {"timestamp", "level", "event", "outcome", "path"}


def test_a_quarantine_is_a_warning_and_says_why(logged: Lines) -> None:
    put_off(LogObserver(), outcome="quarantined", reason="truncated")
    line = logged.objects()[0]
    assert (line["level"], line["reason"], line["message"]) == ("warning", "truncated", "m")


# -- repeats


@pytest.mark.parametrize(("outcome", "level"), [("snoozed", "info"), ("retry", "warning")])
def test_a_repeated_delay_for_the_same_reason_is_told_once_and_then_at_debug(
    logged: Lines, outcome: str, level: str
) -> None:
    observer = LogObserver()
    for _ in range(3):
        put_off(observer, outcome)
    assert [line["level"] for line in logged.objects()] == [level, "debug", "debug"]


def test_another_reason_or_another_path_is_news(logged: Lines) -> None:
    observer = LogObserver()
    put_off(observer)
    put_off(observer, reason="empty")
    put_off(observer, path="b.jpg")
    put_off(observer)
    assert [line["level"] for line in logged.objects()] == ["info", "info", "info", "debug"]


def test_after_the_image_came_to_its_end_the_same_delay_is_news_again(logged: Lines) -> None:
    observer = LogObserver()
    put_off(observer)
    observer.notice("image_end", outcome="uploaded", folder="products", path="a.jpg")
    put_off(observer)
    assert [line["level"] for line in logged.objects()] == ["info", "info", "info"]


def test_an_unreadable_folder_is_told_once_however_often_it_is_scanned(logged: Lines) -> None:
    observer = LogObserver()
    for _ in range(2):
        observer.notice("skipped", folder="f", path="sub", reason="unreadable_directory", message="m")
    assert [line["level"] for line in logged.objects()] == ["warning", "debug"]


def test_a_scan_that_saw_the_same_as_the_one_before_is_told_at_debug(logged: Lines) -> None:
    observer = LogObserver()
    for files in (5, 5, 6, 5):
        observer.notice("scan_end", folder="f", files=files, seconds=0.1, rescued=0)
    observer.notice("scan_end", folder="g", files=5, seconds=0.1, rescued=0)
    assert [line["level"] for line in logged.objects()] == ["info", "debug", "info", "info", "info"]


def test_a_full_disk_is_told_once_until_it_is_over(logged: Lines) -> None:
    observer = LogObserver()
    for _ in range(2):
        observer.notice("disk_paused", reason="disk_full", message="/var: full")
    observer.notice("disk_resumed")
    observer.notice("disk_paused", reason="disk_full", message="/var: full")
    assert [line["level"] for line in logged.objects()] == ["error", "debug", "info", "error"]


def test_beside_a_display_images_are_told_at_debug_and_all_else_as_ever(logged: Lines) -> None:
    observer = LogObserver(images=False)
    put_off(observer, outcome="quarantined")
    observer.notice("api_paused", reason="key", message="m")
    assert [line["level"] for line in logged.objects()] == ["debug", "error"]


# -- shape of a line


def test_facts_named_like_a_lines_own_fields_do_not_replace_them(logged: Lines) -> None:
    LogObserver().notice("start", level="x", timestamp="y")
    line = logged.objects()[0]
    assert (line["level"], line["level_"], line["event"], line["timestamp_"]) == ("info", "x", "start", "y")
    assert line["timestamp"] != "y"


@pytest.mark.parametrize("format", ["json", "console"])
def test_one_event_is_one_line_whatever_is_in_it(format: str) -> None:
    stream = Lines()
    configure_logs("info", format, stream)
    LogObserver().notice("start\nforged", path="a\nb\r\x85\u2028c", error=ValueError("x\ny"), nested={"k\n": "v\n"})
    assert len(stream.lines()) == 1


def test_a_name_that_is_not_utf_8_is_told_with_its_bytes_written_out(logged: Lines) -> None:
    LogObserver().notice("image_end", outcome="uploaded", path="caf\udce9.jpg")
    assert logged.objects()[0]["path"] == "caf\\xe9.jpg"


def test_an_error_comes_with_where_it_came_from(logged: Lines) -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        LogObserver().notice("internal_fault", where="/a", error=error)
    line = logged.objects()[0]
    assert (line["level"], line["error"]) == ("error", "ValueError: no")
    assert re.fullmatch(r"test_logs\.py:\d+ \w+: ValueError: no", line["traceback"])


# -- configuration


def test_auto_is_json_where_no_terminal_is() -> None:
    stream = Lines()
    configure_logs("info", "auto", stream)
    LogObserver().notice("start")
    assert json.loads(stream.getvalue())["event"] == "start"


def test_auto_is_for_people_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    configure_logs("info", "auto", stream)
    LogObserver().notice("image_end", outcome="uploaded", path="a b.jpg")
    line = stream.getvalue()
    assert "\x1b[" in line
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z \[info     \] image_end +outcome=uploaded path='a b\.jpg'\n", plain)


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_no_control_codes_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str]) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(*variable)
    stream = Terminal()
    configure_logs("info", "auto", stream)
    LogObserver().notice("start")
    assert "start" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_console_in_a_file_has_no_control_codes() -> None:
    stream = Lines()
    configure_logs("info", "console", stream)
    LogObserver().notice("start")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(("level", "told"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_what_is_told(level: str, told: int) -> None:
    stream = Lines()
    configure_logs(level, "json", stream)
    observer = LogObserver()
    observer.notice("stage", stage="upload")
    observer.notice("start")
    observer.notice("worker_lost")
    observer.notice("internal_fault")
    assert len(stream.lines()) == told


def test_the_last_configuration_counts_and_nothing_is_told_twice() -> None:
    first, second = Lines(), Lines()
    configure_logs("info", "json", first)
    sink = configure_logs("info", "json", second)
    logging.getLogger("aiohttp").warning("once")
    logger().info("start")
    assert (first.lines(), len(second.lines())) == ([], 2)
    assert current_sink() is sink


def test_before_any_configuration_it_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert current_sink() is None
    logger().info("start")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "start"


# -- libraries


def test_what_libraries_log_ends_in_the_same_place(logged: Lines) -> None:
    logging.getLogger("aiohttp.client").warning("connection %s lost", "Bearer abcdef")
    assert logged.objects()[0] | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "event": "connection Bearer … lost",
        "logger": "aiohttp.client",
    }


async def test_a_task_that_failed_unseen_is_told(logged: Lines) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "never retrieved", "exception": ValueError("no")})
    line = logged.objects()[-1]
    assert (line["logger"], line["level"], line["error"]) == ("asyncio", "error", "ValueError: no")


def test_warnings_are_logged(logged: Lines) -> None:
    configure_logs("info", "json", logged)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old ways", stacklevel=1)
    assert "old ways" in logged.objects()[0]["event"]


@pytest.mark.parametrize(("level", "told"), [("debug", ["info", "warning"]), ("info", ["warning"]), ("error", [])])
def test_libraries_are_told_of_less_than_we_are(level: str, told: list[str]) -> None:
    stream = Lines()
    configure_logs(level, "json", stream)
    library = logging.getLogger("alembic.runtime")
    library.debug("x")
    library.info("x")
    library.warning("x")
    assert [line["level"] for line in stream.objects()] == told


def test_a_librarys_line_that_cannot_be_put_together_is_told_of_once_without_its_content(logged: Lines) -> None:
    (ours,) = (handler for handler in logging.getLogger().handlers if "ingestor" in type(handler).__module__)
    for _ in range(2):
        ours.handle(logging.LogRecord("odd", logging.WARNING, __file__, 1, "%d", ("al_live_123456",), None))
    assert [line["event"] for line in logged.objects()] == ["log_line_failed"]
    assert "123456" not in logged.getvalue()


def test_the_observe_floor_does_without_prometheus_client_until_metrics_are_wanted() -> None:
    modules = "logs several recent progress summary snapshot metric_rows"
    imports = "; ".join(f"import ingestor.observe.{module}" for module in modules.split())
    code = f"import sys; {imports}; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
