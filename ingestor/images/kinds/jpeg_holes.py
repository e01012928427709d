"""Parts of a sequential JPEG that were never written: zeros that a decoder reads as blocks, without a word."""

from __future__ import annotations

from collections.abc import Iterable

from ingestor.images.kinds import jpeg_markers
from ingestor.images.kinds.jpeg_markers import HOLE, Segment, Walk

_HUFFMAN_TABLES = 0xC4
_SEQUENTIAL = frozenset({0xC0, 0xC1})
"""With Huffman coding."""
_END_OF_BLOCK = 0

_LONGEST_REST = 2
"""Zeros that may be the last bits of the picture."""


def has_hole(file: Walk) -> bool:
    """Whether a scan has a part that is nothing but zeros, other than at the very end, where they may be padding.

    Zeros are the shortest code again and again. Where that code says "the rest of the block is 0", as tables made for
    a flat picture have it, zeros are a flat part; anywhere else they are blocks that no encoder has written.
    """
    for scan, is_last in _holed_scans(file):
        end = _end_of_data(file.data, scan) if is_last else scan.data_end
        if file.data.find(HOLE, scan.end, end) >= 0:
            return True
    return False


def ends_in_zeros(file: Walk) -> bool:
    """Whether the last scan ends in so many that they are a hole, or padding."""
    return any(
        is_last and scan.data_end - _end_of_data(file.data, scan) >= len(HOLE) for scan, is_last in _holed_scans(file)
    )


def without_zeros_at_end(data: bytes) -> bytes:
    """The picture without zeros at the end of its last scan.

    Only without them a decoder tells whether they were padding: of blocks that they stood for, it has none then.
    """
    for scan, is_last in _telling_scans(jpeg_markers.segments(data)):
        if is_last:
            end = min(scan.data_end, _end_of_data(data, scan) + _LONGEST_REST)
            return data[:end] + data[scan.data_end :]
    return data


def _end_of_data(data: bytes, scan: Segment) -> int:
    return scan.end + len(data[scan.end : scan.data_end].rstrip(b"\0"))


def _holed_scans(file: Walk) -> list[tuple[Segment, bool]]:
    """Those of `_telling_scans`; none where there are no such zeros in all of the file, as in nearly every one."""
    return _telling_scans(file) if file.has_zeros else []


def _telling_scans(file: Iterable[Segment]) -> list[tuple[Segment, bool]]:
    """The scans in which zeros are blocks that no encoder writes, and whether each is the last of the picture."""
    shortest: dict[int, int] = {}
    telling: list[tuple[Segment, bool]] = []
    for segment in file:
        body = segment.body
        if segment.marker in jpeg_markers.FRAMES and segment.marker not in _SEQUENTIAL:
            return []
        if segment.marker == _HUFFMAN_TABLES:
            shortest |= _shortest_codes(body)
        elif segment.marker == jpeg_markers.SOS:
            telling = [(scan, False) for scan, _ in telling]
            used = [0x10 | parts & 15 for parts in body[2 : 1 + 2 * body[0] : 2]] if body else []
            if any(shortest.get(table, _END_OF_BLOCK) != _END_OF_BLOCK for table in used):
                telling.append((segment, True))
    return telling


def _shortest_codes(body: bytes) -> dict[int, int]:
    """What the code that is all zeros stands for, by class and number of the table. T.81, B.2.4.2."""
    found, at = {}, 0
    while at + 17 < len(body):
        found[body[at]] = body[at + 17]
        at += 17 + sum(body[at + 1 : at + 17])
    return found
