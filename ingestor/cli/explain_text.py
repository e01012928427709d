"""`ingestor explain` for people."""

from __future__ import annotations

from typing import Any

from ingestor.cli.instants import local, parsed
from ingestor.cli.tables import facts, heading, text


def print_explanation(answer: dict[str, Any]) -> None:
    for number, image in enumerate(answer["images"]):
        if number:
            text("")
        _image(image)
    for place in answer["elsewhere"]:
        heading(f"{place['folder']}/{place['path']}")
        text(f"{place['text']}", indent=2)


def _image(image: dict[str, Any]) -> None:
    heading(f"{image['folder']}/{image['path']} is {image['state']}")
    story: list[tuple[str, object]] = [(_at(image["found_at"]), f"found, {image['size_bytes']:,} bytes")]
    story += [(_at(event["at"]), event["text"]) for event in image["story"]]
    facts(story, indent=2)
    text(f"Next: {image['next']}", indent=2)


def _at(value: Any) -> str:
    instant = parsed(value)
    return "" if instant is None else local(instant)
