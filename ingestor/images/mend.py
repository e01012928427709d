"""Files with a small fault beside a whole picture: read as if they had none, and told."""

from __future__ import annotations

from ingestor.images import crowds, read_header
from ingestor.images.ending import is_cut_off
from ingestor.images.kinds import chunks, jpeg, jpeg_markers, png, texts
from ingestor.images.kinds.extras import without_damaged_extras
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.sniffing import format_of
from ingestor.images.source import IN_MEMORY_BYTES, Source
from ingestor.policy.formats import Format
from ingestor.ports import NormaliseRules

_END = b"\xff\xd9"


def mend(file: Source, rules: NormaliseRules) -> list[str]:
    """Have a PNG leave out what is damaged beside its picture, and a JPEG or WebP end as it should; warnings of it.

    Raises `ImageRejected` and `SourceNotReady`.
    """
    row = format_of(file)
    if row.name == "PNG":
        png.refuse_bombs(file)
    crowds.refuse(file, row)
    if file.size_bytes > IN_MEMORY_BYTES:
        return []
    match row.name:
        case "PNG":
            return _mend_png(file)
        case "JPEG":
            return _mend_jpeg(file, row, rules)
        # Of an even length, as nearly all are, it has nothing to be mended, and need not be read for it.
        case "WEBP" if file.head[4] & 1:
            return _mend_webp(file)
        case _:
            return []


def _mend_png(file: Source) -> list[str]:
    data, odd = without_damaged_extras(file.whole())
    if odd:
        file.replace(data)
    return odd


def leave_out_large_texts(file: Source, rules: NormaliseRules) -> list[str]:
    """Have a PNG that would be sent as it is leave out the texts that the API may refuse it for; warnings of it."""
    if format_of(file).name != "PNG" or file.size_bytes > IN_MEMORY_BYTES or rules.metadata == "strip":
        return []
    data, odd = texts.without_large(file.whole())
    if odd:
        file.replace(data)
    return odd


def _mend_webp(file: Source) -> list[str]:
    data = chunks.webp_padded(file.whole())
    if data == file.whole():
        return []
    file.replace(data)
    return ["the byte of padding at its end was missing, and was added"]


def _mend_jpeg(file: Source, row: Format, rules: NormaliseRules) -> list[str]:
    read_header.check_segments(file)
    if not is_cut_off(file, row):
        return []
    # Looking whether it is whole decodes it: limits hold before that.
    read_header.read(file, row, rules)
    if (data := _with_end(file.whole())) is None:
        return []
    file.replace(data)
    return ["its end marker is missing and was added"]


def _with_end(data: bytes) -> bytes | None:
    """The JPEG with an end marker instead of half of one, or of zeros; None where anything else is missing.

    A file that is still on its way may have its full length already, in zeros; none of them is taken for the picture,
    whose last byte encoders fill up with ones. Of what is left decoders tell when blocks are missing.
    """
    bare = data.rstrip(b"\0")
    ended = [bare.removesuffix(b"\xff") + _END]
    if bare.endswith(b"\xff") and bare != data:
        # It may be a part of the picture: there a zero follows each 0xFF.
        ended.append(bare + b"\0" + _END)
    return next((whole for whole in ended if _is_flawless(whole)), None)


def _is_flawless(data: bytes) -> bool:
    try:
        walk = Walk(data)
        return jpeg_markers.end_of_picture(walk) == len(data) and not jpeg.check(walk)
    except (jpeg.NotReadHere, ValueError):
        return False
