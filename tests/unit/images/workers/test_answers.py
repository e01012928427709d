from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.errors import DiskFault, ImageRejected, LedgerHeld, SourceNotReady
from ingestor.images.workers import answers
from ingestor.model import Digest, Payload

SOURCE, STEM = Path("/drop/a.jpg"), Path("/spool/ingest-1")


def payload(**more: object) -> Payload:
    facts = {
        "file": STEM.with_suffix(".webp"),
        "is_source": False,
        "sha256": Digest("0" * 64),
        "mime_type": "image/webp",
        "size_bytes": 5,
        "width_px": 2,
        "height_px": 3,
        "normalised": ("resized", "webp"),
        "profile": "webp-1",
        "warnings": ("odd",),
        "seconds": 0.5,
    }
    return Payload(**{**facts, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("sent", [payload(), payload(file=SOURCE, is_source=True, normalised=())])
def test_a_payload_crosses_unchanged(sent):
    assert answers.to_payload(answers.of_payload(sent), SOURCE, STEM) == sent


@pytest.mark.parametrize(
    "error",
    [
        ImageRejected("corrupt", "is damaged"),
        SourceNotReady("truncated", "is short"),
        DiskFault("disk_full", "no room"),
    ],
)
def test_an_error_crosses_as_itself(error):
    with pytest.raises(type(error), match=str(error)) as caught:
        answers.to_payload(answers.of_error(error), SOURCE, STEM)
    assert caught.value.reason == error.reason


def test_a_worker_does_not_raise_what_is_none_of_its_business():
    with pytest.raises(TypeError):
        answers.of_error(LedgerHeld("held"))


@pytest.mark.parametrize(
    "lie",
    [
        {"file": "/etc/passwd"},
        {"file": "/spool/ingest-2.webp"},
        {"is_source": True},
        {"mime_type": "text/html"},
        {"mime_type": ["image/png"]},
        {"size_bytes": "many"},
        {"end": "something"},
        {"end": "rejected", "reason": "because", "message": ""},
        {"end": "not_ready", "reason": "corrupt", "message": ""},
    ],
)
def test_an_answer_that_no_sound_worker_gives_is_not_believed(lie):
    with pytest.raises((ValueError, TypeError, KeyError)):
        answers.to_payload({**answers.of_payload(payload()), **lie}, SOURCE, STEM)


def test_long_words_are_shortened_before_they_cross():
    many = payload(warnings=tuple("x" * 1000 for _ in range(100)))
    crossed = answers.to_payload(answers.of_payload(many), SOURCE, STEM)
    assert len(crossed.warnings) == 20
    assert all(len(warning) == 500 for warning in crossed.warnings)
