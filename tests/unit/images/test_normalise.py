"""The whole walk, in this process: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import hashlib
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from ingestor.errors import DiskFault, ImageRejected, SourceNotReady
from ingestor.images import fitting, heap
from ingestor.images.kinds import jpeg, jpeg_markers
from ingestor.images.normalise import inspect, normalise
from ingestor.images.source import Source
from ingestor.policy.formats import BY_NAME
from ingestor.ports import NormaliseRules
from ingestor.sandbox import images as sandbox
from tests import image_kit as kit

COMPLIANT = [
    sample
    for sample in kit.SAMPLES
    if BY_NAME[sample.format].accepted_as and not sample.moving and not sample.rarely_read
]
TURNED_BACK = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}
"""EXIF orientation to which stored quarter is seen top left, top right, bottom left, bottom right."""


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


@pytest.mark.parametrize("sample", COMPLIANT, ids=lambda sample: sample.id)
def test_compliant_bytes_are_not_touched(made_fit, sample):
    data = sample.make()
    payload = made_fit(data, "wrong-extension.dat")
    assert payload.is_source
    assert payload.file.read_bytes() == data
    assert payload.sha256 == hashlib.sha256(data).hexdigest()
    assert (payload.width_px, payload.height_px) == sample.size
    assert payload.size_bytes == len(data)
    assert payload.mime_type == BY_NAME[sample.format].accepted_as
    assert payload.normalised == ()
    assert payload.profile == "as-is"


def test_where_the_header_is_all_that_is_asked_for_nothing_else_is_read(write, tmp_path, monkeypatch):
    monkeypatch.setattr(Source, "whole", lambda _: pytest.fail("it was read whole"))
    source = write(kit.jpeg(kit.photograph(1200, 900)), "a.jpg")
    payload = normalise(source, tmp_path / "stem", NormaliseRules(integrity="header"), 0.0)
    assert payload.is_source
    assert payload.sha256 == ""
    assert (payload.width_px, payload.height_px) == (1200, 900)


def test_a_large_jpeg_is_not_held_beside_its_pixels(write, tmp_path, monkeypatch):
    path = write(kit.jpeg(kit.noise(3000, 2000), quality=95), "large.jpg")
    held = []

    def pixels(*given, **more):
        held.append(tracemalloc.get_traced_memory()[0])
        return decoded(*given, **more)

    decoded = jpeg._pixels
    monkeypatch.setattr(jpeg, "_pixels", pixels)
    tracemalloc.start()
    try:
        normalise(path, tmp_path / "spool", NormaliseRules(longest_side_px=300), time.perf_counter())
    finally:
        tracemalloc.stop()
    assert held[0] < path.stat().st_size / 2


@pytest.mark.parametrize(("side", "times"), [(4200, 2), (1000, 0)])
def test_the_heap_gives_back_around_large_pictures_alone(made_fit, monkeypatch, side, times):
    trimmed = []
    monkeypatch.setattr(heap, "_trim", trimmed.append)
    made_fit(kit.jpeg(Image.new("L", (side, side), 90)), longest_side_px=300)
    assert len(trimmed) == times


def test_a_plan_refuses_by_the_header_what_is_refused_by_it(write, tmp_path):
    source, rules = write(kit.jpeg_of_many_scans(), "a.jpg"), NormaliseRules(integrity="header")
    assert normalise(source, tmp_path / "stem", rules, 0.0).is_source
    assert inspect(source, rules, 0.0).is_source
    for refuses in (inspect, lambda *given: normalise(given[0], tmp_path / "stem", *given[1:])):
        with pytest.raises(ImageRejected):
            refuses(source, NormaliseRules(), 0.0)


@pytest.mark.parametrize("rules", [{"longest_side_px": 300}, {"metadata": "strip"}])
def test_what_has_to_change_is_read_whole_even_so(made_fit, rules):
    data = kit.saved(kit.photograph(600, 450), "JPEG", exif=kit.exif(1))
    payload = made_fit(data, integrity="header", **rules)
    assert not payload.is_source
    assert payload.sha256 == hashlib.sha256(payload.file.read_bytes()).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_turned_picture_is_sent_upright(made_fit, orientation, name):
    told = Image.Exif()
    told[0x0112] = orientation
    options = {"quality": 90} if name != "PNG" else {}
    payload = made_fit(kit.saved(kit.quarters(), name, exif=told.tobytes(), **options), longest_side_px=60)
    image = opened(payload.file)
    expected = [kit.QUADRANTS[place] for place in TURNED_BACK[orientation]]
    assert kit.close(kit.corners(image), expected, 25)
    assert image.size == ((45, 60) if orientation >= 5 else (60, 45)) == (payload.width_px, payload.height_px)
    assert image.getexif().get(0x0112, 1) == 1
    assert ("turned" in payload.normalised) == (orientation != 1)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_turning_alone_keeps_the_format(made_fit, name):
    payload = made_fit(kit.saved(kit.quarters(), name, exif=b"Exif\0\0" + kit.exif(6)))
    assert payload.normalised == ("turned",)
    assert opened(payload.file).format == name


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"MM",
        b"garbage that is no EXIF at all",
        b"MM\0*\xff\xff\xff\xff",
        kit.exif(0),
        kit.exif(9),
        kit.exif(6)[:17],
        kit.exif(make="no orientation"),
        b"II*\0" + bytes(100),
    ],
)
def test_odd_exif_says_nothing_and_harms_nothing(made_fit, odd):
    payload = made_fit(kit.jpeg(exif=b"Exif\0\0" + odd))
    assert payload.is_source


def test_a_little_endian_orientation_is_understood(made_fit):
    payload = made_fit(kit.jpeg(exif=b"Exif\0\0" + kit.exif(6, make="Phone", order="<")))
    assert payload.normalised == ("turned",)


def test_a_turned_jpeg_is_as_good_and_as_large_as_it_was(made_fit):
    photo = kit.photograph(480, 320)
    data = kit.jpeg(photo, quality=97, subsampling=0, exif=b"Exif\0\0" + kit.exif(6))
    payload = made_fit(data)
    turned = np.asarray(opened(payload.file)).astype(int)
    meant = np.asarray(Image.open(_file(data)).convert("RGB").transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(turned - meant).mean() < 0.5
    assert abs(payload.size_bytes - len(data)) < 0.05 * len(data)


def _file(data: bytes):
    import io

    return io.BytesIO(data)


def test_orientation_may_be_kept_instead_of_baked(made_fit):
    data = kit.jpeg(exif=b"Exif\0\0" + kit.exif(6))
    assert made_fit(data, orientation="keep").is_source
    payload = made_fit(data, orientation="keep", longest_side_px=40)
    image = opened(payload.file)
    assert payload.normalised == ("resized",)
    assert image.size == (40, 30)
    assert image.getexif()[0x0112] == 6


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((300, 200), (100, 67)),
        ((200, 300), (67, 100)),
        ((2000, 1), (100, 1)),
        ((1, 2000), (1, 100)),
        ((101, 3), (100, 3)),
    ],
)
def test_no_side_is_longer_than_allowed_and_none_vanishes(made_fit, size, box):
    payload = made_fit(kit.saved(kit.photograph(*size), "PNG"), longest_side_px=100)
    assert opened(payload.file).size == box == (payload.width_px, payload.height_px)
    assert payload.normalised == ("resized",)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_resized_picture_keeps_its_format_where_it_fits(made_fit, name):
    payload = made_fit(kit.saved(kit.photograph(300, 200), name), longest_side_px=150)
    assert opened(payload.file).format == name
    assert payload.normalised == ("resized",)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_what_is_too_large_becomes_webp_and_uses_the_room(made_fit, name):
    data = kit.saved(kit.noise(400, 300), name, **({"quality": 95} if name == "JPEG" else {}))
    payload = made_fit(data, max_bytes=100_000)
    assert payload.normalised == ("webp",)
    assert payload.mime_type == "image/webp"
    assert 90_000 <= payload.size_bytes <= 100_000
    assert opened(payload.file).size == (400, 300)


def test_a_resized_png_that_does_not_fit_becomes_webp(made_fit):
    payload = made_fit(kit.saved(kit.noise(400, 300), "PNG"), max_bytes=100_000, longest_side_px=300)
    assert payload.normalised == ("resized", "webp")
    assert payload.size_bytes <= 100_000


def test_at_last_the_picture_becomes_smaller(made_fit):
    payload = made_fit(kit.saved(kit.noise(400, 300), "PNG"), max_bytes=20_000)
    assert payload.normalised == ("resized", "webp")
    assert payload.size_bytes <= 20_000
    assert 100 < payload.width_px < 400
    assert abs(payload.width_px / payload.height_px - 4 / 3) < 0.02


def test_what_cannot_fit_is_told(made_fit):
    with pytest.raises(ImageRejected, match=r"max_bytes") as caught:
        made_fit(kit.saved(kit.noise(40, 30), "PNG"), max_bytes=40)
    assert caught.value.reason == "cannot_fit"


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_of_several_pictures_the_first_is_sent(made_fit, name):
    payload = made_fit(kit.animation(name))
    image = opened(payload.file)
    assert "first_frame" in payload.normalised
    assert getattr(image, "n_frames", 1) == 1
    assert kit.close(kit.corners(image), kit.QUADRANTS, 30)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_several_pictures_can_be_refused(made_fit, name):
    with pytest.raises(ImageRejected) as caught:
        made_fit(kit.animation(name), animation="reject")
    assert caught.value.reason == "animated"
    assert "first_frame" not in made_fit(kit.saved(kit.quarters(), name), animation="reject").normalised


@pytest.mark.parametrize(("name", "kept"), [("PNG", True), ("WEBP", True), ("GIF", False)])
def test_an_animation_can_be_kept_where_the_api_takes_its_format(made_fit, name, kept):
    payload = made_fit(kit.animation(name), animation="keep")
    assert payload.is_source == kept
    assert ("first_frame" in payload.normalised) != kept
    assert any("first frame" in warning for warning in payload.warnings) != kept


def test_an_animation_that_is_too_large_cannot_be_kept(made_fit):
    payload = made_fit(kit.animation("WEBP"), animation="keep", longest_side_px=40)
    assert payload.normalised == ("first_frame", "resized")
    assert any("first frame" in warning for warning in payload.warnings)


def test_an_animation_can_be_kept_as_it_is_turned(made_fit):
    first, *others = kit.frames()
    data = kit.saved(first, "WEBP", save_all=True, append_images=others, exif=kit.exif(6))
    assert made_fit(data, animation="keep", orientation="keep").is_source
    assert made_fit(data, animation="keep").normalised == ("turned", "first_frame")


def test_the_by_products_of_a_phone_are_no_further_pictures(made_fit):
    for data in (kit.mpo(), kit.ultra_hdr()):
        assert made_fit(data, animation="reject").is_source


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"hello " * 50, "text.png", "not_an_image"),
        (b"<!DOCTYPE html><html></html>", "page.jpg", "not_an_image"),
        (b"PK\x03\x04" + bytes(100), "archive.png", "not_an_image"),
        (b"%PDF-1.7\n" + bytes(100), "document.jpg", "unsupported"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.png", "unsupported"),
        (b"\0\0\0\x18ftypmp42" + bytes(100), "film.jpg", "unsupported"),
        (b"\xff\x0a" + bytes(range(100)), "new.jpg", "unsupported"),
        (os.urandom(200).replace(b"\0", b"\1"), "noise.jpg", "not_an_image"),
    ],
)
def test_what_is_no_picture_is_told_as_such(made_fit, data, name, reason):
    with pytest.raises(ImageRejected) as caught:
        made_fit(data, name)
    assert caught.value.reason == reason
    assert name in str(caught.value)


@pytest.mark.parametrize("sample", kit.SAMPLES, ids=lambda sample: sample.id)
def test_half_a_file_is_never_sent(made_fit, sample):
    data = sample.make()
    name = "image.tga" if sample.format == "TGA" else "image"
    with pytest.raises((SourceNotReady, ImageRejected)) as caught:
        made_fit(data[: len(data) // 2], name)
    assert caught.value.reason in ("truncated", "corrupt")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "QOI", "PPM", "TGA"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_is_still_on_its_way_is_not_ready(made_fit, name, share):
    data = kit.saved(kit.photograph(160, 120), name)
    with pytest.raises(SourceNotReady) as caught:
        made_fit(data[: int(len(data) * share)], "image.tga" if name == "TGA" else "image")
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_file_whose_end_is_zeros_is_not_ready(made_fit, name):
    data = kit.saved(kit.photograph(320, 240), name)
    keep = len(data) * 6 // 10
    with pytest.raises(SourceNotReady) as caught:
        made_fit(data[:keep] + bytes(len(data) - keep))
    assert caught.value.reason == "truncated"


def test_a_file_of_zeros_is_not_ready(made_fit):
    with pytest.raises(SourceNotReady) as caught:
        made_fit(bytes(5000))
    assert caught.value.reason == "truncated"


def test_more_pixels_than_allowed_are_refused(made_fit):
    with pytest.raises(ImageRejected, match=r"max_pixels") as caught:
        made_fit(kit.jpeg(), max_pixels=1000)
    assert caught.value.reason == "too_many_pixels"


def test_the_same_bytes_in_give_the_same_bytes_out(made_fit):
    data = kit.saved(kit.photograph(2100, 1400), "PNG", compress_level=1)
    one, other = (made_fit(data, longest_side_px=1900, max_bytes=900_000) for _ in range(2))
    assert one.file.read_bytes() == other.file.read_bytes()
    assert one.profile == other.profile
    assert one.sha256 == hashlib.sha256(one.file.read_bytes()).hexdigest()


def test_a_full_disk_is_nobodys_fault(write, tmp_path):
    source = write(kit.saved(kit.quarters(), "BMP"), "a.bmp")
    with pytest.raises(DiskFault):
        normalise(source, tmp_path / "no-such-folder" / "stem", NormaliseRules(), 0.0)


def test_an_existing_file_is_not_written_over(write, tmp_path):
    source = write(kit.saved(kit.quarters(), "BMP"), "a.bmp")
    (tmp_path / "stem.webp").write_bytes(b"mine")
    with pytest.raises(DiskFault):
        normalise(source, tmp_path / "stem", NormaliseRules(), 0.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    mode=st.sampled_from(["L", "RGB", "RGBA"]),
    name=st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF"]),
    longest_side_px=st.integers(16, 250),
    max_bytes=st.integers(1500, 60_000),
    quality=st.integers(1, 100),
)
def test_whatever_comes_in_what_goes_out_is_within_the_limits(
    made_fit, width, height, mode, name, longest_side_px, max_bytes, quality
):
    image = kit.noise(width, height, mode)
    data = kit.saved(image.convert("RGB") if name == "JPEG" else image, name)
    payload = made_fit(data, longest_side_px=longest_side_px, max_bytes=max_bytes, webp_quality=quality)
    sent = payload.file.read_bytes()
    decoded = opened(payload.file)
    assert len(sent) == payload.size_bytes <= max_bytes
    assert decoded.size == (payload.width_px, payload.height_px)
    assert min(decoded.size) >= 1
    assert max(decoded.size) <= longest_side_px
    assert {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}[decoded.format] == payload.mime_type
    assert hashlib.sha256(sent).hexdigest() == payload.sha256


def test_hard_pictures_are_encoded_hardly_more_than_once(monkeypatch, made_fit):
    encodes, used = [], []
    as_webp = fitting.as_webp

    def counted(*arguments):
        fitted = as_webp(*arguments)
        encodes.append(fitted.full_encodes)
        used.append(len(fitted.data) / 300_000)
        assert fitted.quality <= 90
        return fitted

    monkeypatch.setattr(fitting, "as_webp", counted)
    pictures = hard_pictures()
    for image in pictures:
        made_fit(kit.saved(image, "PNG", compress_level=1), max_bytes=300_000)
    assert len(encodes) == len(pictures)
    assert sum(encodes) / len(encodes) <= 1.2
    assert min(used) >= 0.90


def hard_pictures() -> list[Image.Image]:
    """Too large at the wanted quality, each in another way; some with all of the detail in one place."""
    grainy = [
        Image.blend(kit.photograph(900, 700, seed), kit.noise(900, 700, seed=seed), share)
        for seed, share in ((1, 0.3), (2, 0.5), (3, 0.7), (4, 0.9))
    ]
    half = kit.photograph(1000, 800, 5).copy()
    half.paste(kit.noise(1000, 400), (0, 200))
    spots = kit.photograph(900, 900, 6).copy()
    for place in range(9):
        spots.paste(kit.noise(260, 260, seed=place), (300 * (place % 3), 300 * (place // 3)))
    lines = kit.noise(900, 20).resize((900, 800), Image.Resampling.NEAREST)
    fine = Image.blend(lines, kit.noise(900, 800), 0.4)
    return [*grainy, half, spots, fine, kit.noise(800, 600)]


def test_inspect_tells_what_normalise_does_without_writing(made_fit, inspected, tmp_path):
    cases = [
        (kit.jpeg(), {}),
        (kit.jpeg(), {"longest_side_px": 40}),
        (kit.jpeg(exif=b"Exif\0\0" + kit.exif(6)), {}),
        (kit.saved(kit.quarters(), "TIFF"), {}),
        (kit.animation("GIF"), {"longest_side_px": 32}),
        (kit.saved(kit.noise(200, 200), "PNG"), {"max_bytes": 50_000}),
    ]
    for data, rules in cases:
        foreseen = inspected(data, **rules)
        before = set(tmp_path.iterdir())
        done = made_fit(data, **rules)
        assert {path.name.split("-")[0] for path in before} <= {"source", "spool"}
        for fact in ("mime_type", "width_px", "height_px", "normalised", "profile"):
            assert getattr(foreseen, fact) == getattr(done, fact), fact
        assert foreseen.is_source
        assert foreseen.size_bytes == (len(data) if done.is_source else 0)


@pytest.mark.parametrize("sample", kit.SAMPLES, ids=lambda sample: sample.id)
@pytest.mark.parametrize("rules", [{}, {"longest_side_px": 32}, {"metadata": "strip"}], ids=str)
def test_what_is_done_to_a_picture_is_foreseen_from_its_header(made_fit, inspected, sample, rules):
    data, name = sample.make(), "image.tga" if sample.format == "TGA" else "image"
    assert inspected(data, name, **rules).normalised == made_fit(data, name, **rules).normalised


def coloured(name: str, icc: bytes, mode: str = "RGB") -> bytes:
    return kit.saved(kit.quarters().convert(mode), name, icc_profile=icc)


WIDE = kit.rgb_profile(kit.DISPLAY_P3, 2.2)
COLOURS = {
    "a wide gamut": (coloured("JPEG", WIDE), True),
    "a wide gamut with alpha": (coloured("PNG", WIDE, "RGBA"), True),
    "a palette": (coloured("PNG", WIDE, "P"), True),
    "sRGB by a profile": (coloured("JPEG", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()), False),
    "grey by a profile of grey": (coloured("PNG", kit.grey_profile(1.0), "L"), True),
    "grey and alpha by a profile of grey": (coloured("PNG", kit.grey_profile(1.0), "LA"), True),
    "grey by a profile of colours": (coloured("JPEG", WIDE, "L"), True),
    "16 bits of grey by a steep profile": (coloured("PNG", kit.grey_profile(1.0), "I;16"), True),
    "a profile for other channels": (coloured("JPEG", kit.cmyk_profile()), False),
    "a broken profile": (coloured("JPEG", WIDE[:200]), False),
    "primaries that cannot be meant": (coloured("JPEG", kit.rgb_profile(((0.1, 0.1, 0.1),) * 3, 2.2)), False),
    "inks": (kit.cmyk_jpeg(), True),
    "inks by a profile": (coloured("TIFF", kit.cmyk_profile(), "CMYK"), True),
    "inks with alpha": (
        kit.tiff_with_profile(
            kit.tiff(np.full((48, 64, 5), 99, np.uint8), 5, more=[(338, 2)]),
            kit.cmyk_profile(),
        ),
        True,
    ),
    "a gamma": (kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"gAMA", struct.pack(">I", 100_000))]), True),
    "the usual gamma": (
        kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"gAMA", struct.pack(">I", 45_455))]),
        False,
    ),
    "code points": (kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"cICP", bytes([12, 13, 0, 1]))]), True),
    "code points of HDR": (
        kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"cICP", bytes([9, 16, 0, 1]))]),
        False,
    ),
    "a camera's Adobe RGB": (kit.jpeg(exif=b"Exif\0\0" + kit.camera_exif()), True),
    "no word of it": (kit.jpeg(), False),
}


@pytest.mark.parametrize(("data", "changes"), COLOURS.values(), ids=COLOURS)
def test_it_is_foreseen_whose_colours_are_converted(made_fit, inspected, data, changes):
    foreseen, done = (run(data, longest_side_px=32).normalised for run in (inspected, made_fit))
    assert foreseen == done
    assert ("colour" in foreseen) is changes


def test_no_colour_is_converted_of_what_passes(inspected):
    assert inspected(coloured("JPEG", WIDE)).normalised == ()


RARELY_READ = [sample for sample in kit.SAMPLES if sample.rarely_read]


@pytest.mark.parametrize("sample", RARELY_READ, ids=lambda sample: sample.id)
@pytest.mark.parametrize("integrity", ["strict", "decode", "header"])
@pytest.mark.parametrize("metadata", ["keep", "strip"])
def test_a_jpeg_coded_as_few_can_read_it_is_written_anew(made_fit, inspected, sample, integrity, metadata):
    data = kit.jpeg_with(sample.make(), *[kit.jpeg_segment(0xEB, bytes(60_000))] * 5)
    rules = {"integrity": integrity, "metadata": metadata}
    payload = made_fit(data, **rules)
    assert payload.normalised == inspected(data, **rules).normalised == ("recoded",)
    assert sandbox.inspect(payload.file.read_bytes()).mime_type == payload.mime_type == "image/jpeg"
    frames = jpeg_markers.FRAMES & {segment.marker for segment in jpeg_markers.segments(payload.file.read_bytes())}
    assert frames == {0xC0}
    assert kit.close(kit.corners(opened(payload.file)), kit.QUADRANTS, sample.tolerance)


@pytest.mark.parametrize("integrity", ["strict", "header"])
@pytest.mark.parametrize("behind", [b"", b"\0", b"appended"])
def test_a_webp_without_its_last_byte_of_padding_gets_it(made_fit, inspected, integrity, behind):
    pictures = (kit.saved(kit.photograph(64, 48, seed), "WEBP", lossless=True) for seed in range(40))
    whole = next(data for data in pictures if int.from_bytes(data[16:20], "little") & 1)
    unpadded = whole[:4] + (len(whole) - 9).to_bytes(4, "little") + whole[8:-1] + behind
    payload = made_fit(unpadded, integrity=integrity)
    assert payload.normalised == inspected(unpadded, integrity=integrity).normalised == ("mended",)
    assert payload.file.read_bytes() == whole + behind
    assert payload.warnings[0] == "the byte of padding at its end was missing, and was added"
    assert len(payload.warnings) == 1 + (bool(behind) and integrity == "strict")
    assert made_fit(unpadded, longest_side_px=40).normalised == ("resized",)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("integrity", ["strict", "header"])
def test_a_plan_tells_whose_metadata_will_be_stripped(made_fit, inspected, name, integrity):
    plain = made_fit(kit.saved(kit.quarters(), name), metadata="strip").file.read_bytes()
    told = kit.saved(kit.quarters(), name, exif=kit.exif(make="maker"))
    for data, steps in ((plain, ()), (told, ("stripped",))):
        foreseen, done = (run(data, metadata="strip", integrity=integrity) for run in (inspected, made_fit))
        assert foreseen.normalised == done.normalised == steps
        assert (foreseen.profile, foreseen.mime_type) == (done.profile, done.mime_type)
        assert foreseen.is_source
        assert foreseen.size_bytes == (0 if steps else len(data))


def test_a_plan_tells_which_jpeg_only_loses_what_is_appended(made_fit, inspected):
    data = kit.jpeg() + bytes(20_000)
    rules = {"max_bytes": 10_000}
    assert inspected(data, **rules).normalised == made_fit(data, **rules).normalised == ("trimmed",)
