from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.observe.cleaning import clean_text, forget_secrets
from ingestor.page.access import MOST_SESSIONS, SESSION_SECONDS, Access
from tests.fakes import FakeClock

TOKEN = "correct-horse-battery"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "token", TOKEN + "\n")


def write(path: Path, token: str, mode: int = 0o600) -> Path:
    path.write_text(token)
    path.chmod(mode)
    return path


def test_without_a_file_nobody_is_asked(clock: FakeClock) -> None:
    assert Access(None, clock).is_open


@pytest.mark.parametrize("token", [TOKEN, f" {TOKEN} \n"])
def test_the_token_admits(file: Path, clock: FakeClock, token: str) -> None:
    access = Access(file, clock)
    assert not access.is_open
    assert access.admits(token)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 20, "\udcff"])
def test_nothing_else_admits(file: Path, clock: FakeClock, token: str) -> None:
    assert not Access(file, clock).admits(token)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.chmod(0o640),
        lambda path: path.write_text("short"),
        lambda path: path.write_text(""),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["gone", "readable by others", "too short", "empty", "a folder"],
)
def test_a_file_that_is_no_secret_any_more_admits_nobody(file: Path, clock: FakeClock, spoil: object) -> None:
    access = Access(file, clock)
    session = access.begin_session()
    spoil(file)  # type: ignore[operator]
    for token in (TOKEN, "short", ""):
        assert not access.admits(token)
    assert not access.has_session(session)


def test_another_token_in_the_file_counts_at_once_and_ends_sessions(file: Path, clock: FakeClock) -> None:
    access = Access(file, clock)
    session = access.begin_session()
    write(file, "another-token-entirely")
    assert access.admits("another-token-entirely")
    assert not access.admits(TOKEN)
    assert not access.has_session(session)


def test_a_session_ends_by_itself_and_when_told(file: Path, clock: FakeClock) -> None:
    access = Access(file, clock)
    first, second = access.begin_session(), access.begin_session()
    assert first != second
    access.end_session(second)
    clock.advance(SESSION_SECONDS - 1)
    assert access.has_session(first)
    assert not access.has_session(second)
    clock.advance(1)
    assert not access.has_session(first)
    assert not access.has_session(None)
    assert not access.has_session("made up")


def test_sessions_do_not_grow_for_ever(file: Path, clock: FakeClock) -> None:
    access = Access(file, clock)
    sessions = [access.begin_session() for _ in range(MOST_SESSIONS + 1)]
    assert not access.has_session(sessions[0])
    assert all(access.has_session(session) for session in sessions[1:])


def test_a_proof_is_good_for_its_session_and_this_process(file: Path, clock: FakeClock) -> None:
    access = Access(file, clock)
    proof = access.form_proof("a")
    assert access.is_form_proof(proof, "a")
    for given in (access.form_proof("b"), access.form_proof(None), Access(file, clock).form_proof("a"), "", None, 5):
        assert not access.is_form_proof(given, "a")


def test_the_token_is_shown_to_nobody(file: Path, clock: FakeClock) -> None:
    try:
        Access(file, clock).admits(TOKEN)
        assert TOKEN not in clean_text(f"somebody typed {TOKEN} into a path")
    finally:
        forget_secrets()
