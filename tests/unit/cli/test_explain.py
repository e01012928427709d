from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.ledger import LedgerLock
from ingestor.model import FileIdentity, Sighting, SourceFile
from ingestor.runtime.adhoc import ADHOC_FACT
from ingestor.runtime.now import RUNTIME_FACT
from tests.ledger_kit import content
from tests.unit.cli.conftest import Corner, Filled, on_terminal

KEYS = {
    "folder",
    "path",
    "source",
    "source_is",
    "put_away",
    "state",
    "reason",
    "message",
    "request_id",
    "attempts",
    "next_attempt_at",
    "found_at",
    "changed_at",
    "sha256",
    "size_bytes",
    "purpose",
    "metadata",
    "file_id",
    "idempotency_key",
    "generation",
    "created_at",
    "expires_at",
    "sent",
    "same_content",
    "story",
    "next",
}


@pytest.fixture
def filled(corner: Corner) -> Corner:
    """`sub/live.jpg`, renewed once; `text.jpg`, quarantined after an attempt; `waits.jpg`."""
    for name in ("sub/live.jpg", "text.jpg", "waits.jpg"):
        corner.drop(name, name.encode())

    async def story(ledger: Filled) -> None:
        await ledger.live("sub/live.jpg")
        await ledger.renewed(ledger.seen("sub/live.jpg"), content(1))
        text = ledger.seen("text.jpg")
        await ledger.taken(text)
        await ledger.ledger.postpone(
            text.source,
            event="retry",
            reason="internal",
            message="a fault of ours",
            request_id="req_9",
            attempt=1,
            delay_seconds=2.0,
        )
        await ledger.bad("text.jpg")
        await ledger.waits("waits.jpg")

    corner.fill(story)
    return corner


def only(corner: Corner, wanted: str) -> dict[str, Any]:
    """The one image that is meant."""
    ran = corner.run("explain", wanted, "--json")
    assert ran.code == 0, ran.err
    (image,) = ran.json["images"]
    return image  # type: ignore[no-any-return]


def elsewhere(corner: Corner, wanted: str) -> dict[str, Any]:
    """Why the one folder that the file is in does not take it."""
    ran = corner.run("explain", wanted, "--json")
    assert (ran.code, ran.json["images"]) == (0, [])
    (place,) = ran.json["elsewhere"]
    return place  # type: ignore[no-any-return]


def holding(corner: Corner) -> LedgerLock:
    lock = LedgerLock(corner.ledger, "ingestor watch")
    lock.acquire()
    return lock


# -- which image -----------------------------------------------------------------------------------


def test_the_json_has_the_documented_shape(filled: Corner) -> None:
    answer = filled.run("explain", "inbox/sub/live.jpg", "--json").json
    assert answer.keys() == {"wanted", "at", "images", "elsewhere", "unknown"}
    (image,) = answer["images"]
    assert image.keys() == KEYS
    assert image["sent"].keys() == {"mime_type", "size_bytes", "width_px", "height_px", "normalised"}
    assert all(event.keys() == {"at", "event", "text", "detail"} for event in image["story"])


@pytest.mark.parametrize(
    "wanted", ["inbox/sub/live.jpg", "./inbox/../inbox/sub/live.jpg", "sub/live.jpg", "file_00000000000000000000000002"]
)
def test_an_image_is_found_by_its_path_or_its_id(filled: Corner, wanted: str) -> None:
    assert only(filled, wanted)["path"] == "sub/live.jpg"


def test_an_image_is_found_by_its_absolute_path(filled: Corner) -> None:
    assert only(filled, str(filled.inbox / "sub" / "live.jpg"))["path"] == "sub/live.jpg"


def test_an_image_is_found_by_the_id_that_it_once_had(filled: Corner) -> None:
    image = only(filled, "file_00000000000000000000000001")
    assert (image["path"], image["file_id"]) == ("sub/live.jpg", "file_00000000000000000000000002")


def test_an_image_is_found_through_a_linked_folder(filled: Corner, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(filled.inbox)
    assert only(filled, "elsewhere/sub/live.jpg")["path"] == "sub/live.jpg"


def test_an_image_is_found_where_it_was_put_away(corner: Corner, tmp_path: Path) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg")
        await ledger.ledger.note_put_away(ledger.seen("a.jpg").source, str(tmp_path / "done" / "a.jpg"))

    corner.fill(story)
    (corner.inbox / "a.jpg").unlink()
    image = only(corner, "done/a.jpg")
    assert (image["path"], image["put_away"]) == ("a.jpg", str(tmp_path / "done" / "a.jpg"))


def test_an_image_of_a_folder_that_was_given_on_a_command_line_is_found(corner: Corner, tmp_path: Path) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "x.jpg").write_bytes(b"x")

    async def story(ledger: Filled) -> None:
        identity = FileIdentity.of(os.lstat(tmp_path / "extra" / "x.jpg"))
        source = SourceFile(folder="extra", root=tmp_path / "extra", path="x.jpg", identity=identity)
        await ledger.uploaded(Sighting(source=source, context="c"), content(5))
        known = {"extra": {"root": str(tmp_path / "extra"), "purpose": "reference", "metadata": {}}}
        await ledger.ledger.set_fact(ADHOC_FACT, known)

    corner.fill(story)
    assert only(corner, "extra/x.jpg")["folder"] == "extra"


def test_a_name_that_is_not_utf_8_is_explained(corner: Corner) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    corner.drop(name)

    async def story(ledger: Filled) -> None:
        await ledger.live(name)

    corner.fill(story)
    assert only(corner, f"inbox/{name}")["path"] == "caf\\xe9.jpg"
    assert "inbox/caf\\xe9.jpg" in corner.run("explain", f"inbox/{name}").out


def test_a_name_with_control_characters_cannot_steer_the_terminal(corner: Corner) -> None:
    name = "evil\x1b[2J\n.jpg"
    corner.drop(name)

    async def story(ledger: Filled) -> None:
        await ledger.live(name)

    corner.fill(story)
    shown = corner.run("explain", f"inbox/{name}").out
    assert "\x1b" not in shown
    assert shown.splitlines()[0].startswith("inbox/evil")


# -- its story -------------------------------------------------------------------------------------


def test_the_story_is_told_from_found_to_now_in_sentences(filled: Corner) -> None:
    shown = filled.run("explain", "inbox/sub/live.jpg").out
    told = [line for line in shown.splitlines() if re.match(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line)]
    assert len(told) == 3
    assert told[0].endswith("found, 12 B")
    assert "uploaded as file_00000000000000000000000001: image/webp, 8x9, 11 B, made smaller, written anew" in told[1]
    assert "uploaded again, now file_00000000000000000000000002: good until" in told[2]
    assert "Next: its id is good until" in shown


def test_a_quarantined_image_says_why_and_what_helps(filled: Corner) -> None:
    image = only(filled, "inbox/text.jpg")
    assert (image["state"], image["reason"], image["message"]) == ("quarantined", "not_an_image", "it is text")
    texts = [event["text"] for event in image["story"]]
    assert texts == [
        "attempt 1 failed, internal: a fault of ours (request req_9)",
        "quarantined, not_an_image: it is text",
    ]
    assert "`ingestor retry`" in image["next"]


def test_an_image_that_expired_while_nothing_ran_is_not_called_live(corner: Corner) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg")

    corner.fill(story, start=datetime.now(UTC) - timedelta(hours=25))
    image = only(corner, "inbox/a.jpg")
    assert image["state"] == "expired"
    assert "`ingestor backfill` uploads it again" in image["next"]


def test_the_end_of_an_id_is_told(corner: Corner) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        receipt = await ledger.live("a.jpg")
        await ledger.ledger.purge(content(1).content_id, receipt.file_id, "by hand")

    corner.fill(story)
    image = only(corner, "inbox/a.jpg")
    assert image["state"] == "purged"
    assert image["story"][-1]["text"] == "file_00000000000000000000000001 is gone at the API (by hand)"


def test_images_with_the_same_content_are_named(corner: Corner) -> None:
    for name in ("a.jpg", "b.jpg"):
        corner.drop(name, b"same")

    async def story(ledger: Filled) -> None:
        await ledger.live("a.jpg")
        await ledger.entered(ledger.seen("b.jpg"), content(1))

    corner.fill(story)
    assert only(corner, "inbox/a.jpg")["same_content"] == ["inbox/b.jpg"]


@pytest.mark.parametrize("what", ["unchanged", "changed", "gone"])
def test_what_became_of_the_file_since_is_told(filled: Corner, what: str) -> None:
    file = filled.inbox / "sub" / "live.jpg"
    if what == "changed":
        file.write_bytes(b"other bytes")
    elif what == "gone":
        file.unlink()
    assert only(filled, "sub/live.jpg")["source_is"] == what


# -- what happens next -----------------------------------------------------------------------------


def test_an_image_in_line_needs_somebody_who_takes_it(filled: Corner) -> None:
    assert "nothing is running" in only(filled, "inbox/waits.jpg")["next"]


def test_an_image_in_line_has_its_turn_while_the_daemon_runs(filled: Corner) -> None:
    lock = holding(filled)
    try:
        assert "its turn comes" in only(filled, "inbox/waits.jpg")["next"]
    finally:
        lock.release()


def test_an_image_in_line_waits_for_what_the_daemon_waits_for(filled: Corner) -> None:
    async def story(ledger: Filled) -> None:
        await ledger.ledger.set_fact(RUNTIME_FACT, {"waiting_for": "quota: 9 uploads wait for tokens"})

    filled.fill(story)
    lock = holding(filled)
    try:
        assert "everything waits for quota: 9 uploads" in only(filled, "inbox/waits.jpg")["next"]
    finally:
        lock.release()


def test_the_next_attempt_has_its_time_and_number(corner: Corner) -> None:
    corner.drop("a.jpg")

    async def story(ledger: Filled) -> None:
        seen = ledger.seen("a.jpg")
        await ledger.taken(seen)
        await ledger.ledger.postpone(
            seen.source,
            event="retry",
            reason="internal",
            message="m",
            request_id=None,
            attempt=2,
            delay_seconds=600.0,
        )

    corner.fill(story)
    lock = holding(corner)
    try:
        image = only(corner, "inbox/a.jpg")
    finally:
        lock.release()
    assert re.match(r"attempt 3 at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(in (9|10) min", image["next"])
    assert image["next_attempt_at"] > image["changed_at"]


# -- what the ledger does not know -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason", "words"),
    [
        ("a.jpg.part", "ignored", "the pattern *.part (by default) matches"),
        (".hidden.jpg", "ignored", "the pattern .* (by default) matches"),
        ("draft_1.jpg", "excluded", "the pattern draft_* (in `exclude`) matches"),
        ("notes.txt", "not_an_image_name", "does not end like that of an image"),
        ("raw/a.jpg", "ignored_folder", "the folder raw is not looked into: the pattern raw/ (in `exclude`) matches"),
        ("@eaDir/a.jpg", "ignored_folder", "the pattern @eaDir/ (by default) matches"),
        ("new.jpg", None, "nothing speaks against it"),
    ],
)
def test_a_file_that_was_not_taken_is_told_why(corner: Corner, path: str, reason: str | None, words: str) -> None:
    corner.settings["folders"][0]["exclude"] = ["draft_*", "raw/"]
    corner.save()
    corner.drop(path)
    place = elsewhere(corner, f"inbox/{path}")
    assert (place["folder"], place["path"], place["reason"]) == ("inbox", path, reason)
    assert words in place["text"]
    assert words in corner.run("explain", f"inbox/{path}").out


def test_an_empty_file_waits_for_its_bytes(corner: Corner) -> None:
    corner.drop("a.jpg", b"")
    assert elsewhere(corner, "inbox/a.jpg")["reason"] == "empty"


def test_a_file_that_changed_a_moment_ago_has_not_settled(corner: Corner) -> None:
    corner.settings["folders"][0]["settle"] = "1h"
    corner.save()
    corner.drop("a.jpg", age_seconds=0)
    place = elsewhere(corner, "inbox/a.jpg")
    assert place["reason"] == "settling"
    assert "less than 1 h ago" in place["text"]


def test_a_link_is_not_followed(corner: Corner, tmp_path: Path) -> None:
    (tmp_path / "real.jpg").write_bytes(b"x")
    (corner.inbox / "link.jpg").symlink_to(tmp_path / "real.jpg")
    assert elsewhere(corner, "inbox/link.jpg")["reason"] == "symlink"


def test_a_pipe_is_never_opened(corner: Corner) -> None:
    os.mkfifo(corner.inbox / "pipe.jpg")
    assert elsewhere(corner, "inbox/pipe.jpg")["reason"] == "not_a_file"


def test_a_sidecar_points_to_its_image(corner: Corner) -> None:
    corner.drop("a.jpg")
    corner.drop("a.jpg.json", b"{}")
    place = elsewhere(corner, "inbox/a.jpg.json")
    assert place["reason"] == "sidecar"
    assert "the metadata of a.jpg" in place["text"]


def test_a_file_that_no_include_names_is_told_the_patterns(corner: Corner) -> None:
    corner.settings["folders"][0]["include"] = ["*.png", "*.webp"]
    corner.save()
    corner.drop("a.jpg")
    place = elsewhere(corner, "inbox/a.jpg")
    assert place["reason"] == "not_included"
    assert "*.png, *.webp" in place["text"]


def test_a_folder_that_is_not_recursive_does_not_look_inside(corner: Corner) -> None:
    corner.settings["folders"][0]["recursive"] = False
    corner.save()
    corner.drop("sub/a.jpg")
    assert elsewhere(corner, "inbox/sub/a.jpg")["reason"] == "not_recursive"
    assert elsewhere(corner, "inbox/sub")["reason"] == "not_recursive"


def test_a_folder_is_asked_about_by_its_files(corner: Corner) -> None:
    corner.drop("sub/a.jpg")
    assert elsewhere(corner, "inbox/sub")["reason"] == "folder"


def test_a_folder_that_images_are_put_away_to_is_said_to_be_that(corner: Corner) -> None:
    corner.settings["folders"][0] |= {"after_upload": "move:inbox/done", "exclude": ["/done/"]}
    corner.save()
    corner.drop("done/a.jpg")
    assert elsewhere(corner, "inbox/done/a.jpg")["reason"] == "ignored_folder"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("inbox/never.jpg", "there is no such file, and the ledger has never seen one"),
        ("ingestor.yaml", "is in no drop folder"),
        ("file_00000000000000000000000099", "no image of this ledger has, or ever had, this file id"),
    ],
)
def test_what_nobody_knows_is_told_on_stderr(filled: Corner, wanted: str, words: str) -> None:
    ran = filled.run("explain", wanted)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.last_words
    assert filled.run("explain", wanted, "--json").json["unknown"] in ran.err


def test_before_anything_has_run_a_file_is_explained_all_the_same(corner: Corner) -> None:
    corner.drop("a.jpg")
    assert elsewhere(corner, "inbox/a.jpg")["reason"] is None
    assert not corner.ledger.parent.exists()


def test_on_a_terminal_of_80_columns_no_line_is_longer(filled: Corner) -> None:
    screen = on_terminal(["explain", "inbox/sub/live.jpg", "-c", str(filled.config)])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.decode())
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "file_00000000000000000000000002" in plain


@pytest.mark.parametrize("renew", ["never", "while-source-exists"])
def test_an_id_whose_file_is_gone_is_not_said_to_be_renewed(corner: Corner, renew: str) -> None:
    corner.settings["folders"][0]["renew"] = renew
    corner.save()
    corner.drop("gone.jpg")

    async def story(ledger: Filled) -> None:
        await ledger.live("gone.jpg")
        assert await ledger.ledger.miss("inbox", "", ["gone.jpg"], "not there any more")

    corner.fill(story)
    corner.inbox.joinpath("gone.jpg").unlink()
    (image,) = corner.run("explain", "--json", "gone.jpg").json["images"]
    assert image["state"] == "live"
    assert "its file is not there any more" in image["next"]
