"""Completion as shells ask for it: bash itself, and the two others by what their own functions ask."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Corner, Filled

PROGRAMS = Path(sys.executable).parent
IN_BASH = """
eval "$(ingestor --show-completion)"
read -ra COMP_WORDS <<< "$LINE"
[[ "$LINE" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ingestor_completion ingestor
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def stocked(corner: Corner) -> Corner:
    async def story(filled: Filled) -> None:
        for number, path in enumerate(("shoes/red.jpg", "shoes/blue.jpg", "bad.jpg"), 1):
            corner.drop(path, path.encode())
            if path != "bad.jpg":
                await filled.live(path, number)
        await filled.bad("bad.jpg")

    corner.fill(story)
    return corner


def offered(corner: Corner, line: str, **environment: str) -> list[str]:
    """What bash offers at the end of a line."""
    given = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "INGESTOR_CONFIG": str(corner.config), "LINE": line, **environment}
    ran = subprocess.run(
        ["bash", "--norc", "-c", IN_BASH], env=given, cwd=corner.folder, capture_output=True, text=True, timeout=60
    )
    assert ran.stderr == ""
    return [one for one in ran.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("ingestor explain ", ["bad.jpg", "shoes/blue.jpg", "shoes/red.jpg"]),
        ("ingestor url shoes/r", ["shoes/red.jpg"]),
        ("ingestor url inbox/shoes/b", ["inbox/shoes/blue.jpg"]),
        ("ingestor retry ", ["bad.jpg"]),
        ("ingestor url nothing-of-that", []),
        ("ingestor manifest --folder ", ["inbox"]),
        ("ingestor verify --folder o", []),
        ("ingestor re", ["renew", "retry"]),
    ],
)
def test_bash_offers_what_settings_and_ledger_know(stocked: Corner, line: str, offers: list[str]) -> None:
    assert sorted(offered(stocked, line)) == offers


def test_ids_are_offered_where_one_is_begun(stocked: Corner) -> None:
    ids = offered(stocked, "ingestor url file_")
    assert len(ids) == 2
    assert all(one.startswith("file_") for one in ids)


def test_the_settings_file_that_the_line_names_counts(stocked: Corner) -> None:
    line = f"ingestor explain -c {stocked.config} sho"
    assert len(offered(stocked, line, INGESTOR_CONFIG="/nowhere.yaml")) == 2


def test_no_settings_no_ledger_or_a_broken_one_offer_nothing_and_say_nothing(corner: Corner) -> None:
    assert offered(corner, "ingestor url ") == []
    assert not corner.ledger.exists()
    corner.ledger.parent.mkdir()
    corner.ledger.write_text("no ledger at all")
    assert offered(corner, "ingestor url ") == []
    assert offered(corner, "ingestor verify --folder ", INGESTOR_CONFIG="/nowhere.yaml") == []


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "ingestor url shoes/r"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "ingestor url shoes/r", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_zsh_and_fish_are_answered(stocked: Corner, shell: str, asked: dict[str, str]) -> None:
    given = {"PATH": "/usr/bin:/bin", "INGESTOR_CONFIG": str(stocked.config), "_INGESTOR_COMPLETE": f"complete_{shell}"}
    ran = subprocess.run(
        [PROGRAMS / "ingestor"], env={**given, **asked}, cwd=stocked.folder, capture_output=True, text=True, timeout=60
    )
    assert ran.stderr == ""
    assert "shoes/red.jpg" in ran.stdout
