"""A JPEG 2000 of whose data a part was never written: decoders show what zeros mean, without a word.

Zeros are packets without anything in them, one byte each (ITU-T T.800, B.10.3). There are only as many packets as the
header tells of, and what else is written has few zeros: of blank paper, few colours and photographs with up to 21
layers 72 in a row were the most measured.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ingestor.images.kinds import boxes

_SOC_SIZ = b"\xff\x4f\xff\x51"
_SOT, _SOD, _EOC = b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_COD, _COC = 0x52, 0x53
_SOT_BYTES = 12
_HOLE_BYTES = 256
"""More than the coders write in a row where no packet is empty."""
_BLOCKS_A_BYTE = 6
"""Of the head of a packet: a bit for each block that has nothing in it, and up to a third more for their tree."""
_RAW, _HIGH_THROUGHPUT = 0x01, 0x40
"""Styles of coding that store bits as they are: of a flat picture there may be any number of zeros."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """The tiles and components, by segment SIZ (A.5.1)."""

    tile: tuple[int, int]
    """Width and height, no larger than the picture."""
    begins_at_zero: bool
    is_one_tile: bool
    steps: tuple[tuple[int, int], ...]
    """Of each component the distance of its samples."""


@dataclass(frozen=True, slots=True)
class _Style:
    """How components are coded, by segment COD or COC (A.6.1)."""

    levels: int
    block: tuple[int, int]
    """Exponents of width and height."""
    stores_bits: bool
    precincts: tuple[tuple[int, int], ...]
    """Exponents too, for each resolution."""


def has_hole(data: bytes) -> bool:
    """Whether a tile has more zeros in a row than it can have. Raises `struct.error` and `IndexError` for damage."""
    return any(_has_hole(data, begin, end) for begin, end in _codestreams(data))


def _codestreams(data: bytes) -> Iterator[tuple[int, int]]:
    if data.startswith(_SOC_SIZ):
        yield 0, len(data)
        return
    for box in boxes.of(lambda offset, count: data[offset : offset + count], 0, len(data)):
        if box.kind == b"jp2c" and data.startswith(_SOC_SIZ, box.begin):
            yield box.begin, min(box.end, len(data))


def _has_hole(data: bytes, begin: int, end: int) -> bool:
    grid = _grid(data, begin + 4)
    heads, coded = _parts(data, begin, end)
    layers, styles = 0, []
    for kind, body in heads:
        if kind == _COD:
            layers = max(layers, struct.unpack_from(">H", body, 2)[0])
            styles.append(_style(body[5:], has_precincts=bool(body[0] & 1)))
        elif kind == _COC:
            wide = 1 if len(grid.steps) < 257 else 2
            styles.append(_style(body[wide + 1 :], has_precincts=bool(body[wide] & 1)))
    if not styles or any(style.stores_bits for style in styles):
        return False
    least = _HOLE_BYTES + max(_most_empty(grid, layers, style) for style in styles)
    # A header may tell of more packets than there is memory for.
    return any(stop - at >= least and data.find(bytes(least), at, stop) >= 0 for at, stop in coded)


def _parts(data: bytes, begin: int, end: int) -> tuple[list[tuple[int, bytes]], list[tuple[int, int]]]:
    """The segments of all headers, and where the packets of each part of a tile are.

    Where a part ends and nothing that there may be begins, its data, or those behind, are taken to go on to the end.
    """
    heads: list[tuple[int, bytes]] = []
    coded = []
    at, stop = begin + 2, end
    while at + 4 <= end:
        marker, length = data[at : at + 2], struct.unpack_from(">H", data, at + 2)[0]
        if marker == _SOT:
            (size,) = struct.unpack_from(">I", data, at + 6)
            stop = min(at + size, end) if size >= _SOT_BYTES + 2 else _behind_all(data, at, end)
        elif marker == _SOD:
            if stop < at + 2 or data[stop : stop + 2] not in (_SOT, _EOC):
                stop = _behind_all(data, at, end)
            coded.append((at + 2, stop))
            at, stop = stop, end
            continue
        elif marker == _EOC:
            break
        elif marker[0] != 0xFF:
            coded.append((at, _behind_all(data, at, end)))
            break
        else:
            heads.append((marker[1], data[at + 4 : at + 2 + length]))
        at += 2 + max(2, length)
    return heads, coded


def _behind_all(data: bytes, at: int, end: int) -> int:
    eoc = data.rfind(_EOC, at, end)
    return eoc if eoc >= 0 else end


def _grid(data: bytes, at: int) -> _Grid:
    numbers = struct.unpack_from(">8IH", data, at + 4)
    (width, height), (left, top), tile, origin = (numbers[place : place + 2] for place in (0, 2, 4, 6))
    steps = [struct.unpack_from("2B", data, at + 39 + 3 * part) for part in range(numbers[8])]
    return _Grid(
        tile=(min(tile[0], width), min(tile[1], height)),
        begins_at_zero=not any((left, top, *origin)),
        is_one_tile=tile[0] >= width and tile[1] >= height,
        steps=tuple((max(1, right), max(1, down)) for right, down in steps),
    )


def _style(body: bytes, *, has_precincts: bool) -> _Style:
    levels, width, height, coding = body[0], body[1] & 15, body[2] & 15, body[3]
    sizes = body[5 : 6 + levels] if has_precincts else b"\xff" * (levels + 1)
    return _Style(
        levels=levels,
        block=(width + 2, height + 2),
        stores_bits=bool(coding & (_RAW | _HIGH_THROUGHPUT)),
        precincts=tuple((size & 15, size >> 4) for size in sizes),
    )


def _most_empty(grid: _Grid, layers: int, style: _Style) -> int:
    """How many bytes there may be of packets in a row that are empty, behind one of blocks that nearly all are."""
    packets, most_blocks = 0, 0
    for step in grid.steps:
        for resolution, sizes in enumerate(style.precincts):
            scale = style.levels - resolution
            cells = [step[axis] << sizes[axis] + scale for axis in (0, 1)]
            packets += math.prod(_cells(grid, axis, cells[axis]) for axis in (0, 1))
            sides = (min(cells[axis], grid.tile[axis]) / (step[axis] << scale) for axis in (0, 1))
            blocks = math.prod(
                2 + math.floor(side / (1 << min(exponent, size)))
                for side, exponent, size in zip(sides, style.block, sizes, strict=True)
            )
            most_blocks = max(most_blocks, blocks)
    return packets * layers + most_blocks // _BLOCKS_A_BYTE


def _cells(grid: _Grid, axis: int, cell: int) -> int:
    """How many precincts of that size a tile touches."""
    side = grid.tile[axis]
    fits = grid.begins_at_zero and (grid.is_one_tile or side % cell == 0 or cell % side == 0)
    return -(-side // cell) + (not fits)
