"""The markers of a JPEG file: where its segments, scans and end are. ITU-T T.81, Annex B."""

from __future__ import annotations

import functools
import itertools
import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SOI, EOI, SOS, DRI, DNL, COM = 0xD8, 0xD9, 0xDA, 0xDD, 0xDC, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
TABLES = frozenset({0xDB, 0xC4, 0xCC})
"""Quantisation, Huffman and arithmetic conditioning tables."""
FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
ARITHMETIC = frozenset({0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
READ = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA})
"""Frames that libjpeg-turbo decodes."""
RARELY_READ = ARITHMETIC | _LOSSLESS
_NEEDED = FRAMES | TABLES | {DRI, DNL}

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ICC = b"ICC_PROFILE\0"
JFIF = b"JFIF\0"
MPF = b"MPF\0"
ADOBE = b"Adobe"

PADDING = frozenset(b"\0\xff\r\n\x1a ")
"""What programs fill up with."""

HOLE = bytes(128)
"""Of a sequential picture five blocks and more whose 63 coefficients are all the same: no picture has one of them."""
_REFINED_HOLE = bytes(256)
"""The same of a refinement."""

# Starting with one literal byte, these run at the speed of memchr.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MARKER = re.compile(rb"\xff[^\x00\xff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker with its parameters; for `SOS` the parameters of the scan, whose data follow."""

    marker: int
    start: int
    """Of the marker itself."""
    body: bytes
    """What follows the two bytes of length; empty for markers that stand alone."""
    end: int
    """Behind the parameters."""
    data_end: int
    """Behind the entropy-coded data of a scan; `end` for all others."""


def segments(data: bytes) -> Iterator[Segment]:
    """The segments of the first picture, `EOI` included; stops without one where the file is cut off.

    Bytes between segments that belong to none are passed over, as decoders do.
    """
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, start, at = data[found.end() - 1], found.start(), found.end()
        if marker == EOI:
            yield Segment(marker, start, b"", at, at)
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if at + 2 > len(data):
            return
        (length,) = struct.unpack_from(">H", data, at)
        end = at + max(2, length)
        if end > len(data):
            return
        data_end = end
        if marker == SOS:
            behind = _SCAN_END.search(data, end)
            data_end = behind.start() if behind else len(data)
        yield Segment(marker, start, data[at + 2 : end], end, data_end)
        at = data_end


class Walk:
    """A JPEG gone through once, as far as it is asked about: each search for markers reads megabytes of scans."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._found: list[Segment] = []
        self._rest = segments(data)

    def __iter__(self) -> Iterator[Segment]:
        """The segments, as `segments` tells them."""
        for number in itertools.count():
            if number == len(self._found):
                if (segment := next(self._rest, None)) is None:
                    return
                self._found.append(segment)
            yield self._found[number]

    @functools.cached_property
    def has_zeros(self) -> bool:
        """Whether so many bytes in a row are zero, anywhere, that they may be a hole."""
        return HOLE in self.data


def first_frame(file: Iterable[Segment]) -> int | None:
    """The marker of the first frame, which says how the picture is coded; None where there is none."""
    for segment in file:
        if segment.marker in FRAMES:
            return segment.marker
        if segment.marker == SOS:
            break
    return None


def start_of_data(file: Iterable[Segment]) -> int | None:
    """Where the data of the first scan begin; None where there is none."""
    return next((segment.end for segment in file if segment.marker == SOS), None)


def is_lossless(file: Iterable[Segment]) -> bool:
    """Whether the first frame is coded without loss (annex H)."""
    return first_frame(file) in _LOSSLESS


def end_of_picture(file: Iterable[Segment]) -> int | None:
    """Behind the end marker of the first picture; None where there is none."""
    for segment in file:
        if segment.marker == EOI:
            return segment.end
    return None


def plain(file: Walk) -> bytes:
    """The same picture with nothing in it that is odd but harmless: for a decoder that stops at anything odd.

    Gone are all metadata, what stands between segments, and an unknown Adobe transform; parameters of sequential scans
    say what they have to. The entropy-coded data are the very same.
    """
    parts = [file.data[:2]]
    progressive = False
    for segment in file:
        progressive = progressive or segment.marker in PROGRESSIVE
        if segment.marker == SOS:
            body = segment.body if progressive else segment.body[:-3] + b"\0\x3f\0"
            parts += [_marked(SOS, body), file.data[segment.end : segment.data_end]]
        elif segment.marker in _NEEDED or _is_known_adobe(segment):
            parts.append(_marked(segment.marker, segment.body))
        elif segment.marker == EOI:
            parts.append(b"\xff\xd9")
    return b"".join(parts)


def _is_known_adobe(segment: Segment) -> bool:
    return segment.marker == APP14 and segment.body.startswith(ADOBE) and segment.body[11:12] in (b"\0", b"\1", b"\2")


def _marked(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def lacks_scans(file: Iterable[Segment]) -> bool:
    """Whether a picture ends before each of its coefficients has got its last bit. T.81, Annex G.

    Of a sequential one: before there was a scan of each component.
    """
    missing: dict[int, list[int]] | None = None
    progressive = False
    for segment in file:
        body = segment.body
        if segment.marker in FRAMES and missing is None:
            if segment.marker not in READ - _LOSSLESS or len(body) < 6:
                return False
            progressive = segment.marker in PROGRESSIVE
            missing = {body[6 + 3 * part]: [1] * 64 for part in range(body[5]) if 6 + 3 * part < len(body)}
        if segment.marker == SOS and missing is not None and body and len(body) >= 4 + 2 * body[0]:
            # Parameters of sequential scans mean nothing.
            first, last, bits = (body[-3], min(63, body[-2]), body[-1] & 15) if progressive else (0, 63, 0)
            for part in range(body[0]):
                coefficients = missing.get(body[1 + 2 * part], [])
                if coefficients:
                    coefficients[first : last + 1] = [bits] * (last + 1 - first)
    return missing is not None and any(any(coefficients) for coefficients in missing.values())


def has_hole(file: Walk) -> bool:
    """Whether a refinement of a progressive picture has a part that is nothing but zeros.

    There most bits only correct a value by one: the decoder reads whatever stands there, and falls into step again
    behind it. That so many corrections in a row are zero does not happen.
    """
    if not file.has_zeros:
        return False
    for segment in file:
        if segment.marker in FRAMES and segment.marker not in PROGRESSIVE:
            return False
        is_refinement = segment.marker == SOS and len(segment.body) >= 4 and segment.body[-3] > 0
        if (
            is_refinement
            and segment.body[-1] >> 4
            and file.data.find(_REFINED_HOLE, segment.end, segment.data_end) >= 0
        ):
            return True
    return False


def has_bits_left_over(file: Walk) -> bool:
    """Whether a refinement of the mean values of a progressive picture has more bytes than it has blocks for.

    Such a scan is one bit for each block: any bytes can be read, but its length is known. Each 0xFF in it is followed
    by a byte that does not count; damage takes some of these away, and a few bytes are left over then, which decoders
    have read ahead already and do not tell. What looks like padding is harmless.
    """
    parts: dict[int, tuple[int, int]] = {}
    size, restart_interval = (0, 0), 0
    for segment in file:
        body = segment.body
        if segment.marker in FRAMES:
            if segment.marker not in PROGRESSIVE - ARITHMETIC or len(body) < 6 + 3 * int.from_bytes(body[5:6]):
                return False
            size = struct.unpack_from(">xHH", body)
            parts = {body[at]: (body[at + 1] & 15, body[at + 1] >> 4) for at in range(6, 6 + 3 * body[5], 3)}
        elif segment.marker == DRI and len(body) == 2:
            (restart_interval,) = struct.unpack(">H", body)
        elif segment.marker == SOS and _refines_means(body) and all(size):
            needed = _length_of_refinement(size, parts, body[1 : 1 + 2 * body[0] : 2], restart_interval)
            stuffed = file.data.count(b"\xff\0", segment.end, segment.data_end)
            left_over = max(0, segment.data_end - segment.end - stuffed - needed) if needed else 0
            if not PADDING.issuperset(file.data[segment.data_end - left_over : segment.data_end]):
                return True
    return False


def _refines_means(scan: bytes) -> bool:
    return bool(scan) and len(scan) == 4 + 2 * scan[0] and scan[-3] == 0 and scan[-1] >> 4 > 0


def _length_of_refinement(
    size: tuple[int, int], parts: dict[int, tuple[int, int]], scanned: bytes, restart_interval: int
) -> int:
    """In bytes, restart markers included; 0 for what no encoder writes. `size` and factors: vertical, horizontal."""
    factors = [parts.get(part, (0, 0)) for part in scanned]
    if not factors or not all(all(pair) for pair in [*factors, *parts.values()]):
        return 0
    largest = [max(pair[axis] for pair in parts.values()) for axis in (0, 1)]
    if len(factors) == 1:
        # Alone, a component has the blocks that it needs, and none to fill up a unit of several components.
        units = math.prod(_up(_up(size[axis] * factors[0][axis], largest[axis]), 8) for axis in (0, 1))
        blocks = 1
    else:
        units = math.prod(_up(size[axis], 8 * largest[axis]) for axis in (0, 1))
        blocks = sum(math.prod(pair) for pair in factors)
    whole, rest = divmod(units, restart_interval or units)
    length = whole * _up((restart_interval or units) * blocks, 8) + _up(rest * blocks, 8)
    return length + 2 * (whole + bool(rest) - 1)


def _up(value: int, divisor: int) -> int:
    return -(-value // divisor)


def scan_count(file: Iterable[Segment], most: int) -> int:
    """How many scans the first picture has; `most` where there are as many or more."""
    count = 0
    for segment in file:
        count += segment.marker == SOS
        if count >= most:
            break
    return count


def has_more_segments(file: Iterable[Segment], most: int) -> bool:
    """Whether the first picture has more than so many."""
    return next(itertools.islice(file, most, None), None) is not None
