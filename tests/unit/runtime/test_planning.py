"""A plan of folders on this disk, with a ledger that is made up and headers that are said to be so."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestor.errors import ImageRejected, ImageWorkerLost, SourceNotReady
from ingestor.ledger.overview import Held
from ingestor.model import ContentId, Digest, Known, Payload, SourceState, State
from ingestor.policy.idempotency import content_id
from ingestor.runtime.backfill import Selection
from ingestor.runtime.plan import Plan
from ingestor.runtime.planning import Planner
from ingestor.settings import FolderSettings
from ingestor.stages.discover import DropFolder
from ingestor.stages.fingerprint import fingerprint
from tests.fakes import FakeClock
from tests.ledger_kit import folder_settings, source_of

NOW = datetime.now(UTC)


class Headers:
    """An `ImageWorker` that knows what is in a file by its name."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def inspect(self, source: Path) -> Payload:
        self.asked.append(source.name)
        words = source.stem.split("-")
        if "text" in words:
            raise ImageRejected("not_an_image", f"{source.name}: is text")
        if "torn" in words:
            raise SourceNotReady("truncated", f"{source.name}: the end is missing")
        if "busy" in words:
            raise SourceNotReady("busy", f"{source.name}: is busy")
        if "lost" in words:
            raise ImageWorkerLost("no worker", solitary=True)
        steps = tuple(step for step in ("turned", "resized", "webp") if step in words)
        return Payload(
            file=source,
            is_source=not steps,
            sha256=Digest(""),
            mime_type="image/jpeg",
            size_bytes=0,
            width_px=1,
            height_px=1,
            normalised=steps,
            profile="as-is",
        )

    async def normalise(self, source: Path, spool: Path) -> Payload:
        raise AssertionError("a plan makes nothing")

    async def close(self) -> None: ...


class Books:
    """A ledger as a plan asks it."""

    def __init__(self) -> None:
        self.paths: dict[str, Known] = {}
        self.contents: dict[ContentId, Held] = {}
        self.content_by_path: dict[str, ContentId] = {}
        self.sizes: set[int] = set()
        self.asked = 0

    async def known(self, folder: str, directory: str, names: Sequence[str] | None = None) -> Mapping[str, Known]:
        self.asked += 1
        inside = {path: known for path, known in self.paths.items() if os.path.dirname(path) == directory}
        return {os.path.basename(path): known for path, known in inside.items()}

    async def source_sizes(self, among: Sequence[int]) -> frozenset[int]:
        return frozenset(self.sizes) & frozenset(among)

    async def standing_of(self, content_ids: Sequence[ContentId]) -> Mapping[ContentId, Held]:
        return {one: self.contents[one] for one in content_ids if one in self.contents}

    async def content_of(self, folder: str, path: str) -> ContentId | None:
        return self.content_by_path.get(path)


class Desk:
    """A folder, what is known of it, and the plan for it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.books = Books()
        self.headers = Headers()

    def drop(self, path: str, data: bytes | None = None) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode() if data is None else data)
        return file

    def knows(self, path: str, state: SourceState, upload: State | None = None, **fields: Any) -> None:
        facts: dict[str, Any] = {
            "identity": source_of(self.root, path).identity,
            "context": DropFolder(folder_settings(self.root)).context(None),
            "expires_at": NOW + timedelta(hours=1),
            "reason": None,
            "message": None,
            "request_id": None,
        }
        self.books.paths[path] = Known(state=state, upload_state=upload, **{**facts, **fields})

    async def holds(self, path: str, state: State, hours: float = 1.0, reason: str | None = None) -> ContentId:
        """The ledger has the content of this file, whichever path it came from."""
        settings = folder_settings(self.root)
        digest = await fingerprint(source_of(self.root, path))
        held = content_id(digest, settings.purpose, {})
        self.books.sizes.add((self.root / path).stat().st_size)
        self.books.contents[held] = Held(state=state, expires_at=NOW + timedelta(hours=hours), reason=reason)
        return held

    def planner(self, only: tuple[str, ...] | None = None, settings: FolderSettings | None = None) -> Planner:
        folder = DropFolder(settings or folder_settings(self.root, settle="1s"))
        selection = Selection(folder=folder, only=only)
        clock = FakeClock(datetime.now(UTC))
        return Planner([selection], books=self.books, images=self.headers, max_pixels=300_000_000, clock=clock)

    async def plan(self, only: tuple[str, ...] | None = None, **settings: Any) -> Plan:
        return await self.planner(only, folder_settings(self.root, **{"settle": "1s", **settings})).run()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# -- what becomes of a file ------------------------------------------------------------------------


async def test_an_empty_folder_needs_nothing(desk: Desk) -> None:
    plan = await desk.plan()
    assert (plan.discovered, plan.to_upload) == (0, 0)


async def test_every_file_is_counted_once_whatever_becomes_of_it(desk: Desk) -> None:
    for name in ("a.jpg", "b-resized.jpg", "c-text.jpg", "d-busy.jpg", "e.txt", "sub/f.jpg", "sub/copy.jpg", "g.part"):
        desk.drop(name, b"same" if name in ("sub/f.jpg", "sub/copy.jpg") else None)
    plan = await desk.plan()
    assert plan.discovered == 8
    assert (plan.new, plan.duplicates) == (3, 1)
    assert plan.skipped == {"not_an_image_name": 1, "ignored": 1}
    assert plan.quarantined == {"not_an_image": 1}
    assert plan.deferred == {"busy": 1}


async def test_the_work_on_images_is_told_from_their_headers(desk: Desk) -> None:
    for name in ("a.jpg", "b-turned-resized.jpg", "c-resized-webp.jpg"):
        desk.drop(name)
    plan = await desk.plan()
    assert plan.work == {"as_found": 1, "turned": 1, "resized": 2, "webp": 1}
    assert plan.bytes_read == sum(file.stat().st_size for file in desk.root.iterdir())


async def test_a_live_image_costs_nothing_and_its_end_is_remembered(desk: Desk) -> None:
    desk.drop("a.jpg")
    desk.knows("a.jpg", SourceState.DONE, State.LIVE)
    plan = await desk.plan()
    assert (plan.already_live, plan.to_upload, desk.headers.asked) == (1, 0, [])
    assert plan.live_that_end_by(NOW + timedelta(minutes=59)) == 0
    assert plan.live_that_end_by(NOW + timedelta(minutes=61)) == 1


@pytest.mark.parametrize(
    ("state", "upload", "kind"),
    [
        (SourceState.DONE, State.EXPIRED, "expired"),
        (SourceState.WAITING, State.WAITING, "in_line"),
        (SourceState.VANISHED, None, "expired"),
    ],
)
async def test_an_image_that_is_wanted_again_costs_a_token(
    desk: Desk, state: SourceState, upload: State | None, kind: str
) -> None:
    desk.drop("a.jpg")
    desk.knows("a.jpg", state, upload)
    plan = await desk.plan()
    assert (plan.to_upload, getattr(plan, kind)) == (1, 1)


async def test_an_image_whose_id_was_purged_is_not_wanted_any_more(desk: Desk) -> None:
    desk.drop("a.jpg")
    desk.knows("a.jpg", SourceState.DONE, State.PURGED)
    assert (await desk.plan()).skipped == {"purged": 1}


async def test_a_quarantined_image_stays_so_with_its_reason(desk: Desk) -> None:
    desk.drop("a.jpg")
    desk.knows("a.jpg", SourceState.QUARANTINED, State.QUARANTINED, reason="corrupt", message="damaged")
    plan = await desk.plan()
    assert plan.quarantined == {"corrupt": 1}
    assert [(one.reason, one.message) for one in plan.problems] == [("corrupt", "damaged")]


async def test_a_changed_image_costs_a_token(desk: Desk) -> None:
    desk.drop("a.jpg")
    desk.knows("a.jpg", SourceState.DONE, State.LIVE)
    desk.drop("a.jpg", b"other bytes")
    assert (await desk.plan()).changed == 1


async def test_a_touched_image_with_the_same_bytes_is_live_still(desk: Desk) -> None:
    file = desk.drop("a.jpg")
    desk.knows("a.jpg", SourceState.DONE, State.LIVE)
    os.utime(file, (1, 1))
    desk.books.content_by_path["a.jpg"] = await desk.holds("a.jpg", State.LIVE)
    plan = await desk.plan()
    assert (plan.already_live, plan.changed, desk.headers.asked) == (1, 0, [])


async def test_a_truncated_image_that_is_still_young_is_left_for_another_run(desk: Desk) -> None:
    desk.drop("torn.jpg")
    assert (await desk.plan(settle="1h")).deferred == {"truncated": 1}


async def test_a_truncated_image_that_nobody_writes_any_more_is_quarantined(desk: Desk) -> None:
    desk.drop("torn.jpg")
    planner = desk.planner(settings=folder_settings(desk.root, settle="0s"))
    planner._clock = FakeClock(NOW + timedelta(hours=1))
    assert (await planner.run()).quarantined == {"truncated": 1}


async def test_a_sidecar_that_cannot_be_used_quarantines_its_image(desk: Desk) -> None:
    desk.drop("a.jpg")
    desk.drop("a.jpg.json", b"not json")
    plan = await desk.plan()
    assert plan.quarantined == {"bad_sidecar": 1}
    assert desk.headers.asked == []


async def test_workers_that_do_not_start_end_the_plan(desk: Desk) -> None:
    desk.drop("lost.jpg")
    with pytest.raises(ImageWorkerLost):
        await desk.plan()


# -- duplicates ------------------------------------------------------------------------------------


async def test_the_same_bytes_under_two_names_cost_one_token_and_one_look(desk: Desk) -> None:
    desk.drop("a.jpg", b"same")
    desk.drop("b.jpg", b"same")
    desk.drop("c.jpg", b"othe")
    plan = await desk.plan()
    assert (plan.new, plan.duplicates) == (2, 1)
    assert len(desk.headers.asked) == 2


async def test_twins_of_a_bad_image_are_as_bad(desk: Desk) -> None:
    for name in ("a-text.jpg", "b-text.jpg"):
        desk.drop(name, b"same")
    assert (await desk.plan()).quarantined == {"not_an_image": 2}


async def test_each_of_two_bad_twins_is_told_by_its_own_name(desk: Desk) -> None:
    names = ("a-text.jpg", "b-text.jpg", "deep/c-text.jpg")
    for name in names:
        desk.drop(name, b"same")
    told = {problem.path: problem.message for problem in (await desk.plan()).problems}
    assert told == {str(desk.root / path): f"{os.path.basename(path)}: is text" for path in names}
    assert len(desk.headers.asked) == 1


async def test_a_twin_of_what_is_not_ready_is_judged_by_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingestor.runtime.planning.AT_ONCE", 1)  # in the order of their names
    fresh, old = desk.drop("a-torn.jpg", b"same"), desk.drop("b-torn.jpg", b"same")
    later = NOW + timedelta(hours=1)
    written_at = later.timestamp() - 30
    os.utime(fresh, (written_at, written_at))
    planner = desk.planner(settings=folder_settings(desk.root, settle="60s"))
    planner._clock = FakeClock(later)
    plan = await planner.run()
    assert (plan.deferred, plan.quarantined) == ({"truncated": 1}, {"truncated": 1})
    assert {problem.path: problem.message for problem in plan.problems} == {
        str(fresh): "a-torn.jpg: the end is missing",
        str(old): "b-torn.jpg: the end is missing",
    }


async def test_metadata_that_names_the_file_makes_twins_two_images(desk: Desk) -> None:
    desk.drop("a.jpg", b"same")
    desk.drop("b.jpg", b"same")
    plan = await desk.plan(metadata={"from": "{relpath}"})
    assert (plan.new, plan.duplicates) == (2, 0)


async def test_a_new_name_for_bytes_that_are_live_is_a_duplicate(desk: Desk) -> None:
    desk.drop("a.jpg")
    await desk.holds("a.jpg", State.LIVE)
    plan = await desk.plan()
    assert (plan.duplicates, plan.to_upload) == (1, 0)
    assert plan.live_that_end_by(NOW + timedelta(hours=2)) == 1


async def test_a_new_name_for_bytes_that_have_expired_costs_a_token(desk: Desk) -> None:
    desk.drop("a.jpg")
    await desk.holds("a.jpg", State.LIVE, hours=-1)
    assert (await desk.plan()).new == 1


async def test_a_new_name_for_bytes_that_are_quarantined_is_quarantined(desk: Desk) -> None:
    desk.drop("a.jpg")
    await desk.holds("a.jpg", State.QUARANTINED, reason="corrupt")
    assert (await desk.plan()).quarantined == {"corrupt": 1}


async def test_nothing_is_hashed_where_no_other_file_has_the_size(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    async def counted(source: Any) -> Digest:
        hashed.append(source.path)
        return await fingerprint(source)

    monkeypatch.setattr("ingestor.runtime.planning.fingerprint", counted)
    for name, data in (("a.jpg", b"1"), ("b.jpg", b"22"), ("c.jpg", b"33")):
        desk.drop(name, data)
    await desk.plan()
    assert sorted(hashed) == ["b.jpg", "c.jpg"]


# -- what is looked at -----------------------------------------------------------------------------


async def test_only_what_is_named_is_looked_at(desk: Desk) -> None:
    for name in ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg", "other/d.jpg"):
        desk.drop(name)
    plan = await desk.plan(("a.jpg", "sub"))
    assert plan.new == 3


async def test_a_named_file_that_is_no_image_is_counted_as_skipped(desk: Desk) -> None:
    desk.drop("notes.txt")
    plan = await desk.plan(("notes.txt", "gone.jpg"))
    assert plan.skipped == {"not_an_image_name": 1, "vanished": 1}


async def test_a_folder_with_nothing_new_is_gone_through_once(desk: Desk) -> None:
    for name in ("a.jpg", "sub/b.jpg"):
        desk.drop(name)
        desk.knows(name, SourceState.DONE, State.LIVE)
    await desk.plan()
    assert desk.books.asked == 2  # one question for each directory


async def test_a_folder_that_cannot_be_listed_is_told_and_the_rest_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.drop("locked/a.jpg")
    desk.drop("open/b.jpg")
    opened = os.open

    def guarded(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", guarded)
    plan = await desk.plan()
    assert (plan.new, plan.skipped) == (1, {"unreadable_directory": 1})
    assert "locked" in plan.problems[0].path


async def test_how_far_it_is_can_be_seen(desk: Desk) -> None:
    for name in ("a.jpg", "b.jpg", "c.txt"):
        desk.drop(name)
    planner = desk.planner()
    await planner.run()
    assert (planner.listed, planner.looked_at) == (3, 2)
