from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingestor.settings import load
from tests.unit.cli.conftest import Corner


def made(corner: Corner, *arguments: str) -> str:
    """The text of the settings file that comes of these arguments."""
    ran = corner.bare("init", "-c", "fresh.yaml", *arguments, "--yes")
    assert ran.code == 0, ran.err
    return (corner.folder / "fresh.yaml").read_text()


def test_what_it_writes_is_what_check_accepts(corner: Corner) -> None:
    made(corner, "--folder", "in/products", "--folder", "in/faces", "--purpose", "first_frame", "--sandbox")
    assert corner.bare("check", "-c", "fresh.yaml").code == 0
    settings = load(Path("fresh.yaml"), {})
    assert [folder.path for folder in settings.folders] == [
        corner.folder / "in" / "products",
        corner.folder / "in" / "faces",
    ]
    assert {folder.purpose for folder in settings.folders} == {"first_frame"}
    assert settings.api.is_sandbox


def test_the_file_is_commented(corner: Corner) -> None:
    text = made(corner, "--folder", "in")
    assert text.startswith("# Settings of ingestor.")
    for words in ("AUROUS_API_KEY", "keep it on a local disk", "one JSON object a line", "gitignore-style"):
        assert words in text


def test_what_is_not_said_has_its_default(corner: Corner) -> None:
    made(corner, "--folder", "in")
    settings = load(Path("fresh.yaml"), {})
    (folder,) = settings.folders
    assert (folder.name, folder.purpose, str(folder.after_upload)) == ("in", "reference", "keep")
    assert (settings.api.base_url, settings.api.key_file) == ("https://api.aurous-labs.com", None)
    assert settings.ledger == corner.folder / "var" / "ledger.db"


def test_relative_places_are_meant_from_here_and_not_from_the_file(corner: Corner) -> None:
    corner.bare(
        "init", "-c", "etc/deep/i.yaml", "--folder", "in", "--after-upload", "move:done", "--key-file", "k", "-y"
    )
    settings = load(Path("etc/deep/i.yaml"), {})
    assert settings.folders[0].path == corner.folder / "in"
    assert settings.folders[0].after_upload.dir == corner.folder / "done"
    assert settings.api.key_file == corner.folder / "k"


def test_the_default_place_is_where_the_other_commands_look(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert corner.bare("init", "--folder", "in", "--sandbox", "--yes").code == 0
    assert (corner.folder / "config" / "ingestor.yaml").exists()
    monkeypatch.setenv("INGESTOR_CONFIG", "elsewhere.yaml")
    assert corner.bare("init", "--folder", "in", "--sandbox", "--yes").code == 0
    assert (corner.folder / "elsewhere.yaml").exists()


def test_a_folder_that_is_missing_is_made(corner: Corner) -> None:
    made(corner, "--folder", "new/inner")
    assert (corner.folder / "new" / "inner").is_dir()


def test_two_folders_of_the_same_name_have_different_names_in_the_manifest(corner: Corner) -> None:
    made(corner, "--folder", "a/in", "--folder", "b/in", "--folder", "c/in")
    assert [folder.name for folder in load(Path("fresh.yaml"), {}).folders] == ["in", "in-2", "in-3"]


@pytest.mark.parametrize(
    "name", ["with space", "with: colon", 'with "quotes"', "# hash", "{brace}", "ünï", "it's", "-"]
)
def test_names_that_mean_something_to_yaml_are_kept(corner: Corner, name: str) -> None:
    made(corner, "--folder", f"in/{name}", "--after-upload", f"move:done {name}")
    (folder,) = load(Path("fresh.yaml"), {}).folders
    assert folder.path == corner.folder / "in" / name
    assert folder.after_upload.dir == corner.folder / f"done {name}"


# -- what it refuses -------------------------------------------------------------------------------


def test_a_file_that_is_there_is_never_overwritten(corner: Corner) -> None:
    before = corner.config.read_bytes()
    ran = corner.run("init", "--folder", "in", "--yes")
    assert ran.code == 2
    assert "is there already, and is never overwritten" in ran.last_words
    assert corner.config.read_bytes() == before


def test_a_dangling_link_is_not_written_through(corner: Corner) -> None:
    (corner.folder / "fresh.yaml").symlink_to("nowhere.yaml")
    assert corner.bare("init", "-c", "fresh.yaml", "--folder", "in", "--yes").code == 2
    assert not (corner.folder / "nowhere.yaml").exists()


def test_answers_that_cannot_be_used_are_all_told_and_nothing_is_left(corner: Corner) -> None:
    before = sorted(corner.folder.rglob("*"))
    ran = corner.bare("init", "-c", "f.yaml", "--folder", "new", "--purpose", "art", "--after-upload", "burn", "--yes")
    assert ran.code == 2
    assert '"art" is not one of reference, first_frame, last_frame' in ran.err
    assert '"burn" is not one of keep, move:DIR, delete' in ran.err
    assert sorted(corner.folder.rglob("*")) == before


def test_folders_inside_each_other_are_refused(corner: Corner) -> None:
    ran = corner.bare("init", "-c", "f.yaml", "--folder", "in", "--folder", "in/inner", "--yes")
    assert ran.code == 2
    assert "lies inside" in ran.err


def test_a_path_that_is_not_utf_8_is_refused(corner: Corner) -> None:
    ran = corner.bare("init", "-c", "f.yaml", "--folder", os.fsdecode(b"caf\xe9"), "--yes")
    assert ran.code == 2
    assert "UTF-8" in ran.last_words


def test_yes_needs_a_folder(corner: Corner) -> None:
    assert "--folder DIR" in corner.bare("init", "-c", "f.yaml", "--yes").last_words


def test_without_a_terminal_nothing_is_asked(corner: Corner) -> None:
    ran = corner.bare("init", "-c", "f.yaml")
    assert ran.code == 2
    assert "no terminal to ask on" in ran.last_words


# -- questions -------------------------------------------------------------------------------------

END = "\x04"
"""Control-D: there is no more to come."""


def answered(corner: Corner, *answers: tuple[str, str], arguments: tuple[str, ...] = ()) -> int:
    """Run `init` on a terminal, and answer each question when it stands there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ingestor", "init", "-c", "fresh.yaml", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=corner.folder,
    )
    os.close(slave)
    try:
        for question, answer in answers:
            _wait_for(master, question)
            os.write(master, answer.encode() if answer == END else f"{answer}\n".encode())
        deadline = time.monotonic() + 20
        while process.poll() is None:
            assert time.monotonic() < deadline, "it asks for more"
            _read(master)
        return process.returncode
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _wait_for(master: int, question: str) -> None:
    seen, deadline = "", time.monotonic() + 20
    while question not in seen:
        assert time.monotonic() < deadline, f"{question!r} was not asked, but: {seen}"
        seen += _read(master)


def _read(master: int) -> str:
    if not select.select([master], [], [], 0.02)[0]:
        return ""
    try:
        return os.read(master, 4096).decode()
    except OSError:
        return ""


def test_questions_lead_to_the_same_file(corner: Corner) -> None:
    code = answered(
        corner,
        ("Which folder", "pictures"),
        ("Make it?", "y"),
        ("Another one?", ""),
        ("What are the images for?", "art"),
        ("What are the images for?", "last_frame"),
        ("Where is the API key", "sandbox"),
        ("What becomes of an image", "burn"),
        ("What becomes of an image", "move:done"),
    )
    assert code == 0
    (folder,) = load(corner.folder / "fresh.yaml", {}).folders
    assert (folder.path, folder.purpose) == (corner.folder / "pictures", "last_frame")
    assert folder.after_upload.dir == corner.folder / "done"


def test_enter_takes_what_stands_in_brackets_and_options_are_not_asked_for(corner: Corner) -> None:
    code = answered(
        corner,
        ("Which folder", ""),
        ("Another one?", ""),
        arguments=("--purpose", "reference", "--sandbox", "--after-upload", "keep"),
    )
    assert code == 0
    assert load(corner.folder / "fresh.yaml", {}).folders[0].path == corner.inbox


def test_a_questionnaire_that_is_broken_off_writes_nothing(corner: Corner) -> None:
    assert answered(corner, ("Which folder", "inbox"), ("Another one?", END)) == 130
    assert not (corner.folder / "fresh.yaml").exists()
