"""How an image's end crosses the border: plain values on one side, a `Payload` or an error on the other."""

from __future__ import annotations

from pathlib import Path

from ingestor.errors import DiskFault, ImageRejected, IngestorError, SourceNotReady
from ingestor.images.workers.wire import Message, path_from_text, path_to_text
from ingestor.model import Digest, Payload
from ingestor.policy.formats import MIME_TYPES, NOT_READY, REASONS


def of_payload(payload: Payload) -> Message:
    return {
        "end": "payload",
        "file": path_to_text(payload.file),
        "is_source": payload.is_source,
        "sha256": payload.sha256,
        "mime_type": payload.mime_type,
        "size_bytes": payload.size_bytes,
        "width_px": payload.width_px,
        "height_px": payload.height_px,
        "normalised": list(payload.normalised),
        "profile": payload.profile,
        "warnings": [warning[:500] for warning in payload.warnings[:20]],
        "seconds": payload.seconds,
    }


def of_error(error: IngestorError) -> Message:
    """The value of an error that a worker may raise: `ImageRejected`, `SourceNotReady` or `DiskFault`."""
    message = str(error)[:2000]
    match error:
        case ImageRejected():
            return {"end": "rejected", "reason": error.reason, "message": message}
        case SourceNotReady():
            return {"end": "not_ready", "reason": error.reason, "message": message}
        case DiskFault():
            return {"end": "disk", "reason": error.reason, "message": message}
        case _:
            raise TypeError(f"a worker does not raise {type(error).__name__}")


def to_payload(answer: Message, source: Path, spool_stem: Path) -> Payload:
    """The payload in an answer, or its error raised.

    Raises `ValueError` (or a relative) for an answer that a sound worker would not give: another file than the
    source or the spool file it was told to write, an unknown reason, a type that the API does not take.
    """
    match answer["end"]:
        case "payload":
            return _payload(answer, source, spool_stem)
        case "rejected":
            raise ImageRejected(_known(answer["reason"], REASONS), str(answer["message"]))
        case "not_ready":
            raise SourceNotReady(_known(answer["reason"], NOT_READY), str(answer["message"]))
        case "disk":
            raise DiskFault(str(answer["reason"]), str(answer["message"]))
        case end:
            raise ValueError(f"an unknown end: {end!r}")


def _payload(answer: Message, source: Path, spool_stem: Path) -> Payload:
    file = path_from_text(answer["file"])
    is_source = answer["is_source"] is True
    if file != source if is_source else file.with_suffix("") != spool_stem:
        raise ValueError("an answer about another file")
    return Payload(
        file=source if is_source else file,
        is_source=is_source,
        sha256=Digest(str(answer["sha256"])),
        mime_type=_known(answer["mime_type"], frozenset(MIME_TYPES.values())),
        size_bytes=int(answer["size_bytes"]),
        width_px=int(answer["width_px"]),
        height_px=int(answer["height_px"]),
        normalised=tuple(str(step) for step in answer["normalised"]),
        profile=str(answer["profile"]),
        warnings=tuple(str(warning) for warning in answer["warnings"]),
        seconds=float(answer["seconds"]),
    )


def _known(word: object, words: object) -> str:
    if not isinstance(word, str) or word not in words:  # type: ignore[operator]
        raise ValueError(f"an unknown word: {word!r}")
    return word
