"""What a JPEG 2000 file tells of its colours in the boxes around the codestream. ITU-T T.800, annex I."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ingestor.images.kinds import KindNotRead, boxes
from ingestor.images.source import Source

_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_ENUMERATED, _ICC = 1, (2, 3)
"""Of a colour specification: by number, or by a profile, restricted (2) or any (3, of ITU-T T.801)."""
_CMYK, YCC = 12, 18
_SPACES = frozenset({_CMYK, 15, 16, 17, YCC})
"""Inks, black and white, sRGB, grey, and sYCC, which decoders make sRGB."""
_ICC_SPACES = (b"GRAY", b"RGB ", b"CMYK")
_COLOUR, _ALPHA, _MULTIPLIED = 0, 1, 2
"""What a channel is; anything else is none of the picture."""
_MOST_CHANNELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Pillow's mode of what `order`, channels as they are stored, make together."""

    mode: str
    order: tuple[int, ...]

    @property
    def are_in_order(self) -> bool:
        return self.order == tuple(range(len(self.order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """None for what is not told: all of it of a codestream without boxes."""

    icc: bytes | None = None
    channels: Channels | None = None
    """None for a palette too, whose entries Pillow reads well."""
    space: int | None = None
    """By its number."""


def read(source: Source) -> Told:
    """Raises `KindNotRead` for colours that nothing here reads, `ValueError` and `struct.error` for damage."""
    if not source.head.startswith(_SIGNATURE):
        return Told()
    header = next((box for box in boxes.of(source.at, 0, source.size_bytes) if box.kind == b"jp2h"), None)
    told = (
        []
        if header is None
        else [
            (box.kind, source.at(box.begin, min(box.end, header.end) - box.begin))
            for box in boxes.of(source.at, header.begin, min(header.end, source.size_bytes))
        ]
    )
    space, icc = _colours([content for kind, content in told if kind == b"colr"])
    first = dict(reversed(told))
    if b"ihdr" not in first:
        return Told(icc=icc)
    (count,) = struct.unpack_from(">H", first[b"ihdr"], 8)
    if count > _MOST_CHANNELS:
        raise KindNotRead(f"pictures of {count} channels")
    if b"pclr" in first:
        if space == _CMYK:
            raise KindNotRead("palettes of CMYK")
        return Told(icc=icc)
    channels = _channels(first.get(b"cdef"), count, is_cmyk=space == _CMYK)
    if space == YCC and not channels.are_in_order:
        raise KindNotRead("channels of sYCC in another order")
    return Told(icc=icc, channels=channels, space=space)


def _colours(told: list[bytes]) -> tuple[int | None, bytes | None]:
    """The space by number (that of CMYK for any profile of inks) and the profile, by the first that is known here."""
    for content in told:
        method = content[0] if content else 0
        if method == _ENUMERATED:
            (space,) = struct.unpack_from(">I", content, 3)
            if space not in _SPACES:
                raise KindNotRead(f"colours of the space {space} (ITU-T T.801)")
            return space, None
        if method in _ICC:
            icc = content[3:]
            if icc[36:40] == b"acsp" and icc[16:20] not in _ICC_SPACES:
                raise KindNotRead(f"colours of the space {icc[16:20].decode('ascii', 'replace').strip()}")
            return (_CMYK if icc[16:20] == b"CMYK" else None), icc
    return None, None


def _channels(definition: bytes | None, count: int, *, is_cmyk: bool) -> Channels:
    """By the box that defines channels (I.5.3.6); without one, what is beyond the colours is alpha."""
    if definition is None:
        order, alphas = list(range(count)), []
        if not is_cmyk and count in (2, 4):
            alphas = [(order.pop(), _ALPHA)]
    else:
        order, alphas = _defined(definition)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(len(order))
    if mode is None or is_cmyk != (mode == "CMYK") or len(alphas) > 1:
        raise KindNotRead(f"{len(order)} colours and {len(alphas)} channels of alpha")
    for channel, kind in alphas:
        order.append(channel)
        mode += "a" if kind == _MULTIPLIED else "A"
    return Channels(mode=mode, order=tuple(order))


def _defined(definition: bytes) -> tuple[list[int], list[tuple[int, int]]]:
    """The channels of colours, in their order, and those of alpha, each with its kind."""
    (count,) = struct.unpack_from(">H", definition)
    colours, alphas = {}, []
    for place in range(count):
        channel, kind, belongs_to = struct.unpack_from(">3H", definition, 2 + 6 * place)
        if kind == _COLOUR:
            colours[belongs_to] = channel
        elif kind in (_ALPHA, _MULTIPLIED):
            alphas.append((channel, kind))
    if sorted(colours) != list(range(1, len(colours) + 1)):
        raise KindNotRead("channels of no certain colour")
    return [colours[number] for number in sorted(colours)], alphas
