"""Small files that claim or unpack to far too much: refused by a real worker that stays small."""

from __future__ import annotations

import functools
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import normalise, read_header
from ingestor.images.source import Source
from ingestor.images.workers.pool import ImagePool
from ingestor.ports import NormaliseRules
from tests import image_kit as kit

MEGABYTES = 300
SECONDS = 2
SIDE = 65535


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 20), 9)
    chunks = [kit.png_chunk(b"IHDR", header), kit.png_chunk(b"IDAT", body), kit.png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_with(kind: bytes, body: bytes) -> bytes:
    return kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(kind, body)])


@functools.cache
def unpacking(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def jpeg_claiming(width: int, height: int) -> bytes:
    data = kit.jpeg()
    frame = data.index(b"\xff\xc0")
    return data[: frame + 5] + struct.pack(">HH", height, width) + data[frame + 9 :]


def jpeg_of(side: int, *, scans: int) -> bytes:
    """A flat progressive one whose last scan comes again and again."""
    data = kit.jpeg(Image.new("L", (side, side)), progressive=True)
    head, last = data[: data.rindex(b"\xff\xda")], data[data.rindex(b"\xff\xda") : -2]
    return head + last * (scans - head.count(b"\xff\xda")) + b"\xff\xd9"


def webp_claiming(side: int) -> bytes:
    data = kit.saved(kit.quarters(), "WEBP", lossless=True)
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", data, at)
    bits = bits & ~0xFFFFFFF | (side - 1) | (side - 1) << 14
    return data[:at] + struct.pack("<I", bits) + data[at + 4 :]


def gif_of(frames: int) -> bytes:
    """One small frame, again and again."""
    data = kit.saved(kit.quarters(), "GIF")
    start = data.index(b"\x2c\0\0\0\0", 13)
    return data[:start] + data[start:-1] * frames + b";"


def gif_frame(side: int, *, disposal: int) -> bytes:
    control = b"!\xf9\4" + bytes([disposal << 2]) + b"\0\0\0\0"
    return control + b"," + struct.pack("<4H", 0, 0, side, side) + b"\0\2\2\x4c\1\0"


def gif_of_a_pixel(*frames: bytes) -> bytes:
    """By what its screen is said to be."""
    return b"GIF89a" + struct.pack("<2H", 1, 1) + b"\x80" + bytes(5) + b"\xff" * 3 + b"".join(frames) + b";"


def bitmap_claiming(width: int, height: int, *, bits: int) -> bytes:
    return struct.pack("<IiiHHIIiiII", 40, width, height * 2, 1, bits, 0, 0, 0, 0, 0, 0) + bytes(200)


def tiff_claiming(**values: int) -> bytes:
    """A TIFF whose entries say what the test wants: `width`, `height`, `count` (of strips), `offset`."""
    data = bytearray(kit.saved(kit.quarters(), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    tags = {"width": 256, "height": 257, "offset": 273}
    for at in range(first + 2, first + 2 + 12 * entries, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        for name, wanted in values.items():
            if tags.get(name) == tag:
                struct.pack_into("<HHII", data, at, tag, 4, 1, wanted)
            if name == "count" and tag in (273, 279):
                struct.pack_into("<I", data, at + 4, wanted)
    return bytes(data)


def tiff_in_a_circle() -> bytes:
    """Two directories that name each other as the next one."""
    data = bytearray(kit.animation("TIFF", 2))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    link = first + 2 + 12 * entries
    (second,) = struct.unpack_from("<I", data, link)
    (more,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * more, first)
    return bytes(data)


def nested_tiff(depth: int) -> bytes:
    """Sub-directories (tag 330) inside sub-directories."""
    parts = b"II*\0" + struct.pack("<I", 8)
    for level in range(depth):
        following = 8 + 18 * (level + 1)
        parts += struct.pack("<HHHIII", 1, 330, 4, 1, following, 0)
    return parts + bytes(200)


def icon_of(data: bytes, kind: int = 1) -> bytes:
    """An icon, or a cursor (2), of 16x16 by its directory."""
    return struct.pack("<3H4B2H2I", 0, kind, 1, 16, 16, 0, 0, 1, 32, len(data), 22) + data


def mac_icon_of(data: bytes) -> bytes:
    """Of 1024x1024 by its directory."""
    block = b"ic10" + struct.pack(">I", 8 + len(data)) + data
    return b"icns" + struct.pack(">I", 8 + len(block)) + block


def jpeg2000_claiming(*numbers: int) -> bytes:
    """A codestream whose size segment begins with these: width, height, left, top, and the same of its tiles."""
    data = kit.saved(Image.new("L", (64, 64)), "JPEG2000", no_jp2=True)
    return data[:8] + struct.pack(f">{len(numbers)}I", *numbers) + data[8 + 4 * len(numbers) :]


def tiff_with(tag: int, kind: int, values: int, *, inside: bool = False) -> bytes:
    """One field more, of so many numbers, in the picture's directory or in that of EXIF."""
    numbers = b"a" * (values * {2: 1, 3: 2, 4: 4}[kind])
    fields = {256: 10, 257: 10, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 10, 279: 100}
    entries = {name: struct.pack("<HHII", name, 4, 1, value) for name, value in fields.items()}
    at = 108 + len(numbers)
    more = struct.pack("<HHII", tag, kind, values, 108)
    entries[34665 if inside else tag] = struct.pack("<HHII", 34665, 4, 1, at + 200) if inside else more
    directory = struct.pack("<H", len(entries)) + b"".join(entries[name] for name in sorted(entries))
    head = b"II*\0" + struct.pack("<I", at) + bytes(100) + numbers
    return head + directory.ljust(200, b"\0") + struct.pack("<H", 1) + more + bytes(4)


def big_tiff_of(entries: int) -> bytes:
    return b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, entries) + struct.pack("<HHQQ", 50000, 3, 1, 1) * entries


def gif_with(blocks: bytes, *, inside: bool = False) -> bytes:
    """In a comment before its picture, or as the data of another one behind it."""
    data = kit.saved(kit.quarters(), "GIF")
    at = data.index(b"\x2c\0\0\0\0", 13)
    if inside:
        return data[:-1] + data[at : at + 10] + b"\4" + blocks + b"\0;"
    return data[:at] + b"!\xfe" + blocks + b"\0" + data[at:]


def webp_with(chunks: bytes) -> bytes:
    side = (63).to_bytes(3, "little")
    picture = kit.saved(kit.quarters(64, 64), "WEBP")[12:]
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + side + side + picture + chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jp2_with(boxes: bytes, *, inside: bool = False) -> bytes:
    """Before the header of the picture, or in it."""
    data = kit.saved(kit.quarters(), "JPEG2000")
    at = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, at)
    if not inside:
        return data[:at] + boxes + data[at:]
    return data[:at] + struct.pack(">I", size + len(boxes)) + data[at + 4 : at + size] + boxes + data[at + size :]


def avif_of(items: int, *, version: int) -> bytes:
    """With a list of empty ones behind it, of a version whose head has 4 bytes, or 6."""
    entries = struct.pack(">I4s", 8, b"infe") * items
    listed = bytes([version]) + bytes(7 if version else 5) + entries
    inner = bytes(4) + struct.pack(">I4s", 8 + len(listed), b"iinf") + listed
    return kit.saved(kit.quarters(), "AVIF") + struct.pack(">I4s", 8 + len(inner), b"meta") + inner


def psd_with(resources: bytes) -> bytes:
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 30, 30, 8, 3) + struct.pack(">II", 0, len(resources))
    return head + resources + bytes(6 + 3 * 30 * 30)


def big_tiff_of_a_terabyte() -> bytes:
    entries = [
        struct.pack("<HHQQ", 256, 4, 1, 1_000_000),
        struct.pack("<HHQQ", 257, 4, 1, 1_000_000),
        struct.pack("<HHQQ", 273, 16, 1 << 40, 1 << 41),
        struct.pack("<HHQQ", 279, 16, 1 << 40, 1 << 42),
    ]
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", len(entries)) + b"".join(entries) + bytes(8)


def float_tiff_with(wanted: dict[int, int], **options: int) -> bytes:
    """A packed TIFF of floats some of whose entries, by tag, say something else."""
    data = bytearray(kit.float_tiff(packed=8, **options))
    (entries,) = struct.unpack_from("<H", data, 8)
    for at in range(10, 10 + 12 * entries, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        if tag in wanted:
            struct.pack_into("<HHII", data, at, tag, 4, 1, wanted[tag])
    return bytes(data)


BOMBS = {
    "a PNG of 65535x65535": (huge_png, "too_many_pixels"),
    "a PNG whose text unpacks to 400 MB": (
        lambda: png_with(b"zTXt", b"a\0\0" + unpacking(400)),
        "decompression_bomb",
    ),
    "a PNG whose profile unpacks to 400 MB": (
        lambda: png_with(b"iCCP", b"a\0\0" + unpacking(400)),
        "decompression_bomb",
    ),
    "a JPEG of 65535x65535": (lambda: jpeg_claiming(SIDE, SIDE), "too_many_pixels"),
    "a JPEG of 16000x16000 with nothing in it": (lambda: jpeg_claiming(16000, 16000), "decompression_bomb"),
    "a JPEG of a thousand scans": (kit.jpeg_of_many_scans, "decompression_bomb"),
    "a large JPEG of a hundred scans": (lambda: jpeg_of(9000, scans=100), "decompression_bomb"),
    "a JPEG of a million segments": (
        lambda: kit.jpeg_with(kit.jpeg(), kit.jpeg_segment(0xFE, b"") * 1_000_000),
        "decompression_bomb",
    ),
    "a WebP of 16383x16383 with nothing in it": (lambda: webp_claiming(16383), "decompression_bomb"),
    "a GIF of 65535x65535": (
        lambda: b"GIF89a" + struct.pack("<HH", SIDE, SIDE) + kit.saved(kit.quarters(), "GIF")[10:],
        "too_many_pixels",
    ),
    "a GIF whose frame is of 65535x65535": (
        lambda: gif_of_a_pixel(gif_frame(SIDE, disposal=2)),
        "too_many_pixels",
    ),
    "a GIF whose frame is of 16000x16000 with nothing in it": (
        lambda: gif_of_a_pixel(gif_frame(16000, disposal=2)),
        "decompression_bomb",
    ),
    "an icon of 65535x65535": (lambda: icon_of(bitmap_claiming(SIDE, SIDE, bits=24)), "too_many_pixels"),
    "an icon of 16000x16000 with nothing in it": (
        lambda: icon_of(bitmap_claiming(16000, 16000, bits=24)),
        "decompression_bomb",
    ),
    "an icon with a PNG of 65535x65535": (lambda: icon_of(huge_png()), "too_many_pixels"),
    "an icon with a PNG whose header is not its first chunk": (
        lambda: icon_of((png := huge_png())[:8] + kit.png_chunk(b"prVt", struct.pack(">IIBB", 16, 16, 8, 6)) + png[8:]),
        "too_many_pixels",
    ),
    "a Mac icon with a PNG of 65535x65535": (lambda: mac_icon_of(huge_png()), "too_many_pixels"),
    "a Mac icon with a JPEG 2000 of 60000x60000": (
        lambda: mac_icon_of(jpeg2000_claiming(60000, 60000)),
        "too_many_pixels",
    ),
    "a BMP of two billion rows": (
        lambda: (
            (data := kit.saved(kit.quarters(), "BMP"))[:18]
            + struct.pack("<ii", 2_000_000_000, 2_000_000_000)
            + data[26:]
        ),
        "too_many_pixels",
    ),
    "a TIFF of 4,000,000,000 pixels a side": (
        lambda: tiff_claiming(width=4_000_000_000, height=4_000_000_000),
        "too_many_pixels",
    ),
    "a TIFF with two billion strips": (lambda: tiff_claiming(count=2_000_000_000), None),
    "a TIFF whose strip lies a terabyte away": (lambda: tiff_claiming(offset=0xFFFFFFF0), "truncated"),
    "a BigTIFF of a terabyte": (big_tiff_of_a_terabyte, None),
    "a TIFF nested 10,000 deep": (lambda: nested_tiff(10_000), None),
    "a TIFF of floats of 4,000,000,000 pixels a side": (
        lambda: float_tiff_with({256: 4_000_000_000, 257: 4_000_000_000}),
        "too_many_pixels",
    ),
    "a TIFF of floats of 16000x16000 with nothing in it": (
        lambda: float_tiff_with({256: 16000, 257: 16000, 278: 16000}),
        "decompression_bomb",
    ),
    "a TIFF of floats of two billion channels": (lambda: float_tiff_with({277: 2_000_000_000}), "unsupported"),
    "a TIFF of floats in tiles of 2^31 a side": (
        lambda: float_tiff_with({322: 1 << 31, 323: 1 << 31}, tile=16),
        "unsupported",
    ),
    "a PPM of a terabyte": (lambda: b"P6 1000000 1000000 255\n" + bytes(100), "too_many_pixels"),
    "a QOI of 65535x65535": (
        lambda: b"qoif" + struct.pack(">II", SIDE, SIDE) + b"\3\0" + bytes(50),
        "too_many_pixels",
    ),
    "a PSD of 300,000 rows": (
        lambda: struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 30000, 30000, 8, 3) + bytes(100),
        "too_many_pixels",
    ),
    "a Sun raster of four billion columns": (
        lambda: struct.pack(">8I", 0x59A66A95, 0xFFFFFFFF, 0xFFFFFFFF, 24, 100, 1, 0, 0) + bytes(200),
        None,
    ),
    "a JPEG 2000 of 60000x60000": (lambda: jpeg2000_claiming(60000, 60000), "too_many_pixels"),
    "a JPEG 2000 of a million tiles": (
        lambda: jpeg2000_claiming(1024, 1024, 0, 0, 1, 1, 0, 0),
        "decompression_bomb",
    ),
    "a TIFF of 12 million tiles": (lambda: tiff_with(324, 4, 12_000_000), "decompression_bomb"),
    "a TIFF of samples of 25 million sizes": (lambda: tiff_with(258, 3, 25_000_000), "decompression_bomb"),
    "a TIFF with a profile of 25 million numbers": (lambda: tiff_with(34675, 3, 25_000_000), "decompression_bomb"),
    "a TIFF whose EXIF has 25 million numbers": (
        lambda: tiff_with(41730, 3, 25_000_000, inside=True),
        "decompression_bomb",
    ),
    "a BigTIFF of a million fields": (lambda: big_tiff_of(1_000_000), "decompression_bomb"),
    "a GIF with a comment of 25 million pieces": (lambda: gif_with(b"\1a" * 25_000_000), "decompression_bomb"),
    "a GIF of 25 million pieces": (lambda: gif_with(b"\1a" * 25_000_000, inside=True), "decompression_bomb"),
    "a GIF with 50 MB of nothing": (
        lambda: kit.saved(kit.quarters(), "GIF")[:-1] + bytes(50_000_000),
        "decompression_bomb",
    ),
    "a PBM of 25 million comments": (lambda: b"P1\n3000 3000\n" + b"#\n" * 25_000_000, "decompression_bomb"),
    "a PPM with a comment of 50 MB": (
        lambda: b"P6\n10 10\n#" + b"a b " * 12_500_000 + b"\n255\n" + bytes(300),
        "decompression_bomb",
    ),
    "a JPEG 2000 of two million boxes": (
        lambda: jp2_with(struct.pack(">I4s", 8, b"free") * 2_000_000),
        "decompression_bomb",
    ),
    "a JPEG 2000 of two million boxes in one": (
        lambda: jp2_with(struct.pack(">I4s", 8, b"free") * 2_000_000, inside=True),
        "decompression_bomb",
    ),
    "an AVIF of two million boxes": (
        lambda: kit.saved(kit.quarters(), "AVIF") + struct.pack(">I4s", 8, b"free") * 2_000_000,
        "decompression_bomb",
    ),
    "an AVIF of 200,000 items": (lambda: avif_of(200_000, version=0), "decompression_bomb"),
    "an AVIF of 200,000 items of the other kind": (lambda: avif_of(200_000, version=1), "decompression_bomb"),
    "a WebP of two million chunks": (
        lambda: webp_with(struct.pack("<4sI", b"JUNK", 0) * 2_000_000),
        "decompression_bomb",
    ),
    "a WebP of a frame of two million chunks": (
        lambda: webp_with(struct.pack("<4sI", b"ANMF", 16_000_016) + bytes(16 + 16_000_000)),
        "decompression_bomb",
    ),
    "a PSD of three million resources": (
        lambda: psd_with(struct.pack(">4sHHI", b"8BIM", 1, 0, 0) * 3_000_000),
        "decompression_bomb",
    ),
    "a cursor with a PNG of 65535x65535": (lambda: icon_of(huge_png(), 2), "too_many_pixels"),
    "an icon of a million chunks": (
        lambda: icon_of(kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"prVt", b"")] * 1_000_000)),
        "decompression_bomb",
    ),
    "a Mac icon of a million tiles": (
        lambda: mac_icon_of(jpeg2000_claiming(1024, 1024, 0, 0, 1, 1, 0, 0)),
        "decompression_bomb",
    ),
    "a Mac icon of nine profiles": (
        lambda: mac_icon_of(kit.png(kit.rgb_samples(), 8, 2, chunks=CROWDS["profiles"][0])),
        "decompression_bomb",
    ),
}


@pytest.fixture
async def pool():
    images = ImagePool(NormaliseRules(), workers=1)
    yield images
    await images.close()


def peak_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def worked_seconds(pid: int) -> float:
    """By its own processor's clock, which stands still while others work."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / os.sysconf(
        "SC_CLK_TCK"
    )


@pytest.mark.parametrize("what", BOMBS)
async def test_a_bomb_is_refused_by_a_worker_that_stays_small(pool, tmp_path, what):
    make, reason = BOMBS[what]
    (tmp_path / "bomb").write_bytes(make())
    await pool.warm_up()
    (pid,) = pool.worker_pids
    before = worked_seconds(pid)
    with pytest.raises((ImageRejected, SourceNotReady)) as caught:
        await pool.normalise(tmp_path / "bomb", tmp_path)
    assert caught.value.reason == reason or reason is None
    assert caught.value.reason not in ("crashed", "timeout", "memory")
    assert pool.worker_pids == (pid,)
    assert peak_megabytes(pid) < MEGABYTES
    assert worked_seconds(pid) - before < SECONDS


@pytest.mark.parametrize("animation", ["first_frame", "keep"])
async def test_a_gif_of_100000_frames_costs_what_its_first_one_costs(tmp_path, animation):
    pool = ImagePool(NormaliseRules(animation=animation), workers=1)
    try:
        (tmp_path / "film.gif").write_bytes(gif_of(100_000))
        payload = await pool.normalise(tmp_path / "film.gif", tmp_path)
        assert "first_frame" in payload.normalised
        assert peak_megabytes(pool.worker_pids[0]) < MEGABYTES
    finally:
        await pool.close()


@pytest.mark.parametrize("animation", ["first_frame", "keep"])
async def test_a_later_frame_of_a_gif_may_claim_anything(tmp_path, animation):
    pool = ImagePool(NormaliseRules(animation=animation), workers=1)
    try:
        (tmp_path / "film.gif").write_bytes(gif_of_a_pixel(gif_frame(1, disposal=1), gif_frame(SIDE, disposal=2)))
        payload = await pool.normalise(tmp_path / "film.gif", tmp_path)
        assert (payload.width_px, payload.height_px) == (1, 1)
        assert peak_megabytes(pool.worker_pids[0]) < MEGABYTES
    finally:
        await pool.close()


@pytest.mark.parametrize(("side", "scans"), [(400, 199), (1000, 20)])
async def test_a_jpeg_may_have_the_more_scans_the_smaller_it_is(tmp_path, side, scans):
    # Strictly read, a scan may not come twice.
    pool = ImagePool(
        NormaliseRules(max_pixels=1_000_000 if side == 1000 else 10_000_000, integrity="decode"), workers=1
    )
    try:
        (tmp_path / "a.jpg").write_bytes(jpeg_of(side, scans=scans))
        assert (await pool.normalise(tmp_path / "a.jpg", tmp_path)).is_source
        (tmp_path / "b.jpg").write_bytes(jpeg_of(side, scans=scans + 1))
        with pytest.raises(ImageRejected, match="scans"):
            await pool.normalise(tmp_path / "b.jpg", tmp_path)
    finally:
        await pool.close()


async def test_directories_in_a_circle_are_left_after_the_first_page(pool, tmp_path):
    (tmp_path / "circle.tif").write_bytes(tiff_in_a_circle())
    assert "first_frame" in (await pool.normalise(tmp_path / "circle.tif", tmp_path)).normalised


MANY = {
    "a TIFF with a private field of a million numbers": lambda: tiff_with(50000, 3, 1_000_000),
    "a TIFF of 50,000 strips": lambda: kit.saved(Image.new("RGB", (2, 50_000)), "TIFF", tiffinfo={278: 1}),
    "a GIF of as much in a comment as in pictures": lambda: gif_with((b"\xff" + bytes(255)) * 150_000),
    "a PGM of a thousand comments": lambda: b"P2\n" + b"# one\n" * 500 + b"9 9 255\n" + b"0 # one\n" * 500,
    "a PPM of spaces": lambda: b"P6\n1000 1000\n255\n" + b" " * 3_000_000,
    "a JPEG 2000 of a thousand boxes": lambda: jp2_with(struct.pack(">I4s", 8, b"free") * 1000),
    "a WebP of a thousand frames": lambda: kit.animation("WEBP", 1000),
}


@pytest.mark.parametrize("what", MANY)
def test_many_parts_are_no_bomb_yet(inspected, what):
    assert inspected(MANY[what]()).width_px


CROWDS = {
    "profiles": ([kit.png_chunk(b"iCCP", b"a\0\0" + unpacking(1))] * 9, "8 colour profiles"),
    "chunks": ([kit.png_chunk(b"prVt", b"")] * 500_000, "500,000 chunks"),
}


@pytest.mark.parametrize("what", CROWDS)
@pytest.mark.parametrize("integrity", ["strict", "header"])
def test_a_png_of_very_many_chunks_is_refused_before_it_is_opened(made_fit, monkeypatch, what, integrity):
    chunks, told = CROWDS[what]
    monkeypatch.setattr(read_header, "read", None)
    with pytest.raises(ImageRejected, match=told) as caught:
        made_fit(kit.png(kit.rgb_samples(), 8, 2, chunks=chunks), integrity=integrity)
    assert caught.value.reason == "decompression_bomb"


@pytest.mark.parametrize("integrity", ["strict", "header"])
def test_a_crowd_is_refused_before_a_file_is_opened(made_fit, monkeypatch, integrity):
    monkeypatch.setattr(read_header, "read", None)
    with pytest.raises(ImageRejected, match="100,000 chunks"):
        made_fit(webp_with(struct.pack("<4sI", b"JUNK", 0) * 100_000), integrity=integrity)


def test_a_large_png_is_not_read_as_a_whole_to_count_its_chunks(made_fit, monkeypatch):
    monkeypatch.setattr(normalise, "IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(Source, "whole", None)
    with pytest.raises(ImageRejected, match="8 colour profiles"):
        made_fit(kit.png(kit.rgb_samples(), 8, 2, chunks=CROWDS["profiles"][0]))


async def test_pixels_that_nobody_asked_for_are_never_unpacked(pool, tmp_path):
    end = kit.png_chunk(b"IEND", b"")
    data = kit.png(kit.rgb_samples(), 8, 2).replace(end, kit.png_chunk(b"IDAT", unpacking(400)) + end)
    (tmp_path / "a.png").write_bytes(data)
    assert (await pool.normalise(tmp_path / "a.png", tmp_path)).is_source
    assert peak_megabytes(pool.worker_pids[0]) < MEGABYTES


@pytest.mark.parametrize(
    ("depth", "colour", "interlaced"),
    [(8, 0, 0), (8, 3, 0), (8, 6, 0), (16, 0, 0), (8, 0, 1)],
    ids=["grey", "palette", "alpha", "deep", "interlaced"],
)
async def test_nor_behind_rows_of_zeros(pool, tmp_path, depth, colour, interlaced):
    header = kit.png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlaced))
    palette = kit.png_chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    pixels = kit.png_chunk(b"IDAT", unpacking(600)) + kit.png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + palette + pixels)
    await pool.normalise(tmp_path / "a.png", tmp_path)
    assert peak_megabytes(pool.worker_pids[0]) < MEGABYTES


async def test_a_description_of_40_mb_is_left_out_in_no_time(pool, tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_with(270, 2, 40_000_000))
    await pool.warm_up()
    (pid,) = pool.worker_pids
    before = worked_seconds(pid)
    payload = await pool.normalise(tmp_path / "a.tif", tmp_path)
    assert payload.warnings == ("the EXIF metadata are too large and were left out",)
    assert peak_megabytes(pid) < MEGABYTES
    assert worked_seconds(pid) - before < SECONDS


async def test_a_profile_of_some_megabytes_is_no_bomb(pool, tmp_path):
    profile = kit.rgb_profile(kit.DISPLAY_P3, 2.2) + bytes(3_000_000)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    (tmp_path / "a.png").write_bytes(kit.saved(kit.quarters(), "PNG", icc_profile=profile))
    assert (await pool.normalise(tmp_path / "a.png", tmp_path)).normalised == ("colour",)


@pytest.mark.parametrize("name", ["WEBP", "PNG"])
def test_an_animation_of_more_pixels_than_can_be_looked_at_is_refused_if_it_is_to_be_kept(made_fit, name):
    rules = {"animation": "keep", "max_pixels": 64 * 48}
    assert made_fit(kit.animation(name, 10), **rules).is_source
    with pytest.raises(ImageRejected, match="11 frames of 64x48") as caught:
        made_fit(kit.animation(name, 11), **rules)
    assert caught.value.reason == "too_many_pixels"
    assert made_fit(kit.animation(name, 11), max_pixels=64 * 48).normalised == ("first_frame",)
