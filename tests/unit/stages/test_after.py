from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestor.disk import moves
from ingestor.errors import DiskFault, SourceNotReady
from ingestor.settings import AfterAction, AfterKind
from ingestor.stages import after
from ingestor.stages.after import DELETED, put_away, restore
from tests.ledger_kit import source_of

KEEP = AfterAction(kind=AfterKind.KEEP)
DELETE = AfterAction(kind=AfterKind.DELETE)
ERROR = {"reason": "not_an_image", "message": "no image", "at": "2026-11-24T10:00:00Z", "request_id": None}


def move(directory: Path) -> AfterAction:
    return AfterAction(kind=AfterKind.MOVE, dir=directory)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "x.jpg").write_bytes(b"image")
    return tmp_path / "in"


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the temporary one."""
    if os.stat("/dev/shm").st_dev == os.stat(tempfile.gettempdir()).st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder) / "out"


@pytest.fixture(params=["same file system", "another file system"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "out" if request.param == "same file system" else request.getfixturevalue("elsewhere")


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


# -- keep and delete


async def test_keep_leaves_the_file_and_says_so(root: Path) -> None:
    assert await put_away(source_of(root, "a/x.jpg"), KEEP) is None
    assert names(root) == ["a/x.jpg"]


async def test_delete_removes_the_file_and_its_sidecar_and_nothing_else(root: Path) -> None:
    (root / "a" / "x.jpg.json").write_text("{}")
    (root / "a" / "y.jpg").write_bytes(b"other")
    source = source_of(root, "a/x.jpg")
    assert await put_away(source, DELETE) == DELETED
    assert names(root) == ["a/y.jpg"]


async def test_delete_may_be_repeated(root: Path) -> None:
    source = source_of(root, "a/x.jpg")
    assert await put_away(source, DELETE) == DELETED
    assert await put_away(source, DELETE) == DELETED


async def test_delete_may_be_repeated_when_the_directory_is_gone_as_well(root: Path) -> None:
    source = source_of(root, "a/x.jpg")
    await put_away(source, DELETE)
    (root / "a").rmdir()
    assert await put_away(source, DELETE) == DELETED


@pytest.mark.parametrize("action", ["delete", "move"])
async def test_a_file_that_changed_since_it_was_hashed_stays(root: Path, tmp_path: Path, action: str) -> None:
    source = source_of(root, "a/x.jpg")
    (root / "a" / "x.jpg").write_bytes(b"other bytes")
    with pytest.raises(SourceNotReady) as raised:
        await put_away(source, DELETE if action == "delete" else move(tmp_path / "out"))
    assert raised.value.reason == "changed"
    assert (root / "a" / "x.jpg").read_bytes() == b"other bytes"
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []


@pytest.mark.parametrize("action", ["delete", "move"])
async def test_a_file_that_takes_the_place_in_the_last_moment_is_not_lost(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    source = source_of(root, "a/x.jpg")
    check = moves.check_identity

    def check_then_replace(*arguments: object) -> None:
        check(*arguments)  # type: ignore[arg-type]
        (root / "a" / "new").write_bytes(b"newer")
        os.replace(root / "a" / "new", root / "a" / "x.jpg")

    monkeypatch.setattr(moves, "check_identity", check_then_replace)
    with pytest.raises(SourceNotReady) as raised:
        await put_away(source, DELETE if action == "delete" else move(tmp_path / "out"))
    assert raised.value.reason == "changed"
    assert (root / "a" / "x.jpg").read_bytes() == b"newer"


async def test_a_delete_that_was_interrupted_is_finished_by_the_next_call(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(root, "a/x.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(moves.os, "unlink", lambda *args, **kwargs: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(DiskFault):
            await put_away(source, DELETE)
    assert len(names(root)) == 1
    assert await put_away(source, DELETE) == DELETED
    assert names(root) == []


async def test_an_interrupted_delete_gives_the_name_back_to_another_file(root: Path) -> None:
    source = source_of(root, "a/x.jpg")
    hidden = moves._hidden_name(source.absolute, "gone")
    (root / "a" / "x.jpg").unlink()
    (root / "a" / hidden).write_bytes(b"not what was meant")
    with pytest.raises(SourceNotReady) as raised:
        await put_away(source, DELETE)
    assert raised.value.reason == "changed"
    assert (root / "a" / "x.jpg").read_bytes() == b"not what was meant"


# -- move


async def test_move_keeps_the_path_below_the_drop_folder(root: Path, out: Path) -> None:
    assert await put_away(source_of(root, "a/x.jpg"), move(out)) == str(out / "a" / "x.jpg")
    assert (out / "a" / "x.jpg").read_bytes() == b"image"
    assert names(root) == []
    assert names(out) == ["a/x.jpg"]


async def test_move_keeps_mode_and_mtime(root: Path, out: Path) -> None:
    os.chmod(root / "a" / "x.jpg", 0o640)
    os.utime(root / "a" / "x.jpg", ns=(10**18, 10**18 + 5))
    source = source_of(root, "a/x.jpg")
    await put_away(source, move(out))
    status = os.stat(out / "a" / "x.jpg")
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, 10**18 + 5)


async def test_move_takes_a_free_name_and_never_an_existing_file(root: Path, out: Path) -> None:
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg").write_bytes(b"older")
    (out / "a" / "x (2).jpg").write_bytes(b"older still")
    assert await put_away(source_of(root, "a/x.jpg"), move(out)) == str(out / "a" / "x (3).jpg")
    assert (out / "a" / "x.jpg").read_bytes() == b"older"
    assert (out / "a" / "x (2).jpg").read_bytes() == b"older still"


async def test_a_directory_or_a_link_of_that_name_is_an_existing_file_too(root: Path, out: Path) -> None:
    (out / "a" / "x.jpg").mkdir(parents=True)
    (out / "a" / "x (2).jpg").symlink_to("/nowhere")
    assert await put_away(source_of(root, "a/x.jpg"), move(out)) == str(out / "a" / "x (3).jpg")


async def test_move_may_be_repeated_and_says_where_the_file_is(root: Path, out: Path) -> None:
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg").write_bytes(b"older")
    source = source_of(root, "a/x.jpg")
    first = await put_away(source, move(out))
    assert await put_away(source, move(out)) == first
    assert names(out) == ["a/x (2).jpg", "a/x.jpg"]


async def test_a_source_that_is_nowhere_is_not_ready(root: Path, out: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (root / "a" / "x.jpg").unlink()
    with pytest.raises(SourceNotReady) as raised:
        await put_away(source, move(out))
    assert raised.value.reason == "vanished"


async def test_a_move_stopped_between_copying_and_removing_ends_with_one_file(root: Path, elsewhere: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (elsewhere / "a").mkdir(parents=True)
    (elsewhere / "a" / "x.jpg").write_bytes(b"image")
    os.utime(elsewhere / "a" / "x.jpg", ns=(0, source.identity.mtime_ns))
    assert await put_away(source, move(elsewhere)) == str(elsewhere / "a" / "x.jpg")
    assert (names(root), names(elsewhere)) == ([], ["a/x.jpg"])


async def test_a_file_of_the_same_size_and_time_but_other_bytes_is_no_copy(root: Path, elsewhere: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (elsewhere / "a").mkdir(parents=True)
    (elsewhere / "a" / "x.jpg").write_bytes(b"imagE")
    os.utime(elsewhere / "a" / "x.jpg", ns=(0, source.identity.mtime_ns))
    assert await put_away(source, move(elsewhere)) == str(elsewhere / "a" / "x (2).jpg")


async def test_what_a_crash_left_of_a_copy_is_overwritten(root: Path, elsewhere: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (elsewhere / "a").mkdir(parents=True)
    (elsewhere / "a" / moves._hidden_name(source.absolute, "part")).write_bytes(b"ima")
    await put_away(source, move(elsewhere))
    assert names(elsewhere) == ["a/x.jpg"]


async def test_move_works_where_the_system_has_no_rename_that_spares(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestor.disk.names._renameat2", lambda *arguments: errno.EINVAL)
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg").write_bytes(b"older")
    assert await put_away(source_of(root, "a/x.jpg"), move(out)) == str(out / "a" / "x (2).jpg")
    assert (out / "a" / "x.jpg").read_bytes() == b"older"
    assert (out / "a" / "x (2).jpg").read_bytes() == b"image"


async def test_the_sidecar_goes_along_under_the_new_name(root: Path, out: Path) -> None:
    (root / "a" / "x.jpg.json").write_text('{"k": 1}')
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg").write_bytes(b"older")
    await put_away(source_of(root, "a/x.jpg"), move(out))
    assert names(root) == []
    assert (out / "a" / "x (2).jpg.json").read_text() == '{"k": 1}'


async def test_the_sidecar_never_replaces_another_one(root: Path, out: Path) -> None:
    (root / "a" / "x.jpg.json").write_text("new")
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg.json").write_text("old")
    assert await put_away(source_of(root, "a/x.jpg"), move(out)) == str(out / "a" / "x (2).jpg")
    assert (out / "a" / "x.jpg.json").read_text() == "old"
    assert (out / "a" / "x (2).jpg.json").read_text() == "new"


async def test_a_sidecar_left_by_a_crash_follows_with_the_next_call(root: Path, tmp_path: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (root / "a" / "x.jpg.json").write_text("{}")
    (tmp_path / "out" / "a").mkdir(parents=True)
    os.rename(root / "a" / "x.jpg", tmp_path / "out" / "a" / "x.jpg")
    await put_away(source, move(tmp_path / "out"))
    assert names(tmp_path / "out") == ["a/x.jpg", "a/x.jpg.json"]


async def test_a_name_of_255_bytes_is_shortened_only_where_a_number_is_needed(root: Path, out: Path) -> None:
    name = "é" * 125 + "a.jpg"
    assert len(os.fsencode(name)) == 255
    (root / name).write_bytes(b"one")
    assert await put_away(source_of(root, name), move(out)) == str(out / name)
    (root / name).write_bytes(b"two")
    second = await put_away(source_of(root, name), move(out))
    assert second is not None
    assert second.endswith("é (2).jpg")
    assert len(os.fsencode(Path(second).name)) <= 255


async def test_names_of_any_bytes_are_moved(root: Path, out: Path) -> None:
    for raw in (b"\xff\xfe.jpg", b"new\nline.jpg", b"-rf.jpg", "\N{GRINNING FACE}.jpg".encode()):
        name = os.fsdecode(raw)
        (root / name).write_bytes(b"image")
        assert await put_away(source_of(root, name), move(out), error=ERROR) == str(out / name)


async def test_a_link_in_the_target_does_not_lead_out_of_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "victim")
    with pytest.raises(DiskFault) as raised:
        await put_away(source_of(root, "a/x.jpg"), move(tmp_path / "out"))
    assert raised.value.reason == "disk_in_the_way"
    assert names(tmp_path / "victim") == []
    assert names(root) == ["a/x.jpg"]


async def test_a_path_with_dots_does_not_lead_out_of_the_target(root: Path, tmp_path: Path) -> None:
    (root / "y.jpg").write_bytes(b"image")
    with pytest.raises(DiskFault, match="leads out of its folder"):
        await put_away(source_of(root, "a/../y.jpg"), move(tmp_path / "out"))
    assert (root / "y.jpg").exists()


async def test_a_file_where_the_target_should_be_is_a_disk_fault_with_its_path(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(DiskFault) as raised:
        await put_away(source_of(root, "a/x.jpg"), move(tmp_path / "out"))
    assert str(tmp_path / "out") in str(raised.value)
    assert names(root) == ["a/x.jpg"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "disk_read_only"),
        (errno.EACCES, "disk_denied"),
        (errno.EIO, "disk"),
    ],
)
async def test_what_the_target_s_disk_says_is_a_disk_fault_and_the_source_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(moves, "rename_new", refuse)
    with pytest.raises(DiskFault) as raised:
        await put_away(source_of(root, "a/x.jpg"), move(tmp_path / "out"))
    assert raised.value.reason == reason
    assert str(tmp_path / "out") in str(raised.value)
    assert names(root) == ["a/x.jpg"]


# -- quarantine


async def test_an_error_file_tells_why_and_is_for_its_owner_alone(root: Path, out: Path) -> None:
    await put_away(source_of(root, "a/x.jpg"), move(out), error=ERROR)
    path = out / "a" / "x.error.json"
    assert json.loads(path.read_text()) == {"v": 1, "path": "a/x.jpg", "file": "x.jpg", **ERROR}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(out) == ["a/x.error.json", "a/x.jpg"]


async def test_two_images_of_one_stem_have_an_error_file_each(root: Path, out: Path) -> None:
    (root / "a" / "x.png").write_bytes(b"other")
    await put_away(source_of(root, "a/x.jpg"), move(out), error=ERROR)
    await put_away(source_of(root, "a/x.png"), move(out), error=ERROR)
    assert json.loads((out / "a" / "x.error.json").read_text())["file"] == "x.jpg"
    assert json.loads((out / "a" / "x.png.error.json").read_text())["file"] == "x.png"


async def test_an_error_file_is_written_anew_by_a_repeated_call(root: Path, out: Path) -> None:
    source = source_of(root, "a/x.jpg")
    await put_away(source, move(out), error=ERROR)
    await put_away(source, move(out), error={**ERROR, "message": "still none"})
    assert json.loads((out / "a" / "x.error.json").read_text())["message"] == "still none"
    assert names(out) == ["a/x.error.json", "a/x.jpg"]


async def test_a_user_s_own_file_of_that_name_is_not_overwritten(root: Path, out: Path) -> None:
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.error.json").write_text("mine")
    await put_away(source_of(root, "a/x.jpg"), move(out), error=ERROR)
    assert (out / "a" / "x.error.json").read_text() == "mine"
    assert json.loads((out / "a" / "x.jpg.error.json").read_text())["file"] == "x.jpg"


async def test_an_error_file_of_a_name_of_255_bytes_has_a_shorter_one(root: Path, out: Path) -> None:
    name = "a" * 251 + ".jpg"
    (root / name).write_bytes(b"x")
    await put_away(source_of(root, name), move(out), error=ERROR)
    (error,) = [path for path in out.iterdir() if path.name.endswith(".error.json")]
    assert json.loads(error.read_text())["file"] == name


# -- restore


async def test_restore_puts_the_file_back_and_removes_its_error_file(root: Path, out: Path) -> None:
    (root / "a" / "x.jpg.json").write_text("{}")
    source = source_of(root, "a/x.jpg")
    went = await put_away(source, move(out), error=ERROR)
    assert went is not None
    await restore(Path(went), source)
    assert names(root) == ["a/x.jpg", "a/x.jpg.json"]
    assert names(out) == []


async def test_restore_takes_the_original_name_back_whatever_it_had_become(root: Path, out: Path) -> None:
    (out / "a").mkdir(parents=True)
    (out / "a" / "x.jpg").write_bytes(b"older")
    source = source_of(root, "a/x.jpg")
    went = await put_away(source, move(out), error=ERROR)
    assert went is not None
    await restore(Path(went), source)
    assert (root / "a" / "x.jpg").read_bytes() == b"image"
    assert names(out) == ["a/x.jpg"]


async def test_restore_may_be_repeated(root: Path, out: Path) -> None:
    source = source_of(root, "a/x.jpg")
    went = Path(await put_away(source, move(out), error=ERROR) or "")
    await restore(went, source)
    await restore(went, source)
    assert names(root) == ["a/x.jpg"]


async def test_restore_makes_the_directory_that_was_removed_meanwhile(root: Path, tmp_path: Path) -> None:
    source = source_of(root, "a/x.jpg")
    went = Path(await put_away(source, move(tmp_path / "out")) or "")
    (root / "a").rmdir()
    await restore(went, source)
    assert names(root) == ["a/x.jpg"]


async def test_restore_takes_what_an_operator_has_mended(root: Path, tmp_path: Path) -> None:
    source = source_of(root, "a/x.jpg")
    went = Path(await put_away(source, move(tmp_path / "out"), error=ERROR) or "")
    went.write_bytes(b"mended")
    await restore(went, source)
    assert (root / "a" / "x.jpg").read_bytes() == b"mended"


async def test_restore_never_replaces_a_file(root: Path, out: Path) -> None:
    source = source_of(root, "a/x.jpg")
    went = Path(await put_away(source, move(out), error=ERROR) or "")
    (root / "a" / "x.jpg").write_bytes(b"came later")
    with pytest.raises(SourceNotReady) as raised:
        await restore(went, source)
    assert raised.value.reason == "changed"
    assert (root / "a" / "x.jpg").read_bytes() == b"came later"
    assert went.read_bytes() == b"image"
    assert (out / "a" / "x.error.json").exists()


async def test_restore_of_a_file_that_is_nowhere_says_so(root: Path, tmp_path: Path) -> None:
    source = source_of(root, "a/x.jpg")
    (root / "a" / "x.jpg").unlink()
    with pytest.raises(SourceNotReady) as raised:
        await restore(tmp_path / "out" / "x.jpg", source)
    assert raised.value.reason == "vanished"


async def test_restore_does_not_make_a_drop_folder_that_is_not_mounted(root: Path, tmp_path: Path) -> None:
    source = source_of(root, "a/x.jpg")
    went = Path(await put_away(source, move(tmp_path / "out")) or "")
    (root / "a").rmdir()
    root.rmdir()
    with pytest.raises(DiskFault):
        await restore(went, source)
    assert not root.exists()
    assert went.exists()


def test_error_names_are_endless_and_distinct() -> None:
    found = [next(iterator) for iterator in [after._error_names("x.jpg")] for _ in range(4)]
    assert found == ["x.error.json", "x.jpg.error.json", "x (2).jpg.error.json", "x (3).jpg.error.json"]
