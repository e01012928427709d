"""`ingestor explain` for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestor.cli.tables import Cell, blank, facts, heading, text
from ingestor.observe.instants import local, parsed
from ingestor.observe.wording import size

_STYLES = {"live": "green", "renewing": "green", "quarantined": "bold red", "expired": "yellow", "purged": "yellow"}


def print_explanation(answer: Mapping[str, Any]) -> None:
    for number, image in enumerate(answer["images"]):
        _image(image, first=not number)
    for number, place in enumerate(answer["elsewhere"]):
        heading(f"{place['folder']}/{place['path']}", gap=bool(number))
        text(f"The ledger does not know it: {place['text']}.", indent=2)


def _image(image: Mapping[str, Any], *, first: bool) -> None:
    heading(f"{image['folder']}/{image['path']}", gap=not first)
    facts(_now(image), indent=2)
    blank()
    story = [(_at(image["found_at"]), f"found, {size(image['size_bytes'])}")]
    story += [(_at(event["at"]), event["text"]) for event in image["story"]]
    facts(story, indent=2)
    blank()
    text(f"Next: {image['next']}.", indent=2)


def _now(image: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Where it stands; what is empty is left out."""
    why = f": {image['message']}" if image["message"] else ""
    pairs: list[tuple[str, object]] = [
        ("state", Cell(f"{image['state']}{why}", _STYLES.get(image["state"], ""))),
        ("file", f"{image['source']}{_FILE[image['source_is']]}"),
        ("put away", image["put_away"]),
        ("file id", image["file_id"]),
        ("attempts", image["attempts"]),
        ("same image", _listed(image["same_content"])),
        ("request id", image["request_id"]),
    ]
    return [(name, value) for name, value in pairs if value]


_FILE = {"unchanged": "", "changed": " (changed since; the next scan takes it)", "gone": " (not there any more)"}


def _listed(others: list[str]) -> str:
    return ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")


def _at(value: Any) -> str:
    instant = parsed(value)
    return "" if instant is None else local(instant)
