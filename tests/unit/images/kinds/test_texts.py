"""Texts and profiles of a PNG that unpack to megabytes: nothing is sent that stock readers refuse for them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from ingestor.images.kinds import texts
from tests import image_kit as kit

MEGABYTE = 1 << 20
PLAIN = kit.png(kit.rgb_samples(), 8, 2)
END = kit.png_chunk(b"IEND", b"")
LEVELS = ["strict", "decode", "header"]
STOCK = PngImagePlugin.MAX_TEXT_CHUNK


def ztxt(count: int) -> bytes:
    return kit.png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(count)))


def itxt(count: int) -> bytes:
    return kit.png_chunk(b"iTXt", b"a\0\1\0en\0word\0" + zlib.compress(b"a" * count))


def iccp(count: int) -> bytes:
    profile = kit.rgb_profile(kit.DISPLAY_P3, 2.2)
    profile = struct.pack(">I", count) + profile[4:].ljust(count - 4, b"\0")
    return kit.png_chunk(b"iCCP", b"a\0\0" + zlib.compress(profile))


def with_chunks(*parts: bytes) -> bytes:
    return kit.png(kit.rgb_samples(), 8, 2, chunks=parts)


def warning(kind: str) -> str:
    return f"its {kind} unpacks to more than 1,048,576 bytes, and was left out"


@pytest.fixture
def read_by_others(monkeypatch):
    def run(file: Path) -> np.ndarray:
        with monkeypatch.context() as patch:
            patch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", STOCK)
            with Image.open(file) as image:
                return np.asarray(image.convert("RGB"))

    return run


@pytest.mark.parametrize("integrity", LEVELS)
@pytest.mark.parametrize(("kind", "made"), [("zTXt", ztxt), ("iTXt", itxt)])
def test_a_text_that_unpacks_to_too_much_is_left_out_and_told(
    made_fit, inspected, read_by_others, kind, made, integrity
):
    data = with_chunks(ztxt(100), made(2 * MEGABYTE), itxt(100), made(3 * MEGABYTE))
    payload = made_fit(data, integrity=integrity)
    assert payload.normalised == inspected(data, integrity=integrity).normalised == ("mended",)
    assert payload.warnings == (warning(kind),)
    assert payload.file.read_bytes() == with_chunks(ztxt(100), itxt(100))
    assert (read_by_others(payload.file) == kit.rgb_samples()).all()


@pytest.mark.parametrize("integrity", ["strict", "decode"])
@pytest.mark.parametrize(("kind", "made"), [("zTXt", ztxt), ("iTXt", itxt), ("iCCP", iccp)])
def test_the_same_holds_behind_the_pixels(made_fit, kind, made, integrity):
    payload = made_fit(PLAIN.removesuffix(END) + made(2 * MEGABYTE) + END, integrity=integrity)
    assert payload.warnings == (warning(kind),)
    assert payload.file.read_bytes() == PLAIN


@pytest.mark.parametrize("integrity", LEVELS)
def test_texts_that_others_read_stay(made_fit, read_by_others, integrity):
    damaged = kit.png_chunk(b"zTXt", b"a\0\0" + bytes(50))
    unpacked = kit.png_chunk(b"iTXt", b"a\0\0\0\0\0" + b"a" * 2 * MEGABYTE)
    short = (kit.png_chunk(kind, body) for kind in (b"zTXt", b"iTXt") for body in (b"", b"a", b"a\0", b"a\0\0\0"))
    long = kit.png_chunk(b"tEXt", b"a\0" + b"a" * 2 * MEGABYTE)
    data = with_chunks(ztxt(MEGABYTE - 1), itxt(MEGABYTE - 1), damaged, unpacked, *short, long)
    payload = made_fit(data, integrity=integrity)
    assert payload.is_source
    assert payload.warnings == ()
    assert (read_by_others(payload.file) == kit.rgb_samples()).all()


@pytest.mark.parametrize("made", [ztxt, itxt])
def test_where_the_limit_is_others_say(made, tmp_path, read_by_others):
    for count in range(MEGABYTE - 2, MEGABYTE + 3):
        (tmp_path / "a.png").write_bytes(with_chunks(made(count)))
        try:
            read_by_others(tmp_path / "a.png")
        except ValueError:
            assert texts.without_large(with_chunks(made(count)))[0] == PLAIN
        else:
            assert texts.without_large(with_chunks(made(count)))[1] == []


def test_all_texts_together_have_a_limit_too(monkeypatch):
    monkeypatch.setattr(texts, "MOST_BYTES_OF_ALL", 2 * MEGABYTE)
    half = ztxt(MEGABYTE // 2)
    left, odd = texts.without_large(with_chunks(half, half, half, half, half, itxt(10)))
    assert left == with_chunks(half, half, half, half)
    assert odd == ["its texts are more than 2,097,152 bytes, and the last were left out"]


def test_no_more_than_that_is_ever_unpacked(monkeypatch):
    honest, unpacked = texts._unpacked_bytes, []
    monkeypatch.setattr(texts, "_unpacked_bytes", lambda packed: unpacked.append(packed) or honest(packed))
    left, odd = texts.without_large(PLAIN.removesuffix(END) + ztxt(400 * MEGABYTE) * 100 + END)
    assert left == PLAIN
    assert odd[0] == warning("zTXt")
    assert len(unpacked) == 65


def test_texts_of_a_picture_that_is_written_anew_are_not_told_of(made_fit):
    assert made_fit(with_chunks(ztxt(2 * MEGABYTE)), longest_side_px=40).warnings == ()
    payload = made_fit(with_chunks(ztxt(2 * MEGABYTE)), metadata="strip")
    assert (payload.normalised, payload.warnings) == (("stripped",), ())


@pytest.mark.parametrize("integrity", LEVELS)
@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_a_picture_whose_profile_is_too_large_is_sent_in_srgb(made_fit, inspected, read_by_others, integrity, metadata):
    rules = {"integrity": integrity, "metadata": metadata}
    data = with_chunks(iccp(3 * MEGABYTE))
    payload = made_fit(data, **rules)
    assert payload.normalised == inspected(data, **rules).normalised == ("colour",)
    assert payload.mime_type == "image/png"
    meant = made_fit(with_chunks(iccp(2000)), longest_side_px=63)
    with Image.open(payload.file) as sent, Image.open(meant.file) as like:
        assert "icc_profile" not in sent.info
        assert np.abs(np.asarray(sent)[5, 5].astype(int) - np.asarray(like)[5, 5]).max() <= 1
    assert (read_by_others(payload.file)[5, 5] != kit.rgb_samples()[5, 5]).any()


def test_a_profile_of_srgb_that_is_too_large_is_left_out(made_fit):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = struct.pack(">I", 2 * MEGABYTE) + profile[4:].ljust(2 * MEGABYTE - 4, b"\0")
    payload = made_fit(kit.saved(kit.quarters(), "PNG", icc_profile=profile))
    assert payload.normalised == ("colour",)
    with Image.open(payload.file) as sent:
        assert "icc_profile" not in sent.info
        assert (np.asarray(sent) == kit.rgb_samples()).all()


def test_a_profile_that_others_read_stays(made_fit):
    assert made_fit(with_chunks(iccp(MEGABYTE - 1))).is_source
