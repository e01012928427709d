from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestor.model import Sighting, Skipped
from ingestor.stages.discover import DropFolder, Piece, drop_folder, root_identity
from tests.ledger_kit import folder_settings, source_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def folder(root: Path, **fields: Any) -> DropFolder:
    return DropFolder(folder_settings(root, **fields))


def write(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"image")


def taken(drop: DropFolder) -> list[str]:
    return [sighting.source.path for piece in drop.walk() for sighting in piece.sightings]


def skipped(drop: DropFolder) -> dict[str, str]:
    return {one.path: one.reason for piece in drop.walk() for one in piece.skipped}


# -- listing


def test_every_image_below_the_root_is_found_in_order(root: Path) -> None:
    write(root, "b.jpg", "a.png", "d/x.webp", "d/e/y.jpg", "c/z.gif")
    assert taken(folder(root)) == ["a.png", "b.jpg", "c/z.gif", "d/x.webp", "d/e/y.jpg"]


def test_a_sighting_is_the_file_as_it_stands(root: Path) -> None:
    write(root, "a/b.jpg")
    (piece,) = folder(root).walk("a")
    (sighting,) = piece.sightings
    assert sighting.source == source_of(root, "a/b.jpg")
    assert (piece.directory, piece.whole) == ("a", True)


def test_a_path_by_itself_is_seen_as_its_listing_sees_it(root: Path) -> None:
    write(root, "a/b.jpg", "a/c.jpg")
    (root / "a" / "c.jpg.json").write_text("{}")
    drop = folder(root)
    (piece,) = drop.walk("a")
    assert [drop.sighting("a/b.jpg"), drop.sighting("a/c.jpg")] == list(piece.sightings)


def test_a_folder_that_is_not_recursive_names_no_subdirectories(root: Path) -> None:
    write(root, "a.jpg", "d/x.jpg")
    assert taken(folder(root, recursive=False)) == ["a.jpg"]


def test_what_is_not_taken_is_told_with_its_reason(root: Path) -> None:
    write(root, "a.txt", "b.jpg.part", ".hidden.jpg", "x.png", "ok.jpg", "y.png", "y.jpg.json")
    assert skipped(folder(root, exclude=["x.*"])) == {
        "a.txt": "not_an_image_name",
        "b.jpg.part": "ignored",
        ".hidden.jpg": "ignored",
        "x.png": "excluded",
        "y.jpg.json": "not_an_image_name",
    }


def test_links_are_not_followed_wherever_they_lead(root: Path, tmp_path: Path) -> None:
    write(tmp_path, "out/secret.jpg")
    write(root, "real.jpg", "d/x.jpg")
    (root / "file.jpg").symlink_to(tmp_path / "out" / "secret.jpg")
    (root / "dangling.jpg").symlink_to("/nowhere")
    (root / "out").symlink_to(tmp_path / "out")
    (root / "d" / "loop").symlink_to(root)
    (root / "self.jpg").symlink_to("self.jpg")
    drop = folder(root)
    assert taken(drop) == ["real.jpg", "d/x.jpg"]
    assert {path: reason for path, reason in skipped(drop).items() if path.endswith(".jpg")} == {
        "file.jpg": "symlink",
        "dangling.jpg": "symlink",
        "self.jpg": "symlink",
    }


def test_what_lies_behind_a_link_is_not_taken_when_it_is_named(root: Path, tmp_path: Path) -> None:
    write(tmp_path, "out/secret.jpg")
    write(root, "d/x.jpg")
    (root / "d" / "out").symlink_to(tmp_path / "out")
    drop = folder(root)
    assert drop.sighting("d/out/secret.jpg") == Skipped(path="d/out/secret.jpg", reason="symlink")
    (piece,) = drop.walk("d/out")
    assert (piece.skipped, len(piece.sightings)) == ((Skipped(path="d/out", reason="symlink"),), 0)


def test_a_root_that_is_a_link_is_the_user_s_choice(root: Path, tmp_path: Path) -> None:
    write(root, "x.jpg")
    (tmp_path / "link").symlink_to(root)
    assert taken(folder(tmp_path / "link")) == ["x.jpg"]


def test_what_is_no_regular_file_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket.png"))
        drop = folder(root)
        assert skipped(drop) == {"fifo.jpg": "not_a_file", "socket.png": "not_a_file"}
        assert drop.sighting("fifo.jpg") == Skipped(path="fifo.jpg", reason="not_a_file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_never_opened(root: Path) -> None:
    os.mknod(root / "null.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert skipped(folder(root)) == {"null.jpg": "not_a_file"}


def test_a_directory_that_is_named_like_an_image_is_a_directory(root: Path) -> None:
    write(root, "x.jpg/y.jpg")
    drop = folder(root)
    assert taken(drop) == ["x.jpg/y.jpg"]
    assert skipped(drop) == {}
    assert drop.sighting("x.jpg") == Skipped(path="x.jpg", reason="not_a_file")


@pytest.mark.parametrize(
    "raw",
    [b"new\nline.jpg", b"\xff\xfe.jpg", b"x" * 251 + b".jpg", "😀.jpg".encode(), b"-rf.jpg", b" .jpg", b"a\\b.jpg"],
)
def test_names_of_any_bytes_are_found_as_they_are(root: Path, raw: bytes) -> None:
    name = os.fsdecode(raw)
    write(root, f"d/{name}")
    for drop in (folder(root), folder(root, include=["*.jpg"], exclude=["none"])):
        assert taken(drop) == [f"d/{name}"]
        seen = drop.sighting(f"d/{name}")
        assert isinstance(seen, Sighting)
        assert os.fsencode(seen.source.absolute) == os.fsencode(root) + b"/d/" + raw


def test_hard_links_are_two_files(root: Path) -> None:
    write(root, "a.jpg")
    os.link(root / "a.jpg", root / "b.jpg")
    assert taken(folder(root)) == ["a.jpg", "b.jpg"]


def test_an_empty_file_is_seen(root: Path) -> None:
    (root / "a.jpg").touch()
    assert taken(folder(root)) == ["a.jpg"]


def test_nothing_is_there_where_nothing_is(root: Path) -> None:
    write(root, "a.jpg")
    assert folder(root).sighting("b.jpg") is None
    assert folder(root).sighting("a.jpg/b.jpg") is None
    assert folder(root).sighting("none/b.jpg") is None


# -- what cannot be read


def test_a_directory_that_cannot_be_read_is_told_and_costs_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "a/x.jpg", "b/y.jpg")
    opened = os.open

    def refuse(path: str, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(drop_folder.os, "open", refuse)
    drop = folder(root)
    assert taken(drop) == ["b/y.jpg"]
    (told,) = [one for piece in drop.walk() for one in piece.skipped]
    assert (told.path, told.reason) == ("a", "unreadable_directory")
    assert str(root / "a") in told.message
    assert "as soon as it can be read" in told.message


def test_a_directory_without_permission_is_told(as_nobody: Path) -> None:
    write(as_nobody, "a/x.jpg")
    (as_nobody / "a").chmod(0)
    assert skipped(folder(as_nobody)) == {"a": "unreadable_directory"}
    (as_nobody / "a").chmod(0o700)


async def test_pieces_come_in_the_order_of_the_walk(root: Path) -> None:
    write(root, "a.jpg", "b/c.jpg", "b/d/e.jpg", "f/g.jpg")
    assert [piece.directory async for piece in folder(root).pieces()] == ["", "b", "b/d", "f"]
    assert [piece.directory async for piece in folder(root).pieces("b")] == ["b", "b/d"]


def test_a_root_that_is_gone_is_a_directory_that_cannot_be_read(root: Path) -> None:
    drop = folder(root)
    root.rmdir()
    (piece,) = drop.walk("")
    assert [(one.path, one.reason) for one in piece.skipped] == [(".", "unreadable_directory")]
    assert not piece.whole
    root.write_text("")
    assert [piece.skipped[0].reason for piece in drop.walk("")] == ["unreadable_directory"]


class _Entry:
    """An entry of a listing whose file is `error` by the time it is looked at."""

    def __init__(self, name: str, error: OSError) -> None:
        self.name = name
        self.path = name
        self._error = error

    def is_file(self, *, follow_symlinks: bool) -> bool:
        return True

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise self._error


@pytest.mark.parametrize("fields", [{}, {"include": ["*.jpg"]}])
def test_a_file_that_goes_or_fails_between_the_listing_and_the_look_costs_no_other(
    root: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    write(root, "c.jpg")
    scandir, lstat = os.scandir, os.lstat
    errors = {"a.jpg": FileNotFoundError(2, "No such file or directory"), "b.jpg": OSError(5, "Input/output error")}

    def look(path: str) -> os.stat_result:
        if error := errors.get(os.path.basename(path)):
            raise error
        return lstat(path)

    class Scan:
        def __init__(self, path: int) -> None:
            with scandir(path) as entries:
                self._entries = [*(_Entry(name, error) for name, error in errors.items()), *entries]

        def __enter__(self) -> Iterator[Any]:
            return iter(self._entries)

        def __exit__(self, *arguments: object) -> None:
            return None

    monkeypatch.setattr(drop_folder.os, "scandir", Scan)
    monkeypatch.setattr(drop_folder.os, "lstat", look)
    drop = folder(root, **fields)
    assert taken(drop) == ["c.jpg"]
    assert skipped(drop) == {"b.jpg": "unreadable"}


def test_a_listing_that_breaks_off_tells_what_it_had_and_that_it_broke_off(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_folder, "PIECE", 2)
    write(root, *(f"{number}.jpg" for number in range(5)))
    scandir = os.scandir

    class Scan:
        def __init__(self, path: str) -> None:
            with scandir(path) as entries:
                self._entries = list(entries)

        def __enter__(self) -> Iterator[Any]:
            yield from self._entries[:4]
            raise OSError(5, "Input/output error")

        def __exit__(self, *arguments: object) -> None:
            return None

    monkeypatch.setattr(drop_folder.os, "scandir", Scan)
    pieces = list(folder(root).walk(""))
    assert sum(len(piece.sightings) for piece in pieces) in (2, 4)
    assert pieces[-1].skipped[0].reason == "unreadable_directory"
    assert not any(piece.whole for piece in pieces)


# -- pieces


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5, 6, 7])
def test_a_directory_comes_in_pieces_that_miss_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(drop_folder, "PIECE", 3)
    write(root, *(f"{index}.jpg" for index in range(number)))
    pieces = list(folder(root).walk(""))
    assert sorted(one.source.path for piece in pieces for one in piece.sightings) == [
        f"{index}.jpg" for index in range(number)
    ]
    assert all(len(piece.sightings) <= 3 for piece in pieces)
    assert [piece.whole for piece in pieces] == ([True] if number <= 3 else [False] * len(pieces))


def test_a_hundred_thousand_files_come_in_pieces_and_none_is_missed(root: Path) -> None:
    number = 100_000
    first = root / "0.jpg"
    first.touch()
    for index in range(1, number):
        os.link(first if index % 60_000 else _another(root, index), root / f"{index}.jpg")
        if index % 60_000 == 0:
            first = root / f"another-{index}.jpg"
    found = 0
    for piece in folder(root, exclude=["another-*"]).walk(""):
        assert len(piece.sightings) <= 5_000
        found += len(piece.sightings)
    assert found == number


def _another(root: Path, index: int) -> Path:
    """A file system has its limit of names for one file."""
    path = root / f"another-{index}.jpg"
    path.touch()
    return path


def test_marks_are_the_sightings_and_made_into_them_by_name(root: Path) -> None:
    write(root, "a/c.jpg", "a/b.jpg", "a/d.png")
    (piece,) = folder(root).walk("a")
    assert set(piece.marks.by_name) == {"b.jpg", "c.jpg", "d.png"}
    assert piece.named(["d.png", "b.jpg"]) == [piece.sightings[2], piece.sightings[0]]
    assert [one.source.path for one in piece.sightings[1:]] == ["a/c.jpg", "a/d.png"]
    identity = piece.sightings[0].source.identity
    assert piece.marks.by_name["b.jpg"] == (
        *(identity.device, identity.inode, identity.size_bytes, identity.mtime_ns, identity.ctime_ns),
    )


def test_a_piece_that_no_listing_made_has_no_marks() -> None:
    piece = Piece(directory="", sightings=(), skipped=(), subdirectories=(), whole=False)
    assert piece.named([]) == []
    assert not piece.marks.by_name


# -- context


def context_of(drop: DropFolder, path: str = "x.jpg") -> str:
    seen = drop.sighting(path)
    assert isinstance(seen, Sighting)
    (piece,) = drop.walk("")
    listed = {one.source.path: one.context for one in piece.sightings}
    assert listed[path] == seen.context
    return seen.context


def test_the_context_changes_with_purpose_and_metadata_alone(root: Path) -> None:
    write(root, "x.jpg")
    base = context_of(folder(root, metadata={"a": 1}))
    assert context_of(folder(root, metadata={"a": 1}, settle="9s", exclude=["none"], name="inbox")) == base
    assert context_of(folder(root, metadata={"a": 2})) != base
    assert context_of(folder(root, metadata={"a": 1}, purpose="first_frame")) != base


def test_the_context_changes_when_a_sidecar_comes_changes_and_goes(root: Path) -> None:
    write(root, "x.jpg", "y.jpg")
    drop = folder(root)
    found = [context_of(drop)]
    (root / "x.jpg.json").write_text("{}")
    found.append(context_of(drop))
    (root / "x.jpg.json").write_text('{"a": 1}')
    found.append(context_of(drop))
    os.utime(root / "x.jpg.json", ns=(1, 1))
    found.append(context_of(drop))
    assert len(set(found)) == 4
    (root / "x.jpg.json").unlink()
    assert context_of(drop) == found[0]
    assert context_of(drop, "y.jpg") == found[0]


def test_sidecars_are_seen_also_where_a_directory_comes_in_pieces(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, *(f"{index}.jpg" for index in range(9)))
    (root / "4.jpg.json").write_text("{}")
    drop = folder(root)
    whole = {one.source.path: one.context for piece in drop.walk("") for one in piece.sightings}
    monkeypatch.setattr(drop_folder, "PIECE", 2)
    pieces = {one.source.path: one.context for piece in drop.walk("") for one in piece.sightings}
    assert pieces == whole
    assert len(set(whole.values())) == 2


# -- the root


def test_a_root_is_known_by_device_and_inode(root: Path, tmp_path: Path) -> None:
    status = root.stat()
    assert root_identity(root) == (status.st_dev, status.st_ino)
    assert root_identity(tmp_path / "none") is None
    (tmp_path / "file").write_text("")
    assert root_identity(tmp_path / "file") is None
    os.rename(root, tmp_path / "moved")
    root.mkdir()
    assert root_identity(root) != (status.st_dev, status.st_ino)
