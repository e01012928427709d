"""The directories of a TIFF, and what would take Pillow minutes to read of them: every value is an object of its own.

Source: TIFF 6.0, section 2, and the BigTIFF proposal, which has the same in wider numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ingestor.images.source import Source

_BIG = (b"+\0", b"\0+")
_MOST_DIRECTORIES = 20
"""More are never read whole: `tiff` passes sixteen thumbnails, and a page has directories of EXIF."""
_MOST_ENTRIES = 100_000
"""A directory has some dozen."""
_MOST_VALUES = 200_000
"""A picture of 300 million pixels has 73,000 tiles of 64x64, a palette of 16 bits 196,608 numbers."""
_PARTS = (273, 279, 324, 325)
"""Offsets and lengths of strips and tiles."""
_INNER = (34665, 34853, 40965)
"""EXIF, GPS and interoperability, all of which Pillow reads once the pixels are decoded."""
_BASELINE, _LAYOUT = 32768, 532
"""Below the first there are no fields of anybody's own; up to the second all but one tell how pixels are stored."""
_TABLES = 347
"""Of JPEG, which are that one."""
_READ = frozenset({33432, 34675, 42113})
"""Copyright, colour profile, GDAL's number for what was not measured."""
_BYTES, _WORDS = (1, 7), 2
"""Kinds that stay in one piece."""
_BYTES_EACH = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class Layout:
    """How numbers stand in a TIFF, or in a BigTIFF."""

    order: str
    first_at: int
    count: struct.Struct
    entry: struct.Struct
    """Tag, kind, number of values."""
    offset: struct.Struct

    @property
    def entry_bytes(self) -> int:
        return self.entry.size + self.offset.size


class _Entry(NamedTuple):
    tag: int
    kind: int
    values: int
    offset: int
    """Of the values, where they do not fit here."""


def layout_of(source: Source) -> Layout:
    order = "<" if source.head.startswith(b"II") else ">"
    letters, first_at = (("Q", "HHQ", "Q"), 8) if source.head[2:4] in _BIG else (("H", "HHI", "I"), 4)
    return Layout(order, first_at, *(struct.Struct(order + letter) for letter in letters))


def number(source: Source, kind: struct.Struct, at: int) -> int:
    """Raises `struct.error` where the file ends before."""
    return int(kind.unpack(source.at(at, kind.size))[0])


def crowd(source: Source) -> str | None:
    """What a file has more of than any picture, in words; None where it has not."""
    layout = layout_of(source)
    try:
        first = number(source, layout.offset, layout.first_at)
        waiting, seen, entries = [(first, False)], {0}, 0
        while waiting and len(seen) <= _MOST_DIRECTORIES:
            at, is_inner = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            count = number(source, layout.count, at)
            begin = at + layout.count.size
            if not is_inner and begin + layout.entry_bytes * count < source.size_bytes:
                waiting.insert(0, (number(source, layout.offset, begin + layout.entry_bytes * count), False))
            for entry in _entries(source, layout, begin, count):
                entries += 1
                if entries > _MOST_ENTRIES:
                    return f"more than {_MOST_ENTRIES:,} fields"
                if entry.tag in _INNER:
                    waiting.append((entry.offset, True))
                is_there = entry.values * _BYTES_EACH.get(entry.kind, 0) <= source.size_bytes
                if entry.values > _MOST_VALUES and is_there and (is_inner or _is_read(entry)):
                    what = "strips or tiles" if entry.tag in _PARTS else f"values in its field {entry.tag}"
                    return f"more than {_MOST_VALUES:,} {what}"
    except struct.error:
        pass  # it is cut off, or damaged, and is told to be
    return None


def _entries(source: Source, layout: Layout, begin: int, count: int) -> Iterator[_Entry]:
    """As many as are there, up to one more than there may be."""
    data = source.at(begin, layout.entry_bytes * min(count, _MOST_ENTRIES + 1))
    fields = struct.Struct(layout.entry.format + layout.offset.format[1:])
    whole = len(data) // fields.size * fields.size
    return (_Entry(*told) for told in fields.iter_unpack(data[:whole]))


def _is_read(entry: _Entry) -> bool:
    """Whether Pillow is asked for it, and makes an object of each value."""
    if entry.kind == _WORDS:
        return False
    if entry.kind in _BYTES:
        return entry.tag <= _LAYOUT and entry.tag != _TABLES
    return entry.tag < _BASELINE or entry.tag in _READ
