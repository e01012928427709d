"""What is damaged beside the picture of a PNG is left out and told; what the picture needs is not."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images.kinds import chunks
from tests import image_kit as kit

VALUES = kit.rgb_samples()
PLAIN = kit.png(VALUES, 8, 2)
COLOURS = "; its colours may look different"
PACKED = zlib.compress(kit.rgb_profile(kit.DISPLAY_P3, 2.2))


def png_with(*parts: bytes) -> bytes:
    return kit.png(VALUES, 8, 2, chunks=parts)


def behind_the_pixels(part: bytes) -> bytes:
    end = kit.png_chunk(b"IEND", b"")
    return PLAIN.removesuffix(end) + part + end


def wrong(kind: bytes, body: bytes) -> bytes:
    """A chunk with a wrong checksum."""
    chunk = kit.png_chunk(kind, body)
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


MALFORMED = {
    "short gAMA": (kit.png_chunk(b"gAMA", b"\0\0\xb1"), "its gAMA is too short, and was left out" + COLOURS),
    "short cHRM": (kit.png_chunk(b"cHRM", bytes(31)), "its cHRM is too short, and was left out" + COLOURS),
    "empty sRGB": (kit.png_chunk(b"sRGB", b""), "its sRGB is too short, and was left out" + COLOURS),
    "short pHYs": (kit.png_chunk(b"pHYs", bytes(8)), "its pHYs is too short, and was left out"),
    "iCCP without a zero": (
        kit.png_chunk(b"iCCP", b"name of a profile"),
        "its iCCP is of no known kind, and was left out" + COLOURS,
    ),
    "iCCP of a name alone": (
        kit.png_chunk(b"iCCP", b"name\0"),
        "its iCCP is of no known kind, and was left out" + COLOURS,
    ),
    "iCCP of another method": (
        kit.png_chunk(b"iCCP", b"name\0\1" + PACKED),
        "its iCCP is of no known kind, and was left out" + COLOURS,
    ),
    "zTXt of another method": (
        kit.png_chunk(b"zTXt", b"Author\0\1" + zlib.compress(b"A")),
        "its zTXt is of no known kind, and was left out",
    ),
}
WRONG = {
    kind: (wrong(kind, body), f"its {kind.decode()} has a wrong checksum, and was left out{colours}")
    for kind, body, colours in [
        (b"gAMA", b"\0\0\xb1\x8f", COLOURS),
        (b"cHRM", bytes(32), COLOURS),
        (b"sRGB", b"\0", COLOURS),
        (b"cICP", b"\x0c\x0d\0\1", COLOURS),
        (b"iCCP", b"name\0\0" + PACKED, COLOURS),
        (b"pHYs", bytes(9), ""),
        (b"sBIT", b"\5\6\5", ""),
        (b"bKGD", bytes(6), ""),
        (b"prVt", b"anything", ""),
    ]
}


@pytest.mark.parametrize("what", [*MALFORMED, *WRONG])
@pytest.mark.parametrize("integrity", ["strict", "decode", "header"])
def test_what_is_damaged_beside_the_picture_is_left_out_and_told(made_fit, what, integrity):
    chunk, warning = (MALFORMED | WRONG)[what]
    payload = made_fit(png_with(chunk), integrity=integrity)
    assert payload.normalised == ("mended",)
    assert payload.warnings == (warning,)
    assert payload.file.read_bytes() == PLAIN


@pytest.mark.parametrize("what", [*MALFORMED, *WRONG])
def test_the_same_holds_behind_the_pixels(made_fit, what):
    chunk, warning = (MALFORMED | WRONG)[what]
    payload = made_fit(behind_the_pixels(chunk))
    assert payload.warnings == (warning,)
    assert payload.file.read_bytes() == PLAIN


def test_a_picture_without_its_damaged_profile_can_be_made_smaller(made_fit):
    payload = made_fit(png_with(WRONG[b"iCCP"][0]), longest_side_px=16)
    assert payload.warnings == (WRONG[b"iCCP"][1],)
    assert "resized" in payload.normalised


def test_what_is_damaged_many_times_is_told_once(made_fit):
    payload = made_fit(png_with(*[WRONG[b"prVt"][0]] * 1000))
    assert payload.warnings == (WRONG[b"prVt"][1],)
    assert payload.file.read_bytes() == PLAIN


def test_of_more_than_one_profile_the_first_one_is_taken(made_fit):
    first, other = (
        kit.png_chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))
        for profile in (kit.rgb_profile(kit.DISPLAY_P3, 2.2), kit.rgb_profile(kit.SRGB, 2.2))
    )
    payload = made_fit(png_with(MALFORMED["iCCP without a zero"][0], first, other))
    assert payload.warnings == (
        MALFORMED["iCCP without a zero"][1],
        "it has more than one iCCP: all but the first were left out",
    )
    assert payload.file.read_bytes() == png_with(first)


def without_chunks(data: bytes, kind: bytes) -> bytes:
    for chunk in reversed(list(chunks.of_png(data))):
        if chunk.kind == kind:
            data = data[: chunk.begin - chunks.HEAD_BYTES] + data[chunk.end + chunks.PNG_CHECKSUM_BYTES :]
    return data


@pytest.mark.parametrize("animation", ["first_frame", "keep", "reject"])
def test_frames_that_are_nowhere_to_be_shown_leave_the_picture_beside_them(made_fit, animation):
    data = without_chunks(kit.animation("PNG"), b"fcTL")
    payload = made_fit(data, animation=animation)
    assert payload.warnings == ("its animation is damaged, and was left out",)
    assert payload.normalised == ("mended",)
    assert payload.file.read_bytes() == without_chunks(without_chunks(data, b"fdAT"), b"acTL")
    with Image.open(payload.file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 0)


def test_an_animation_that_is_whole_is_kept(made_fit):
    assert made_fit(kit.animation("PNG"), animation="keep").is_source


@pytest.mark.parametrize("kind", [b"tRNS", b"IDAT"])
@pytest.mark.parametrize("integrity", ["strict", "decode"])
def test_a_chunk_of_the_picture_is_never_left_out(made_fit, kind, integrity):
    data = png_with(kit.png_chunk(b"tRNS", bytes(6)))
    chunk = next(chunk for chunk in chunks.of_png(data) if chunk.kind == kind)
    with pytest.raises(ImageRejected, match="damaged inside"):
        made_fit(data[: chunk.begin] + bytes([data[chunk.begin] ^ 1]) + data[chunk.begin + 1 :], integrity=integrity)


@pytest.mark.parametrize("name", [b"tRNs", b"tSNS"])
def test_nor_is_one_whose_name_alone_is_damaged(made_fit, name):
    chunk = kit.png_chunk(b"tRNS", bytes(6)).replace(b"tRNS", name)
    with pytest.raises(ImageRejected, match="damaged inside"):
        made_fit(png_with(chunk))


def test_a_critical_chunk_of_an_unknown_kind_is_damage(made_fit):
    with pytest.raises(ImageRejected, match="damaged inside"):
        made_fit(png_with(wrong(b"PRVt", b"anything")))


def test_texts_without_a_text_are_no_damage(made_fit):
    data = png_with(kit.png_chunk(b"zTXt", b"Author"), kit.png_chunk(b"zTXt", b"Author\0"))
    payload = made_fit(data)
    assert payload.is_source
    assert payload.warnings == ()
    with Image.open(io.BytesIO(data)) as image:
        assert (np.asarray(image) == VALUES).all()
