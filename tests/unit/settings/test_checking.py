from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def two(file: Any, first: str, second: str) -> Any:
    return file.write(f"""
        folders:
          - {{path: {first}, purpose: reference, name: one}}
          - {{path: {second}, purpose: reference, name: two}}
    """)


def test_a_folder_that_does_not_exist_is_told(file: Any) -> None:
    file.write("folders: [{path: gone, purpose: reference}]")
    assert file.mistakes() == [
        f'FILE:1: folders[0].path: "{file.folder}/gone" does not exist; make it (mkdir -p) or correct the path'
    ]


def test_a_folder_that_is_a_file_is_told(file: Any) -> None:
    (file.folder / "x").touch()
    (said,) = file.write("folders: [{path: x, purpose: reference}]").mistakes()
    assert said.endswith("is not a folder; name the folder that the images are in")


@pytest.mark.parametrize("path", ["x/" * 3000, "x" * 300])
def test_a_path_that_the_system_cannot_hold_is_told(file: Any, path: str) -> None:
    (said,) = file.write(f"folders: [{{path: {path}, purpose: reference, name: x}}]").mistakes()
    assert said.startswith("FILE:1: folders[0].path: ")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("a", "a", "is the same folder as folders[0]; keep one of the two"),
        ("a", "./a/../a/", "is the same folder as folders[0]; keep one of the two"),
        ("a", "link", "is the same folder as folders[0]; keep one of the two"),
        ("a", "a/b", "lies inside folders[0]; give each image one folder"),
        ("a", "link/b/c", "lies inside folders[0]; give each image one folder"),
        ("a/b", "a", "contains folders[0]; give each image one folder"),
    ],
)
def test_folders_that_overlap_are_told_at_the_second(file: Any, first: str, second: str, said: str) -> None:
    file.folders("a/b/c")
    (file.folder / "link").symlink_to("a")
    (found,) = two(file, first, second).mistakes()
    assert found.startswith(f"FILE:3: folders[1].path: {said}")


def test_folders_side_by_side_do_not_overlap(file: Any) -> None:
    two(file.folders("a", "ab"), "a", "ab").load()


def test_a_folder_inside_one_that_is_not_recursive_does_not_overlap(file: Any) -> None:
    file.folders("a/b").write("""
        folders:
          - {path: a, purpose: reference, recursive: false}
          - {path: a/b, purpose: reference}
    """).load()


def test_names_are_unique(file: Any) -> None:
    (said,) = (
        file.folders("a/x", "b/x")
        .write("""
        folders:
          - {path: a/x, purpose: reference}
          - path: b/x
            purpose: reference
    """)
        .mistakes()
    )
    assert said == 'FILE:3: folders[1].name: "x" is the name of folders[0] too; give each folder its own'


@pytest.mark.parametrize("key", ["after_upload", "on_quarantine"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("in", '"{}/in" is the drop folder folders[0]; move to a place outside of it'),
        (".", '"{}" contains the drop folder folders[0]; move to a place outside of it'),
        ("in/done", '"{}/in/done" is inside the drop folder folders[0], where it would be found again; '
                    "move elsewhere, or add /done/ to its exclude"),
        ("file", '"{}/file" is not a folder; name one, or a path that does not exist yet'),
    ],
)  # fmt: skip
def test_a_target_that_would_feed_itself_is_told(file: Any, key: str, target: str, said: str) -> None:
    (file.folders("in").folder / "file").touch()
    file.write(f"folders:\n- path: in\n  purpose: reference\n  {key}: move:{target}\n")
    assert file.mistakes() == [f"FILE:4: folders[0].{key}: {said.format(file.folder)}"]


@pytest.mark.parametrize("more", ["recursive: false", "exclude: [done/]", "exclude: [/done/]", "exclude: [done]"])
def test_a_target_inside_is_fine_where_nothing_looks(file: Any, more: str) -> None:
    text = f"folders: [{{path: in, purpose: reference, after_upload: 'move:in/done', {more}}}]"
    action = file.folders("in").write(text).load().folders[0].after_upload
    assert (action.kind, action.dir) == ("move", file.folder / "in/done")


def test_ledger_and_manifest_are_files_of_their_own(file: Any) -> None:
    assert file.write("ledger: x\nmanifest: ./x\n").mistakes() == [
        "FILE:2: manifest: is the same file as the ledger; give each its own"
    ]
    (said,) = file.folders("x").write("ledger: x\n").mistakes()
    assert said == f'FILE:1: ledger: "{file.folder}/x" is a folder; name a file'


@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
@pytest.mark.parametrize("key", ["ledger", "manifest"])
def test_a_state_file_that_the_system_cannot_hold_is_told(file: Any, key: str, name: str) -> None:
    (file.folder / "file").touch()
    (said,) = file.write(f"{key}: {name}\n").mistakes()
    assert said.startswith(f"FILE:1: {key}: ")
    assert "cannot be used (" in said


@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
def test_a_target_that_the_system_cannot_hold_is_told(file: Any, name: str) -> None:
    (file.folders("in").folder / "file").touch()
    (said,) = file.write(f"folders: [{{path: in, purpose: reference, after_upload: 'move:{name}'}}]").mistakes()
    assert said.startswith("FILE:1: folders[0].after_upload: ")
    assert "cannot be used (" in said


def test_a_folder_that_cannot_be_read_is_told(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may read everything, so the answer of the system is given here.
    monkeypatch.setattr("ingestor.settings.checking.os.access", lambda path, mode: False)
    (said,) = file.folders("a").write("folders: [{path: a, purpose: reference}]").mistakes()
    assert said.endswith("cannot be read by this user; change its permissions")


def test_many_folders_are_checked_quickly(file: Any) -> None:
    names = [f"d{number}" for number in range(800)]
    file.folders(*names)
    lines = "".join(f"- {{path: {name}, purpose: reference}}\n" for name in names)
    assert len(file.write(f"folders:\n{lines}").load().folders) == 800
    assert Path(file.folder / "d0").is_dir()


def with_token(file: Any, listen: str, mode: int = 0o600, content: str = "0123456789abcdef") -> Any:
    token = file.folder / "token"
    token.write_text(content)
    token.chmod(mode)
    return file.write(f"status: {{listen: '{listen}', token_file: token}}")


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:8787", "[::]:1", "192.168.1.5:80", "host.example:80", "[::ffff:10.0.0.1]:80"]
)
def test_a_page_that_others_can_reach_needs_a_token(file: Any, listen: str) -> None:
    (said,) = file.write(f"status: {{listen: '{listen}'}}").mistakes()
    assert said.startswith(f"FILE:1: status.listen: {listen} can be reached from other machines; name a file")
    assert with_token(file, listen).load().status.token_file == file.folder / "token"


@pytest.mark.parametrize("listen", ["127.0.0.1:8787", "127.8.8.8:0", "localhost:1", "[::1]:80"])
def test_a_page_for_this_machine_alone_needs_none(file: Any, listen: str) -> None:
    assert str(file.write(f"status: {{listen: '{listen}'}}").load().status.listen) == listen


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700 | 0o001])
def test_a_token_that_others_can_read_is_refused(file: Any, mode: int) -> None:
    (said,) = with_token(file, "127.0.0.1:1", mode).mistakes()
    assert said.endswith("may be used by others than its owner; make it private (chmod 600)")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "does not exist; make it"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (lambda path: path.touch(0o600), "holds fewer than 16 characters"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_told(file: Any, make: Any, said: str) -> None:
    make(file.folder / "token")
    (found,) = file.write("status: {token_file: token}").mistakes()
    assert found.startswith(f'FILE:1: status.token_file: "{file.folder}/token" {said}')
