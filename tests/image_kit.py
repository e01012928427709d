"""Sample images of every kind, made on the spot: none is in git.

Most come from Pillow's own writers; what it cannot write is put together byte by byte here, so that readers are not
only tested on the output of the same library.
"""

from __future__ import annotations

import base64
import functools
import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from openjpeg.utils import encode_array
from PIL import Image

QUADRANTS = ((220, 40, 30), (40, 190, 60), (50, 60, 210), (230, 210, 60))
"""Colours of the four quarters of `quarters()`: top left, top right, bottom left, bottom right."""


# -- pictures --------------------------------------------------------------------------------------


def quarters(width: int = 64, height: int = 48) -> Image.Image:
    """Four flat quarters, each of another colour: shows at once how a picture was turned."""
    image = Image.new("RGB", (width, height), QUADRANTS[0])
    image.paste(QUADRANTS[1], (width // 2, 0, width, height // 2))
    image.paste(QUADRANTS[2], (0, height // 2, width // 2, height))
    image.paste(QUADRANTS[3], (width // 2, height // 2, width, height))
    return image


def corners(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    """The colours in the middles of the four quarters, as RGB."""
    rgb = image.point(lambda value: value / 257, "L").convert("RGB") if image.mode == "I;16" else image.convert("RGB")
    width, height = rgb.size
    places = ((1, 1), (3, 1), (1, 3), (3, 3))
    return tuple(rgb.getpixel((width * x // 4, height * y // 4)) for x, y in places)


def close(one: Iterable[Iterable[int]], other: Iterable[Iterable[int]], tolerance: int) -> bool:
    return all(
        abs(a - b) <= tolerance
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


@functools.lru_cache(maxsize=8)
def photograph(width: int, height: int, seed: int = 1) -> Image.Image:
    """Like a photograph in what coders and filters care for: the same contrast at every scale, edges, soft colours.

    And a little of a sensor's noise.
    """
    rng = np.random.default_rng(seed)
    light = _clouds(rng, width, height, finest=1.0, falloff=0.2)
    light += 0.9 * (_clouds(rng, width, height, finest=0.3, falloff=0.8) > 0.4)
    light = 120 + 50 * (light - light.mean()) / light.std() + rng.normal(0, 1.0, (height, width)).astype(np.float32)
    channels = [light + 22 * _clouds(rng, width, height, finest=0.1, falloff=0.7) for _ in range(3)]
    return Image.fromarray(np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8))


def _clouds(rng: np.random.Generator, width: int, height: int, *, finest: float, falloff: float) -> np.ndarray:
    """Random light with contrast at every scale down to `finest` (of the pixels), standardised."""
    longest = max(width, height)
    field = np.zeros((height, width), np.float32)
    cells = 3
    while cells <= longest * finest:
        shape = (max(2, cells * height // longest), max(2, cells * width // longest))
        layer = Image.fromarray(rng.normal(0, 1, shape).astype(np.float32))
        field += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC)) / cells**falloff
        cells *= 2
    return (field - field.mean()) / (field.std() or 1.0)


def noise(width: int, height: int, mode: str = "RGB", seed: int = 2) -> Image.Image:
    """The worst there is for any coder: every value at random."""
    channels = len(mode)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


# -- EXIF and XMP ----------------------------------------------------------------------------------


def exif(orientation: int | None = None, *, make: str | None = None, order: str = ">") -> bytes:
    """EXIF without a prefix."""
    entries = []
    tail = b""
    count = (orientation is not None) + (make is not None)
    if make is not None:
        text = make.encode() + b"\0" * max(1, 5 - len(make))
        entries.append(struct.pack(order + "HHII", 0x010F, 2, len(text), 8 + 2 + 12 * count + 4))
        tail += text
    if orientation is not None:
        entries.append(struct.pack(order + "HHIHxx", 0x0112, 3, 1, orientation))
    mark = b"MM\0*" if order == ">" else b"II*\0"
    body = struct.pack(order + "IH", 8, count) + b"".join(entries) + struct.pack(order + "I", 0)
    return mark + body + tail


def camera_exif(
    *, index: str | None = "R03", space: int | None = 65535, orientation: int = 1, order: str = ">"
) -> bytes:
    """As cameras tell of colours, and who took the picture; without a prefix. None for what is not told."""
    told = Image.Exif()
    told.endian = order
    told[0x0112], told[0x013B] = orientation, "SECRETNAME"
    inner: dict[int, object] = {} if space is None else {0xA001: space}
    told[0x8769] = inner if index is None else {**inner, 0xA005: {1: index}}
    return told.tobytes().removeprefix(b"Exif\0\0")


XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="SECRETNAME"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


# -- JPEG ------------------------------------------------------------------------------------------


def jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    return saved(image or quarters(), "JPEG", **{"quality": 90, **options})


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_with(data: bytes, *segments: bytes) -> bytes:
    """The same JPEG with more segments behind its start."""
    return data[:2] + b"".join(segments) + data[2:]


def cmyk_jpeg(image: Image.Image | None = None) -> bytes:
    """As Photoshop writes it: inverted, with Adobe's marker."""
    return saved((image or quarters()).convert("CMYK"), "JPEG", quality=95)


def ycck_jpeg(image: Image.Image | None = None) -> bytes:
    """Adobe's other way: CMY as YCC, with K beside it, which is what is inverted."""
    cmyk = (image or quarters()).convert("CMYK")
    cyan, magenta, yellow, black = (np.asarray(channel) for channel in cmyk.split())
    ycc = Image.fromarray(np.stack([cyan, magenta, yellow], axis=-1)).convert("YCbCr").split()
    stored = [*ycc, Image.fromarray(255 - black)]
    # The writer inverts what it is given, so that it is given the inverse of what is to be stored.
    given = Image.merge("CMYK", [channel.point(lambda value: 255 - value) for channel in stored])
    data = saved(given, "JPEG", quality=95)
    at = data.index(b"Adobe")
    return data[: at + 11] + b"\2" + data[at + 12 :]


def plain_cmyk_jpeg(image: Image.Image | None = None) -> bytes:
    """CMYK without Adobe's marker, inverted all the same."""
    data = cmyk_jpeg(image)
    start = data.index(b"Adobe") - 4
    return data[:start] + data[start + 16 :]


_ARITHMETIC = (
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00;&K2L=TQ2L}fU2?z=d6b%du3k(?&6Au&}8Xq1V8XO!TBrYc)A}k{u94I#_EHE)NG&CP4IXyTsJT5"
    "adGXL8ELjeg12@DGi7!3^=G9erxGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBPqUGBW?k01*fPFaSUU0U`hb5"
    "di}c0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zf#0A%N3&yy5-BZ|Ctlow34?G35ZRKkR`kR4Wf{1*7+2V9Gd1TZcejb&k+ktzhoc2w4qAI&0"
    "xHu4VMe=%;30BNR=+i+kn!2j6"
)


def arithmetic_jpeg() -> bytes:
    """`quarters()` with arithmetic coding, which nothing here can write: once made with jpegtran."""
    return base64.b85decode(_ARITHMETIC)


_LOSSLESS = (
    "c-s4a<NrGbKF5^&q*R6!1`zmvm_d+(!GOVmIY^MfU68>^km3Ik25|;PAYecS9IWjBZ!z#N2Qj!aI57a_UeB4|*MN{`@?N^VfdMOERK0Zj0Cp*cNi"
    "TCB;E?hx+4cd4l*+E?3LH{GvATP3NO9^-yN5%HWx97h4yjR(4F!)eg<e^U?18AD%N{s%YI{Xx;*es^^!8Q2A-7gDa|sS9(WSa3I6{(X%hF{NaA*s"
    "gvgHyEDXvS?W;x)9n^CU~5w9`+zX<?wiE*p"
)


def lossless_jpeg() -> bytes:
    """`quarters()` coded without loss, which nothing here can write: once made with libjpeg-turbo 3."""
    return zlib.decompress(base64.b85decode(_LOSSLESS))


def mpo(image: Image.Image | None = None) -> bytes:
    """Two pictures in one file, as 3D cameras and phones write them."""
    first = image or quarters()
    return saved(first, "MPO", save_all=True, append_images=[first.resize((32, 24))])


def ultra_hdr(image: Image.Image | None = None) -> bytes:
    """A picture with its gain map behind it, told by XMP and a multi-picture index."""
    gain = jpeg(Image.new("L", (16, 12), 128))
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta hdrgm:Version="1.0"/>'
    primary = jpeg_with(jpeg(image), jpeg_segment(0xE1, xmp), _mpf(0, 0, 0))
    offset = primary.index(b"MPF\0") + 4
    primary = jpeg_with(jpeg(image), jpeg_segment(0xE1, xmp), _mpf(len(primary), len(gain), len(primary) - offset))
    return primary + gain


def _mpf(first_size: int, second_size: int, second_offset: int) -> bytes:
    entries = struct.pack(">IIIHH", 0x030000, first_size, 0, 0, 0)
    entries += struct.pack(">IIIHH", 0, second_size, second_offset, 0, 0)
    directory = struct.pack(">H", 3) + struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack(">HHII", 0xB001, 4, 1, 2) + struct.pack(">HHII", 0xB002, 7, 32, 8 + 2 + 36 + 4)
    return jpeg_segment(0xE2, b"MPF\0MM\0*" + struct.pack(">I", 8) + directory + struct.pack(">I", 0) + entries)


# -- PNG -------------------------------------------------------------------------------------------

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    samples: np.ndarray, depth: int, colour: int, *, interlaced: bool = False, chunks: Iterable[bytes] = ()
) -> bytes:
    """A PNG of `samples` (height, width, channels) with `depth` bits each, as the colour type `colour`."""
    height, width = samples.shape[:2]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = b""
    for left, top, right_step, down_step in passes:
        part = samples[top::down_step, left::right_step]
        if part.size:
            rows += b"".join(b"\0" + _packed(row, depth) for row in part)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    body = [png_chunk(b"IHDR", header), *chunks, png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _packed(row: np.ndarray, depth: int) -> bytes:
    if depth == 16:
        return row.astype(">u2").tobytes()
    if depth == 8:
        return row.astype(np.uint8).tobytes()
    bits = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - depth :]
    return np.packbits(bits.reshape(-1)).tobytes()


def rgb_samples(depth: int = 8) -> np.ndarray:
    return np.asarray(quarters()).astype(np.uint32) * ((1 << depth) - 1) // 255


def grey_samples(depth: int) -> np.ndarray:
    return (np.asarray(quarters().convert("L")).astype(np.uint32) * ((1 << depth) - 1) + 127)[..., None] // 255


def palette_png(depth: int = 8, *, transparent: bool = False) -> bytes:
    index = np.zeros((48, 64, 1), np.uint8)
    index[:24, 32:], index[24:, :32], index[24:, 32:] = 1, 2, 3
    chunks = [png_chunk(b"PLTE", b"".join(bytes(colour) for colour in QUADRANTS))]
    if transparent:
        chunks.append(png_chunk(b"tRNS", b"\xff\x80\x00"))
    return png(index, depth, 3, chunks=chunks)


def jpeg_of_many_scans() -> bytes:
    """A thousand scans over a large picture: cheap to store, dear to decode."""
    data = jpeg(Image.new("L", (4000, 4000)), progressive=True)
    scan = data.rindex(b"\xff\xda")
    return data[:scan] + data[scan:-2] * 1000 + b"\xff\xd9"


# -- TIFF ------------------------------------------------------------------------------------------


def tiff(
    samples: np.ndarray,
    photometric: int,
    *,
    order: str = "<",
    planar: int = 1,
    kind: int = 1,
    packed: int = 1,
    predictor: int = 1,
    tile: int = 0,
    rows: int = 0,
    more: Iterable[tuple[int, int | tuple[int, ...]]] = (),
) -> bytes:
    """A TIFF of `samples` (height, width, channels). `kind` is SampleFormat: 1 unsigned, 3 float.

    `packed` is the compression; `tile` the side of tiles, `rows` those of a strip (else all); `more`: other tags.
    """
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    stored = samples.astype(samples.dtype.newbyteorder(order))
    planes = [stored] if planar == 1 else [stored[..., channel, None] for channel in range(channels)]
    rows = rows or height
    if tile:
        right, below = -width % tile, -height % tile
        planes = [np.pad(plane, ((0, below), (0, right), (0, 0))) for plane in planes]
    parts = [
        plane[top : top + (tile or rows), left : left + (tile or width)]
        for plane in planes
        for top in range(0, height, tile or rows)
        for left in range(0, width, tile or width)
    ]
    strips = [_tiff_packed(_tiff_predicted(part, predictor), packed) for part in parts]
    tags: list[tuple[int, int | tuple[int, ...]]] = [*more, *([(317, predictor)] if predictor != 1 else [])]
    tags += [(322, tile), (323, tile)] if tile else [(278, rows)]
    count = 10 + len(tags)
    extra_at = 8 + 2 + 12 * count + 4
    extra = b""

    def values(letter: str, numbers: list[int]) -> bytes:
        nonlocal extra
        packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        if len(packed) <= 4:
            return packed.ljust(4, b"\0")
        where = extra_at + len(extra)
        extra += packed + b"\0" * (len(packed) % 2)
        return struct.pack(order + "I", where)

    def entry(tag: int, letter: str, numbers: list[int]) -> bytes:
        return struct.pack(order + "HHI", tag, 3 if letter == "H" else 4, len(numbers)) + values(letter, numbers)

    data_at = extra_at + 256 + 8 * len(strips)
    offsets = [data_at + sum(len(strip) for strip in strips[:place]) for place in range(len(strips))]
    entries = [
        entry(256, "I", [width]),
        entry(257, "I", [height]),
        entry(258, "H", [bits] * channels),
        entry(259, "H", [packed]),
        entry(262, "H", [photometric]),
        entry(324 if tile else 273, "I", offsets),
        entry(277, "H", [channels]),
        entry(325 if tile else 279, "I", [len(strip) for strip in strips]),
        entry(284, "H", [planar]),
        entry(339, "H", [kind] * channels),
        *(
            entry(tag, "I" if tag == 278 else "H", [value] if isinstance(value, int) else list(value))
            for tag, value in tags
        ),
    ]
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2]))
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = mark + struct.pack(order + "IH", 8, count) + b"".join(entries) + struct.pack(order + "I", 0)
    return (directory + extra).ljust(data_at, b"\0") + b"".join(strips)


def _tiff_predicted(part: np.ndarray, predictor: int) -> bytes:
    """Differences to the sample on the left; with 3, of the bytes of floats, the most significant ones first."""
    rows, columns, channels = part.shape
    size = part.dtype.itemsize
    if predictor == 1:
        return part.tobytes()
    if predictor == 2:
        words = part.view(part.dtype.str.replace("f", "u"))
        native = words.astype(words.dtype.newbyteorder("="))
        native[:, 1:] -= native[:, :-1].copy()
        return native.astype(words.dtype).tobytes()
    big = np.ascontiguousarray(part.astype(part.dtype.newbyteorder(">"))).view(np.uint8)
    split = big.reshape(rows, columns * channels, size).transpose(0, 2, 1).reshape(rows, -1).copy()
    split[:, channels:] -= split[:, :-channels].copy()
    return split.tobytes()


def tiff_with_profile(data: bytes, icc: bytes) -> bytes:
    """The same little-endian TIFF with an ICC profile: its directory is written anew behind it."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [data[at + 2 + 12 * place :][:12] for place in range(count)]
    entries.append(struct.pack("<HHII", 34675, 7, len(icc), len(data)))
    directory = struct.pack("<H", count + 1) + b"".join(sorted(entries, key=lambda e: e[1::-1])) + bytes(4)
    padded = data + icc + bytes(len(icc) % 2)
    return padded[:4] + struct.pack("<I", len(padded)) + padded[8:] + directory


def _tiff_packed(data: bytes, packed: int) -> bytes:
    if packed == 8:
        return zlib.compress(data)
    if packed == 5:
        row = saved(Image.frombytes("L", (len(data), 1), data), "TIFF", compression="tiff_lzw")
        with Image.open(io.BytesIO(row)) as image:
            (at,), (length,) = image.tag_v2[273], image.tag_v2[279]
        return row[at : at + length]
    return data


def float_tiff(kind: str = "f4", **options: Any) -> bytes:
    """The usual picture in floats; `options` as of `tiff`."""
    return tiff((rgb_samples() / 255).astype(kind), 2, kind=3, **options)


def grey_tiff_of_12_bits(*, order: str = "<", **options: Any) -> bytes:
    """Two samples in three bytes; written as bytes, then told what they are. `options` as of `tiff`."""
    values = grey_samples(12)[..., 0].reshape(-1, 2)
    first, second = values[:, 0], values[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=-1).astype(np.uint8)
    data = tiff(packed.reshape(48, 96, 1), 1, order=order, **options)

    def entry(tag: int, kind: str, value: int) -> bytes:
        return struct.pack(order + "HHI" + kind, tag, 4 if kind == "I" else 3, 1, value)

    return data.replace(entry(256, "I", 96), entry(256, "I", 64)).replace(entry(258, "H", 8), entry(258, "H", 12))


def grey_and_alpha() -> np.ndarray:
    return np.concatenate([grey_samples(8), np.full((48, 64, 1), 255)], axis=-1).astype(np.uint8)


def jpeg2000(samples: np.ndarray, bits: int) -> bytes:
    data: bytes = encode_array(samples, bits, photometric_interpretation=1, use_mct=False, codec_format=1)
    return data


def jp2(samples: np.ndarray, *boxes: bytes) -> bytes:
    """Samples as they are, without loss, in a file of exactly these boxes about their colours."""
    bits = samples.dtype.itemsize * 8
    whole = np.ascontiguousarray(samples)
    stream = encode_array(whole, bits, photometric_interpretation=0, use_mct=False, codec_format=0)
    height, width = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    header = jp2_box(b"ihdr", struct.pack(">2IH4B", height, width, count, bits - 1, 7, 0, 0))
    parts = [jp2_box(b"jP  ", b"\r\n\x87\n"), jp2_box(b"ftyp", b"jp2 \0\0\0\0jp2 ")]
    return b"".join([*parts, jp2_box(b"jp2h", header + b"".join(boxes)), jp2_box(b"jp2c", stream)])


def jp2_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def jp2_space(number: int) -> bytes:
    return jp2_box(b"colr", struct.pack(">3BI", 1, 0, 0, number))


def jp2_profile(icc: bytes, method: int = 2) -> bytes:
    return jp2_box(b"colr", bytes([method, 0, 0]) + icc)


def jp2_channels(*told: tuple[int, int, int]) -> bytes:
    """Of each channel its number, its kind, and the colour that it belongs to."""
    return jp2_box(b"cdef", struct.pack(">H", len(told)) + b"".join(struct.pack(">3H", *one) for one in told))


def avif_with(image: Image.Image, *properties: bytes) -> bytes:
    """An AVIF of a still picture, with more boxes that tell of it."""
    data = saved(image, "AVIF", quality=90)
    own, of_item, pixels = data.index(b"ipco") - 4, data.index(b"ipma") - 4, data.index(b"mdat") - 4
    count = data[of_item + 18]
    numbers = bytes(0x80 | number for number in range(count + 1, count + 1 + len(properties)))
    told = data[of_item + 4 : of_item + 18] + bytes([count + len(numbers)]) + data[of_item + 19 : pixels] + numbers
    stored = b"".join(properties)
    found = bytearray(data[:of_item] + stored + struct.pack(">I", 4 + len(told)) + told + data[pixels:])
    where_the_pixels_are = data.index(b"iloc") + 18
    for at in (data.index(b"meta") - 4, data.index(b"iprp") - 4, own, where_the_pixels_are):
        (number,) = struct.unpack_from(">I", found, at)
        struct.pack_into(">I", found, at, number + len(stored) + (0 if at == own else len(numbers)))
    return bytes(found)


def avif_behind(data: bytes, filling: int) -> bytes:
    """The same AVIF of a still picture with a box of so many bytes before all that tells of it."""
    at, where_the_pixels_are = data.index(b"meta") - 4, data.index(b"iloc") + 18
    (offset,) = struct.unpack_from(">I", data, where_the_pixels_are)
    moved = struct.pack(">I", offset + 8 + filling)
    rest = data[at:where_the_pixels_are] + moved + data[where_the_pixels_are + 4 :]
    return data[:at] + struct.pack(">I4s", 8 + filling, b"free") + bytes(filling) + rest


def clap(*told: int) -> bytes:
    """The box of a clean aperture: width, height, and how far its middle is off, each a fraction."""
    return struct.pack(">I4s4IiIiI", 40, b"clap", *told)


# -- the rest --------------------------------------------------------------------------------------


def cursor() -> bytes:
    icon = saved(quarters(64, 64), "ICO", sizes=[(64, 64)], bitmap_format="bmp")
    return icon[:2] + b"\2\0" + icon[4:]


def psd(*, selection: bool = False) -> bytes:
    """A flat RGB document: header, no palette, no resources, no layers, raw planes; with an empty selection, saved."""
    return psd_of([*rgb_planes(), *([np.zeros((48, 64), np.uint8)] if selection else [])])


def rgb_planes() -> list[np.ndarray]:
    return list(np.asarray(quarters()).transpose(2, 0, 1))


def psd_of(
    planes: list[np.ndarray],
    *,
    mode: int = 3,
    size: tuple[int, int] = (64, 48),
    packed: bool = False,
    palette: bytes = b"",
    resources: Iterable[tuple[int, bytes]] = (),
    layers: bytes = b"",
) -> bytes:
    """A document of these channels, whose rows are bits where they are narrower than the picture."""
    width, height = size
    bits = 8 * planes[0].itemsize if planes[0].shape[1] == width else 1
    planes = [plane.astype(plane.dtype.newbyteorder(">")) for plane in planes]
    told = b"".join(
        struct.pack(">4sHxxI", b"8BIM", number, len(content)) + content + bytes(len(content) % 2)
        for number, content in resources
    )
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, len(planes), height, width, bits, mode)
    head += b"".join(struct.pack(">I", len(section)) + section for section in (palette, told, layers))
    if not packed:
        return head + b"\0\0" + b"".join(plane.tobytes() for plane in planes)
    rows = [pack_bits(row.tobytes()) for plane in planes for row in plane]
    return head + b"\0\1" + b"".join(struct.pack(">H", len(row)) for row in rows) + b"".join(rows)


def pack_bits(row: bytes) -> bytes:
    """Runs of equal bytes, and all between them as it is."""
    runs = [bytes(run) for _, run in itertools.groupby(row)]
    packed = b""
    for alone, some in itertools.groupby(runs, lambda run: len(run) == 1):
        whole = b"".join(some) if alone else b""
        for at in range(0, len(whole), 128):
            packed += bytes([len(whole[at : at + 128]) - 1]) + whole[at : at + 128]
        for run in () if alone else some:
            for at in range(0, len(run), 128):
                count = len(run[at : at + 128])
                packed += bytes([257 - count & 0xFF if count > 1 else 0, run[0]])
    return packed


def psd_layers(count: int) -> bytes:
    """A section that tells of so many layers, and holds none."""
    return struct.pack(">Ih2xI", 4, count, 0)


def tga_of_empty_alpha() -> bytes:
    """Four bytes a pixel, of which the header says that the last one means nothing."""
    clear = quarters().convert("RGBA")
    clear.putalpha(0)
    data = bytearray(saved(clear, "TGA"))
    data[17] &= 0xF0
    return bytes(data)


def sun(depth: int = 24, kind: int = 1) -> bytes:
    """Of 24 or 32 bits a pixel; `kind`: 1 for blue first, 2 for that with runs allowed, 3 for red first."""
    pixels = np.asarray(quarters())[..., :: 1 if kind == 3 else -1]
    if depth == 32:
        pixels = np.dstack([np.full((48, 64), 77, np.uint8), pixels])
    data = pixels.tobytes()
    if kind == 2:
        assert b"\x80" not in data  # which begins a run; without it, every byte stands for itself
    return struct.pack(">8I", 0x59A66A95, 64, 48, depth, len(data), kind, 0, 0) + data


def icns() -> bytes:
    return saved(quarters(128, 128), "ICNS")


def frames(count: int = 3) -> list[Image.Image]:
    first = quarters()
    return [first, *(first.rotate(90 * turn) for turn in range(1, count))]


def animation(name: str, count: int = 3) -> bytes:
    """Several frames; pages in a TIFF."""
    first, *others = frames(count)
    return saved(first, name, save_all=True, append_images=others, duration=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One file of one format. `grey`: it has no colours; `tolerance`: how far its colours may be off."""

    what: str
    format: str
    make: Callable[[], bytes]
    size: tuple[int, int] = (64, 48)
    tolerance: int = 12
    grey: bool = False
    moving: bool = False
    rarely_read: bool = False

    @property
    def id(self) -> str:
        return self.what.replace(" ", "-")


def _of(what: str, name: str, make: Callable[[], bytes], **more: object) -> Sample:
    return Sample(what=what, format=name, make=make, **more)  # type: ignore[arg-type]


SAMPLES: tuple[Sample, ...] = (
    _of("JPEG baseline", "JPEG", jpeg),
    _of("JPEG progressive", "JPEG", lambda: jpeg(progressive=True)),
    _of("JPEG 4:4:4", "JPEG", lambda: jpeg(subsampling=0)),
    _of("JPEG 4:2:2", "JPEG", lambda: jpeg(subsampling=1)),
    _of("JPEG as RGB", "JPEG", lambda: jpeg(keep_rgb=True)),
    _of("JPEG with restarts", "JPEG", lambda: jpeg(restart_marker_blocks=2)),
    _of("JPEG arithmetic", "JPEG", arithmetic_jpeg, rarely_read=True),
    _of("JPEG lossless", "JPEG", lossless_jpeg, rarely_read=True),
    _of("JPEG grey", "JPEG", lambda: jpeg(quarters().convert("L")), grey=True),
    _of("JPEG CMYK Adobe", "JPEG", cmyk_jpeg),
    _of("JPEG CMYK plain", "JPEG", plain_cmyk_jpeg),
    _of("JPEG YCCK", "JPEG", ycck_jpeg),
    _of("JPEG MPO", "JPEG", mpo),
    _of("JPEG Ultra HDR", "JPEG", ultra_hdr),
    _of("PNG RGB", "PNG", lambda: png(rgb_samples(), 8, 2)),
    _of("PNG RGB 16 bit", "PNG", lambda: png(rgb_samples(16), 16, 2)),
    _of("PNG RGBA", "PNG", lambda: saved(quarters().convert("RGBA"), "PNG")),
    _of("PNG interlaced", "PNG", lambda: png(rgb_samples(), 8, 2, interlaced=True)),
    _of("PNG grey 1 bit", "PNG", lambda: png(grey_samples(1), 1, 0), grey=True, tolerance=130),
    _of("PNG grey 2 bit", "PNG", lambda: png(grey_samples(2), 2, 0), grey=True, tolerance=50),
    _of("PNG grey 4 bit", "PNG", lambda: png(grey_samples(4), 4, 0), grey=True),
    _of("PNG grey 8 bit", "PNG", lambda: png(grey_samples(8), 8, 0), grey=True),
    _of("PNG grey 16 bit", "PNG", lambda: png(grey_samples(16), 16, 0), grey=True),
    _of("PNG palette 2 bit", "PNG", lambda: palette_png(2)),
    _of("PNG palette 8 bit", "PNG", lambda: palette_png(8)),
    _of("APNG", "PNG", lambda: animation("PNG"), moving=True),
    _of("WebP lossy", "WEBP", lambda: saved(quarters(), "WEBP", quality=90)),
    _of("WebP lossless", "WEBP", lambda: saved(quarters(), "WEBP", lossless=True)),
    _of("WebP alpha", "WEBP", lambda: saved(quarters().convert("RGBA"), "WEBP", quality=90)),
    _of("WebP animated", "WEBP", lambda: animation("WEBP"), moving=True, tolerance=25),
    _of("GIF", "GIF", lambda: saved(quarters(), "GIF")),
    _of("GIF animated", "GIF", lambda: animation("GIF"), moving=True),
    _of("BMP 24 bit", "BMP", lambda: saved(quarters(), "BMP")),
    _of("BMP palette", "BMP", lambda: saved(quarters().quantize(16), "BMP")),
    _of("BMP 1 bit", "BMP", lambda: saved(quarters().convert("1", dither=0), "BMP"), grey=True, tolerance=130),
    _of("TIFF RGB", "TIFF", lambda: saved(quarters(), "TIFF")),
    _of("TIFF RGB big-endian", "TIFF", lambda: tiff(rgb_samples().astype(np.uint8), 2, order=">")),
    _of("TIFF RGB planes", "TIFF", lambda: tiff(rgb_samples().astype(np.uint8), 2, planar=2)),
    _of("TIFF RGB 16 bit", "TIFF", lambda: tiff(rgb_samples(16).astype(np.uint16), 2)),
    _of("TIFF RGB 16 bit big-endian", "TIFF", lambda: tiff(rgb_samples(16).astype(np.uint16), 2, order=">")),
    _of("TIFF RGB 16 bit planes", "TIFF", lambda: tiff(rgb_samples(16).astype(np.uint16), 2, planar=2, order=">")),
    _of("TIFF grey and alpha planes", "TIFF", lambda: tiff(grey_and_alpha(), 1, planar=2, more=[(338, 2)]), grey=True),
    _of("TIFF grey and associated alpha", "TIFF", lambda: tiff(grey_and_alpha(), 1, more=[(338, 1)]), grey=True),
    _of("TIFF grey 12 bit", "TIFF", grey_tiff_of_12_bits, grey=True),
    _of("TIFF grey 12 bit big-endian", "TIFF", lambda: grey_tiff_of_12_bits(order=">"), grey=True),
    _of("TIFF grey 16 bit signed", "TIFF", lambda: tiff(grey_samples(15).astype(np.int16), 1, kind=2), grey=True),
    _of("TIFF white is 0, 16 bit", "TIFF", lambda: tiff(65535 - grey_samples(16).astype(np.uint16), 0), grey=True),
    _of("TIFF white is 0, float", "TIFF", lambda: tiff(1 - grey_samples(8).astype("f4") / 255, 0, kind=3), grey=True),
    _of("TIFF white is 0, plane", "TIFF", lambda: tiff(255 - grey_samples(8).astype("u1"), 0, planar=2), grey=True),
    _of("TIFF grey 16 bit", "TIFF", lambda: tiff(grey_samples(16).astype(np.uint16), 1), grey=True),
    _of(
        "TIFF grey 16 bit big-endian",
        "TIFF",
        lambda: tiff(grey_samples(16).astype(np.uint16), 1, order=">"),
        grey=True,
    ),
    _of("TIFF grey 32 bit", "TIFF", lambda: tiff(grey_samples(8).astype(np.uint32) * 16843009, 1), grey=True),
    _of("TIFF float", "TIFF", lambda: tiff((grey_samples(8) / 255).astype(np.float32), 1, kind=3), grey=True),
    _of("TIFF float RGB", "TIFF", float_tiff),
    _of("TIFF float RGB big-endian planes", "TIFF", lambda: float_tiff(order=">", planar=2)),
    _of("TIFF float RGB Deflate predictor 3", "TIFF", lambda: float_tiff(packed=8, predictor=3, rows=7)),
    _of("TIFF float RGB LZW predictor 2", "TIFF", lambda: float_tiff(packed=5, predictor=2, rows=7)),
    _of("TIFF float RGB tiles", "TIFF", lambda: float_tiff(tile=32, planar=2, packed=8, predictor=3, order=">")),
    _of("TIFF half RGB", "TIFF", lambda: float_tiff("f2", packed=5, predictor=3)),
    _of("TIFF double RGB", "TIFF", lambda: float_tiff("f8", tile=16, packed=8, predictor=2, order=">")),
    _of("TIFF half grey", "TIFF", lambda: tiff((grey_samples(8) / 255).astype("f2"), 1, kind=3), grey=True),
    _of("TIFF double grey", "TIFF", lambda: tiff((grey_samples(8) / 255).astype("f8"), 1, kind=3), grey=True),
    _of("TIFF CMYK", "TIFF", lambda: saved(quarters().convert("CMYK"), "TIFF")),
    _of("TIFF LZW", "TIFF", lambda: saved(quarters(), "TIFF", compression="tiff_lzw")),
    _of("TIFF Deflate", "TIFF", lambda: saved(quarters(), "TIFF", compression="tiff_adobe_deflate")),
    _of("TIFF JPEG inside", "TIFF", lambda: saved(quarters(), "TIFF", compression="jpeg", quality=95), tolerance=25),
    _of("TIFF Lab", "TIFF", lambda: tiff(lab_samples(), 8), tolerance=14),
    _of("TIFF Lab planes", "TIFF", lambda: tiff(lab_samples(), 8, planar=2), tolerance=14),
    _of("TIFF CMYK 16 bit planes", "TIFF", lambda: tiff(_inks(16), 5, planar=2)),
    _of("TIFF CMYK and alpha", "TIFF", lambda: tiff(_and_alpha(cmyk_samples()), 5, more=[(338, 2)])),
    _of("TIFF CMYK 16 bit, multiplied", "TIFF", lambda: tiff(_and_alpha(_inks(16)), 5, more=[(338, 1)], packed=8)),
    _of("TIFF grey and alpha 16 bit", "TIFF", lambda: tiff(_and_alpha(_grey16()), 1, more=[(338, 2)]), grey=True),
    _of("TIFF RGB 16 bit, alpha, selection", "TIFF", lambda: rgb_alpha_and_selection()),
    _of("TIFF Lab 16 bit", "TIFF", lambda: tiff(lab_samples_of_16_bits(), 8), tolerance=14),
    _of("TIFF 1 bit fax", "TIFF", lambda: fax(), grey=True, tolerance=130),
    _of("BigTIFF", "TIFF", lambda: saved(quarters(), "TIFF", big_tiff=True)),
    _of(
        "TIFF pages", "TIFF", lambda: saved(quarters(), "TIFF", save_all=True, append_images=frames()[1:]), moving=True
    ),
    _of("AVIF", "AVIF", lambda: saved(quarters(), "AVIF", quality=90), tolerance=25),
    _of("AVIF alpha", "AVIF", lambda: saved(quarters().convert("RGBA"), "AVIF", quality=90), tolerance=25),
    _of("AVIF sequence", "AVIF", lambda: animation("AVIF"), moving=True, tolerance=25),
    _of("ICO", "ICO", lambda: saved(quarters(64, 64), "ICO", sizes=[(16, 16), (64, 64)]), size=(64, 64)),
    _of("CUR", "CUR", cursor, size=(64, 64)),
    _of("ICNS", "ICNS", icns, size=(1024, 1024)),
    _of("TGA", "TGA", lambda: saved(quarters(), "TGA")),
    _of("TGA without alpha by its header", "TGA", lambda: tga_of_empty_alpha()),
    _of("TGA RLE", "TGA", lambda: saved(quarters(), "TGA", compression="tga_rle")),
    _of("PBM", "PPM", lambda: saved(quarters().convert("1", dither=0), "PPM"), grey=True, tolerance=130),
    _of("PGM", "PPM", lambda: saved(quarters().convert("L"), "PPM"), grey=True),
    _of("PPM", "PPM", lambda: saved(quarters(), "PPM")),
    _of("PPM 16 bit", "PPM", lambda: b"P6 64 48 65535\n" + rgb_samples(16).astype(">u2").tobytes()),
    _of("PGM 16 bit", "PPM", lambda: b"P5 64 48 65535\n" + grey_samples(16).astype(">u2").tobytes(), grey=True),
    _of("PFM", "PPM", lambda: b"Pf\n64 48\n-1.0\n" + _upside_down(grey_samples(8) / 255), grey=True),
    _of("JPEG 2000", "JPEG2000", lambda: saved(quarters(), "JPEG2000")),
    _of("JPEG 2000 codestream", "JPEG2000", lambda: saved(quarters(), "JPEG2000", no_jp2=True)),
    _of("JPEG 2000 16 bit", "JPEG2000", lambda: jpeg2000(rgb_samples(16).astype(np.uint16), 16)),
    _of("JPEG 2000 12 bit", "JPEG2000", lambda: jpeg2000(rgb_samples(12).astype(np.uint16), 12)),
    _of("PSD", "PSD", psd),
    _of("PSD with a selection", "PSD", lambda: psd(selection=True)),
    _of("PSD packed, with selections", "PSD", lambda: psd_of([*rgb_planes(), *rgb_planes()], packed=True)),
    _of("PSD RGB 16 bit", "PSD", lambda: psd_of([plane.astype("u2") * 257 for plane in rgb_planes()])),
    _of("PSD Lab", "PSD", lambda: psd_of(psd_lab_planes(), mode=9, packed=True), tolerance=14),
    _of("PSD CMYK", "PSD", lambda: psd_of(list(255 - cmyk_samples().transpose(2, 0, 1)), mode=4)),
    _of("PSD grey", "PSD", lambda: psd_of([grey_samples(8)[..., 0].astype("u1")], mode=1), grey=True),
    _of("PSD duotone", "PSD", lambda: psd_of([grey_samples(8)[..., 0].astype("u1")], mode=8), grey=True),
    _of("PSD palette", "PSD", lambda: palette_psd()),
    _of("PSD bitmap", "PSD", lambda: bitmap_psd(), grey=True, tolerance=130),
    _of("QOI", "QOI", lambda: saved(quarters(), "QOI")),
    _of("PCX", "PCX", lambda: saved(quarters(), "PCX")),
    _of("SGI", "SGI", lambda: saved(quarters(), "SGI")),
    _of("DDS", "DDS", lambda: saved(quarters(), "DDS")),
    _of("Sun raster", "SUN", sun),
    _of("Sun raster 32 bit", "SUN", lambda: sun(32)),
    _of("Sun raster 32 bit RLE", "SUN", lambda: sun(32, 2)),
    _of("Sun raster 32 bit RGB", "SUN", lambda: sun(32, 3)),
)
"""Every kind of file that can be made fit; all show `quarters()`."""


def _inks(depth: int) -> np.ndarray:
    return (np.asarray(quarters().convert("CMYK")).astype(np.uint32) * ((1 << depth) - 1) // 255).astype(np.uint16)


def _and_alpha(colours: np.ndarray) -> np.ndarray:
    """With one more channel, of nothing transparent."""
    return np.concatenate([colours, np.full_like(colours[..., :1], np.iinfo(colours.dtype).max)], axis=-1)


def _grey16() -> np.ndarray:
    return grey_samples(16).astype(np.uint16)


def rgb_alpha_and_selection() -> bytes:
    samples = _and_alpha(rgb_samples(16).astype(np.uint16))
    return tiff(np.concatenate([samples, samples[..., :1]], axis=-1), 2, more=[(338, (2, 0))], packed=5, rows=7)


def cmyk_samples() -> np.ndarray:
    return np.asarray(quarters().convert("CMYK"))


def palette_psd(*, packed: bool = False, resources: Iterable[tuple[int, bytes]] = ()) -> bytes:
    image = quarters().quantize(4)
    colours = bytes(image.getpalette() or ()).ljust(768, b"\0")
    palette = colours[0::3] + colours[1::3] + colours[2::3]
    return psd_of([np.asarray(image)], mode=2, packed=packed, palette=palette, resources=resources)


def bitmap_psd(*, packed: bool = False) -> bytes:
    """1 is black."""
    return psd_of([np.packbits(grey_samples(1)[..., 0] == 0, axis=1)], mode=0, packed=packed)


def psd_lab_planes() -> list[np.ndarray]:
    return [plane ^ sign for plane, sign in zip(lab_samples().transpose(2, 0, 1), (0, 128, 128), strict=True)]


def lab_samples_of_16_bits() -> np.ndarray:
    lightness, *others = lab_samples().transpose(2, 0, 1).astype(np.uint16)
    return np.stack([lightness * 257, *(other << 8 for other in others)], axis=-1)


def lab_samples() -> np.ndarray:
    from PIL import ImageCms  # not needed by anybody else who wants a picture

    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        "RGB",
        "LAB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    # Pillow gives a and b signed here, as a TIFF has them.
    return np.asarray(ImageCms.applyTransform(quarters(), transform))


def fax() -> bytes:
    return saved(quarters().convert("1", dither=0), "TIFF", compression="group4")


def _upside_down(values: np.ndarray) -> bytes:
    return values.astype("<f4")[::-1].tobytes()


def heic(image: Image.Image | None = None, **options: object) -> bytes:
    """Needs the extra `[heif]`."""
    import pillow_heif  # only where it is installed

    buffer = io.BytesIO()
    pillow_heif.from_pillow(image or quarters()).save(buffer, quality=90, **options)
    return buffer.getvalue()


# -- colour profiles -------------------------------------------------------------------------------

DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
BT2020 = ((0.67348, 0.27904, -0.00193), (0.16567, 0.67535, 0.02998), (0.12505, 0.0456, 0.7969))
"""Red, green and blue as XYZ under D50."""
D50 = (0.9642, 1.0, 0.8249)


def _icc(space: bytes, tags: dict[bytes, bytes], device: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    head_size = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += struct.pack(">4sII", name, head_size + len(body), len(content))
        body += content
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head = struct.pack(">I4sI4s4s4s", head_size + len(body), b"test", 0x02400000, device, space, pcs) + date
    head += b"acsp" + bytes(28) + _xyz(D50)[8:]
    return head.ljust(128, b"\0") + table + body


def _xyz(values: Iterable[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _words(text: str) -> dict[bytes, bytes]:
    ascii_text = text.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(12 + 67)
    return {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(D50)}


def rgb_profile(colours: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """An ICC profile of three primaries and a gamma."""
    return curve_profile(colours, b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)))


def curve_profile(
    colours: tuple[tuple[float, ...], ...], curve: bytes, more: dict[bytes, bytes] | None = None
) -> bytes:
    """An ICC profile of three primaries and any curve, as a tag."""
    tags = {**_words("test RGB"), **(more or {})}
    for letter, colour in zip((b"r", b"g", b"b"), colours, strict=True):
        tags |= {letter + b"XYZ": _xyz(colour), letter + b"TRC": curve}
    return _icc(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return _icc(b"GRAY", {**_words("test grey"), b"kTRC": curve})


CMYK_LAB = {"cyan": (58, -30, -50), "magenta": (48, 74, -3), "yellow": (89, -5, 93), "paper": (100, 0, 0)}
"""What `cmyk_profile` says of full cyan, magenta, yellow, and of paper."""


def cmyk_profile() -> bytes:
    """An ICC profile by table: two steps for each ink, so that the colours of full inks are known exactly."""
    inks = [CMYK_LAB[name] for name in ("cyan", "magenta", "yellow")]
    table = b""
    for corner in range(16):
        used = [inks[place] for place in range(3) if corner >> (3 - place) & 1]
        black = corner & 1
        lightness = 0 if black else min([100, *(ink[0] for ink in used)]) - 15 * max(0, len(used) - 1)
        a = 0 if black or not used else sum(ink[1] for ink in used) // len(used)
        b = 0 if black or not used else sum(ink[2] for ink in used) // len(used)
        table += bytes([round(max(0, lightness) * 255 / 100), a + 128, b + 128])
    identity = b"".join(struct.pack(">i", 65536 if row == column else 0) for row in range(3) for column in range(3))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    return _icc(b"CMYK", {**_words("test CMYK"), b"A2B0": lut}, device=b"prtr", pcs=b"Lab ")


# -- likeness --------------------------------------------------------------------------------------


def lanczos_in_float(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """The reference: every channel resized by Lanczos in floating point; (height, width, channels)."""
    planes = [
        Image.fromarray(np.asarray(channel, dtype=np.float32)).resize(size, Image.Resampling.LANCZOS)
        for channel in image.split()
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1).clip(0, 255)


def luma(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity of two grey pictures, as Wang et al. define it (Gaussian window, sigma 1.5)."""
    x, y = one.astype(np.float32), other.astype(np.float32)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x**2
    var_y = _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + first) * (2 * both + second)
    return float((top / ((mean_x**2 + mean_y**2 + first) * (var_x + var_y + second))).mean())


def _smooth(values: np.ndarray) -> np.ndarray:
    kernel = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    rows = sum(weight * values[at : values.shape[0] - 10 + at] for at, weight in enumerate(kernel))
    return sum(weight * rows[:, at : rows.shape[1] - 10 + at] for at, weight in enumerate(kernel))  # type: ignore
