"""What an error of a decoder means: cut off, damaged inside, of a kind that is not read, or too much of it."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from ingestor.errors import ImageRejected, IngestorError, SourceNotReady
from ingestor.images.ending import DEFINITE, is_cut_off
from ingestor.images.kinds import KindNotRead
from ingestor.images.kinds.jpeg_markers import READ, Walk, first_frame
from ingestor.images.source import Source, not_ready
from ingestor.policy.formats import Format

_DECODER_ERRORS = (
    KindNotRead,
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    OverflowError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What libraries raise over a bad file: Pillow's plugins parse in Python, so that anything may come."""

_BOMB = ("too large for PngImagePlugin.MAX_TEXT_CHUNK", "Too much memory used in text chunks", "decompression bomb")
_UNSUPPORTED = (
    "unsupported",
    "not supported",
    "unknown compression",
    "unknown pixel mode",
    "cannot handle",
    "unknown mode",
    "unknown raw mode",
    "unknown pcx mode",
    "unrecognized image mode",
    "unknown data organization",
    # Said of files that are such by their first bytes.
    "not a ppm file",
    "not a tga file",
    "unknown tga",
)
_PROCESS = "unsupported jpeg process"
_CUT = ("truncat", "unexpected end", "premature end", "end of file")


@contextlib.contextmanager
def told(source: Source, row: Format) -> Iterator[None]:
    """Errors of decoders become ours: `ImageRejected`, or `SourceNotReady` where the end of the file is missing."""
    try:
        yield
    except (MemoryError, IngestorError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageRejected("decompression_bomb", f"{source.name}: {error}") from error
    except _DECODER_ERRORS as error:
        raise meaning(source, row, error) from error


def meaning(source: Source, row: Format, error: Exception) -> IngestorError:
    """The error to raise for what a decoder said about a file of this format."""
    if isinstance(error, OSError) and error.errno is not None:
        # The system's, met while a decoder read: decoders' own have no number.
        return not_ready(source.path, error)
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if any(words in said for words in _BOMB):
        return ImageRejected(
            "decompression_bomb", f"{source.name}: a small part of it unpacks to far too much ({said})"
        )
    if is_cut_off(source, row):
        return truncated(source)
    # Pillow's plugins raise NotImplementedError for files of a kind that they do not read.
    is_kind = isinstance(error, KindNotRead | NotImplementedError) or any(
        words in said.lower() for words in _UNSUPPORTED
    )
    if is_kind and not _is_of_damaged_frame(source, row, said):
        return ImageRejected(
            "unsupported",
            f"{source.name}: a kind of {row.name} that is not read here ({said}); export it as PNG, JPEG or WebP",
        )
    if row.name not in DEFINITE and any(words in said.lower() for words in _CUT):
        return truncated(source)
    return corrupt(source, said)


def _is_of_damaged_frame(source: Source, row: Format, said: str) -> bool:
    """Whether libjpeg met a frame of a kind that it does not read where damage has made one, behind the file's own."""
    return row.name == "JPEG" and _PROCESS in said.lower() and first_frame(source.once(Walk)) in READ


def truncated(source: Source) -> SourceNotReady:
    return SourceNotReady(
        "truncated", f"{source.name}: the end of the image is missing ({source.size_bytes:,} bytes so far)"
    )


def corrupt(source: Source, said: str) -> ImageRejected:
    return ImageRejected("corrupt", f"{source.name}: is damaged inside ({said}); copy or export it anew")
