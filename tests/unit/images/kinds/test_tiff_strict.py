"""Damage inside strips and tiles, which libtiff passes silently, is found; what is merely odd is not refused."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import simplejpeg
from PIL import TiffImagePlugin

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images.kinds import tiff_jpeg, tiff_strict
from ingestor.images.kinds.deflate import NOT_CHECKED
from ingestor.images.kinds.tiff import TiffFile
from tests import image_kit as kit

CUTS = {"one strip": {}, "strips": {"rows": 32}, "tiles": {"tile": 64}}


def refused(made_fit, data: bytes, **rules: object) -> str:
    with pytest.raises((ImageRejected, SourceNotReady)) as caught:
        made_fit(data, longest_side_px=100, **rules)
    return caught.value.reason


def extents(data: bytes) -> list[tuple[int, int]]:
    tags = TiffFile(io.BytesIO(data)).tag_v2
    offsets, lengths = tags.get(324) or tags[273], tags.get(325) or tags[279]
    return list(zip(offsets, lengths, strict=True))


def damages(data: bytes, *, seed: int = 5) -> Iterator[tuple[str, bytes]]:
    """The same with 512 bytes of the largest strip zeroed, swapped, lost, or with a flipped bit."""
    begin, length = max(extents(data), key=lambda extent: extent[1])
    rng = np.random.default_rng(seed)
    for _ in range(6):
        at = begin + int(rng.integers(16, length - 1100))
        block, behind = data[at : at + 512], data[at + 512 : at + 1024]
        yield "zero", data[:at] + bytes(512) + data[at + 512 :]
        yield "swap", data[:at] + behind + block + data[at + 1024 :]
        yield "lose", data[:at] + data[at + 512 :]
        yield "flip", data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def photo(bits: int = 8, channels: int = 3) -> np.ndarray:
    samples = np.asarray(kit.photograph(300, 200, 7))[..., :channels].astype(np.uint16)
    return samples * 257 + 3 if bits == 16 else samples.astype(np.uint8)


def deflated(bits: int = 8, channels: int = 3, **options: object) -> bytes:
    return kit.tiff(photo(bits, channels), 2 if channels == 3 else 1, packed=8, **options)


def loaded(data: bytes, *, is_strict: bool) -> TiffFile:
    image = TiffFile(io.BytesIO(data), is_strict=is_strict)
    image.load()
    return image


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("bits", [8, 16])
def test_damage_in_a_deflated_picture_is_found(made_fit, predictor, cut, bits):
    for how, damaged in damages(deflated(bits, predictor=predictor, **CUTS[cut])):
        assert refused(made_fit, damaged) == ("truncated" if how == "lose" else "corrupt")


@pytest.mark.parametrize(
    "data",
    [
        lambda: deflated(channels=1, predictor=2, rows=32),
        lambda: deflated(16, channels=1, predictor=2, rows=32, order=">"),
        lambda: deflated(predictor=2, rows=32, planar=2),
        lambda: kit.tiff((photo() / 255).astype("f4"), 2, kind=3, packed=8, predictor=3, rows=32),
        lambda: deflated(predictor=2).replace(b"\3\1\3\0\1\0\0\0\x08\0", b"\3\1\3\0\1\0\0\0\xb2\x80"),
    ],
    ids=["grey", "deep grey, big-endian", "planes", "floats", "the older number of Deflate"],
)
def test_damage_is_found_in_each_kind(made_fit, data: Callable[[], bytes]):
    assert made_fit(data()).warnings == ()
    for how, damaged in damages(data()):
        assert refused(made_fit, damaged) == ("truncated" if how == "lose" else "corrupt")


def test_a_less_strict_level_passes_what_libtiff_passes(made_fit):
    passed = 0
    for _, damaged in damages(deflated()):
        try:
            made_fit(damaged, integrity="decode")
        except (ImageRejected, SourceNotReady):
            continue
        passed += 1
        assert refused(made_fit, damaged) == "corrupt"
    assert passed


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("cut", CUTS)
def test_the_pixels_of_a_whole_picture_are_the_same(bits, channels, order, predictor, cut):
    data = deflated(bits, channels, order=order, predictor=predictor, **CUTS[cut])
    strict, other = loaded(data, is_strict=True), loaded(data, is_strict=False)
    assert (strict.mode, strict.tobytes(), strict.odd) == (other.mode, other.tobytes(), [])


@pytest.mark.parametrize(
    "sample", [sample for sample in kit.SAMPLES if sample.format == "TIFF"], ids=lambda one: one.what
)
def test_the_pixels_of_every_kind_are_the_same(sample):
    data = sample.make()
    strict, other = loaded(data, is_strict=True), loaded(data, is_strict=False)
    assert (strict.mode, strict.size, strict.tobytes(), strict.odd) == (
        other.mode,
        other.size,
        other.tobytes(),
        other.odd,
    )


def inks() -> np.ndarray:
    return np.dstack([photo(), photo()[..., :1]])


@pytest.mark.parametrize(
    "data",
    [
        lambda: deflated(predictor=2),
        lambda: deflated(rows=20),
        lambda: deflated(16, channels=1, predictor=2, order=">"),
        lambda: deflated(predictor=2, rows=20, more=[(274, 6)]),
        lambda: kit.tiff(inks(), 5, packed=8, predictor=2),
        lambda: kit.tiff(inks(), 2, packed=8, predictor=2, more=[(338, 2)]),
    ],
    ids=["differences", "as they are", "deep grey", "turned", "inks", "alpha"],
)
def test_ordinary_pictures_are_not_inflated_twice(monkeypatch, data):
    monkeypatch.setattr(tiff_strict, "Inflating", None)
    assert loaded(data(), is_strict=True).odd == []


def packed_as(monkeypatch, pack: Callable[[bytes], bytes], **options: object) -> bytes:
    with monkeypatch.context() as changed:
        changed.setattr(kit, "_tiff_packed", lambda data, _: pack(data))
        return deflated(rows=32, **options)


def never_ended(data: bytes) -> bytes:
    packer = zlib.compressobj()
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pack", [lambda data: zlib.compress(data)[:-4], never_ended], ids=["cut", "flushed"])
def test_a_missing_checksum_is_told_as_a_warning(made_fit, monkeypatch, pack, bits):
    (warning,) = made_fit(packed_as(monkeypatch, pack, bits=bits)).warnings
    assert "checksum" in warning


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "pack",
    [lambda data: zlib.compress(data) + bytes(9), lambda data: zlib.compress(data + bytes(3000))],
    ids=["padding", "rows beyond the picture"],
)
def test_what_follows_the_picture_in_a_strip_is_harmless(made_fit, monkeypatch, pack, bits):
    assert made_fit(packed_as(monkeypatch, pack, bits=bits)).warnings == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_far_more_than_the_picture_is_not_inflated(monkeypatch, bits):
    data = packed_as(monkeypatch, lambda data: zlib.compress(data + bytes(50_000_000)), bits=bits)
    assert loaded(data, is_strict=True).odd == [NOT_CHECKED]


@pytest.mark.parametrize("packed", [5, 8])
def test_a_strip_of_too_few_rows_is_damage(made_fit, monkeypatch, packed):
    monkeypatch.setattr(kit, "_tiff_predicted", lambda part, _: part.tobytes()[:-900])
    assert refused(made_fit, kit.tiff(photo(), 2, packed=packed, rows=32)) == "corrupt"


# -- JPEG ------------------------------------------------------------------------------------------


def jpeg_strips() -> bytes:
    """With tables in a tag, as libtiff writes them."""
    return kit.saved(kit.photograph(600, 400, 7), "TIFF", compression="jpeg", quality=90, strip_size=600 * 3 * 200)


def jpeg_tiles(
    monkeypatch, change: Callable[[bytes], bytes] = bytes, *, sampling: str = "420", **options: object
) -> bytes:
    """Each a whole JPEG."""

    def coded(part: np.ndarray, _: int) -> bytes:
        return change(simplejpeg.encode_jpeg(np.ascontiguousarray(part), 90, "RGB", sampling))

    with monkeypatch.context() as changed:
        changed.setattr(kit, "_tiff_predicted", coded)
        return kit.tiff(np.asarray(kit.photograph(601, 399, 7)), 6, packed=7, **{"tile": 256} | options)


@pytest.mark.parametrize("kind", ["strips", "tiles"])
def test_damage_in_a_jpeg_within_a_tiff_is_found(made_fit, monkeypatch, kind):
    data = jpeg_strips() if kind == "strips" else jpeg_tiles(monkeypatch)
    assert made_fit(data).warnings == ()
    found = []
    for how, damaged in damages(data):
        try:
            made_fit(damaged, longest_side_px=100)
        except (ImageRejected, SourceNotReady) as error:
            assert error.reason == ("truncated" if how == "lose" else "corrupt")
            found.append(how)
    # Bits that are flipped or swapped may just be another picture, as they may in a JPEG of its own.
    assert [found.count(how) for how in ("zero", "lose")] == [6, 6]
    assert found.count("swap") >= 3


@pytest.mark.parametrize("sampling", ["420", "422", "440", "444"])
@pytest.mark.parametrize("cut", [{}, {"tile": 0, "rows": 16}, {"tile": 0}], ids=str)
def test_ordinary_jpegs_are_decoded_once_and_to_the_same_pixels(monkeypatch, sampling, cut):
    data = jpeg_tiles(monkeypatch, sampling=sampling, **cut)
    expected = loaded(data, is_strict=False)
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_load_libtiff", None)
    strict = loaded(data, is_strict=True)
    assert (strict.mode, strict.tobytes(), strict.odd) == (expected.mode, expected.tobytes(), [])


@pytest.mark.parametrize("options", [{}, {"strip_size": 600 * 24}, {"tiffinfo": {274: 6}}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
def test_jpegs_as_libtiff_writes_them_are_decoded_to_the_same_pixels(mode, options):
    image = kit.photograph(601, 399, 7).convert(mode)
    data = kit.saved(image, "TIFF", compression="jpeg", quality=90, **options)
    strict, other = loaded(data, is_strict=True), loaded(data, is_strict=False)
    assert (strict.mode, strict.size, strict.tobytes(), strict.odd) == (other.mode, other.size, other.tobytes(), [])
    for how, damaged in damages(data):
        if how == "zero":
            with pytest.raises((ValueError, OSError)):
                loaded(damaged, is_strict=True)


@pytest.mark.parametrize(
    "change",
    [lambda data: data.replace(b"\xff\xda", b"\xff\xfe\0\2" * 30_000 + b"\xff\xda")],
    ids=["more markers than a picture has"],
)
def test_a_jpeg_that_is_not_checked_is_left_to_libtiff(monkeypatch, change):
    data = jpeg_tiles(monkeypatch, change)
    strict, other = loaded(data, is_strict=True), loaded(data, is_strict=False)
    assert (strict.tobytes(), strict.odd) == (other.tobytes(), [NOT_CHECKED])


def test_less_strict_levels_pass_what_libjpeg_warns_of(made_fit, monkeypatch):
    data = jpeg_tiles(monkeypatch)
    begin, length = extents(data)[0]
    at = begin + length // 2
    damaged = data[:at] + data[at + 512 : at + 1024] + data[at + 512 :]
    assert refused(made_fit, damaged) == "corrupt"
    assert made_fit(damaged, integrity="decode").warnings == ()


def test_a_jpeg_without_its_end_marker_is_told_as_a_warning(made_fit, monkeypatch):
    (warning,) = made_fit(jpeg_tiles(monkeypatch, lambda data: data[:-2])).warnings
    assert "end marker" in warning


def test_more_jpegs_than_pictures_have_are_not_checked(made_fit, monkeypatch):
    monkeypatch.setattr(tiff_jpeg, "_MOST_PARTS", 3)
    assert NOT_CHECKED in made_fit(jpeg_tiles(monkeypatch)).warnings
