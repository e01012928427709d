"""Is it an image that the API takes? Decided by decoding all of it. CONTRACT.md, Accepted input."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from ingestor.sandbox.errors import invalid_format, out_of_range

MAX_BYTES = 10_000_000
MAX_SIDE_PX = 4096

# Pillow calls a JPEG that carries a second picture an MPO.
_MIME_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp"}
_FORMATS = ("PNG", "JPEG", "WEBP")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What decoding told."""

    mime_type: str
    width_px: int
    height_px: int


def inspect(content: bytes) -> ImageFacts:
    """Type and size of a whole, acceptable image. Blocks while it decodes. Raises ApiError."""
    if len(content) > MAX_BYTES:
        raise out_of_range("file", f"file is larger than {MAX_BYTES} bytes.")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            facts = ImageFacts(mime_type=_MIME_TYPES[str(image.format)], width_px=image.width, height_px=image.height)
            # The header is enough to refuse a bomb; it must not be decoded.
            if max(image.size) > MAX_SIDE_PX:
                raise _too_wide()
            _decode(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_wide() from error
    except UnidentifiedImageError as error:
        raise invalid_format("file", "file is not a PNG, JPEG or WebP image.") from error
    except (OSError, SyntaxError, ValueError, EOFError, OverflowError, LookupError, struct.error) as error:
        raise invalid_format("file", "file is damaged or truncated.") from error
    if facts.mime_type == "image/png" and not _png_is_whole(content):
        raise invalid_format("file", "file is damaged or truncated.")
    return facts


def _too_wide() -> Exception:
    return out_of_range("file", f"file is wider or higher than {MAX_SIDE_PX} pixels.")


def _decode(image: Image.Image) -> None:
    # The further pictures of an MPO are no part of the JPEG that was sent.
    frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    for number in range(frames):
        image.seek(number)
        image.load()


def _png_is_whole(content: bytes) -> bool:
    """The chunks lead up to IEND: Pillow lets a PNG pass whose end is cut off."""
    at = 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False
