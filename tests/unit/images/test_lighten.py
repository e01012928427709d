"""Metadata and ballast go, the pixels stay untouched."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import strip
from ingestor.images.kinds import chunks
from tests import image_kit as kit

SECRET = b"SECRETNAME"
PROFILE = kit.rgb_profile(kit.DISPLAY_P3, 2.2)


def with_metadata(name: str, *, orientation: int = 1) -> bytes:
    exif = b"Exif\0\0" + kit.exif(orientation, make=SECRET.decode())
    match name:
        case "JPEG":
            data = kit.jpeg(
                kit.photograph(200, 120), exif=exif, xmp=kit.XMP, icc_profile=PROFILE, comment=SECRET, dpi=(300, 300)
            )
            iptc = kit.jpeg_segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0f\x1c\x02\x50\0\x0a" + SECRET)
            return kit.jpeg_with(data, iptc)
        case "PNG":
            words = PngImagePlugin.PngInfo()
            words.add_text("Author", SECRET.decode(), zip=False)
            words.add_itxt("XML:com.adobe.xmp", kit.XMP.decode())
            return kit.saved(kit.photograph(200, 120), "PNG", exif=exif, pnginfo=words, icc_profile=PROFILE)
        case _:
            return kit.saved(kit.photograph(200, 120), "WEBP", exif=exif, xmp=kit.XMP, icc_profile=PROFILE, quality=90)


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_strip_removes_metadata_and_leaves_pixels_and_colour_as_they_are(made_fit, name):
    data = with_metadata(name)
    assert SECRET in data
    payload = made_fit(data, metadata="strip")
    sent = payload.file.read_bytes()
    assert payload.normalised == ("stripped",)
    assert payload.profile == f"{name.lower()}-stripped-{strip.RECIPE}"
    assert SECRET not in sent
    assert b"Exif" not in sent
    assert pixels(sent) == pixels(data)
    with Image.open(io.BytesIO(sent)) as image:
        assert image.format == name
        assert image.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_metadata_are_kept_unless_told_otherwise(made_fit, name):
    assert made_fit(with_metadata(name)).is_source


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_file_without_metadata_has_nothing_to_strip(made_fit, name):
    assert made_fit(kit.saved(kit.quarters(), name), metadata="strip").is_source


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_is_to_be_kept_survives_stripping(made_fit, name):
    payload = made_fit(with_metadata(name, orientation=6), metadata="strip", orientation="keep")
    sent = payload.file.read_bytes()
    assert SECRET not in sent
    with Image.open(io.BytesIO(sent)) as image:
        assert image.getexif()[0x0112] == 6


@pytest.mark.parametrize("orientation", [1, 6])
def test_that_colours_are_those_of_adobe_rgb_survives_stripping(made_fit, orientation):
    data = kit.jpeg(kit.photograph(200, 120), exif=b"Exif\0\0" + kit.camera_exif(orientation=orientation))
    payload = made_fit(data, metadata="strip", orientation="keep")
    sent = payload.file.read_bytes()
    assert payload.normalised == ("stripped",)
    assert SECRET in data
    assert SECRET not in sent
    assert pixels(sent) == pixels(data)
    with Image.open(io.BytesIO(sent)) as image:
        told = image.getexif()
    assert (told.get_ifd(0xA005), told.get_ifd(0x8769)[0xA001]) == ({1: "R03"}, 65535)
    assert told.get(0x0112, 1) == orientation
    assert made_fit(sent, metadata="strip", orientation="keep").is_source


def test_a_profile_alone_survives_stripping_where_there_is_one(made_fit):
    data = kit.jpeg(kit.photograph(200, 120), exif=b"Exif\0\0" + kit.camera_exif(), icc_profile=PROFILE)
    with Image.open(io.BytesIO(made_fit(data, metadata="strip").file.read_bytes())) as image:
        assert image.info["icc_profile"] == PROFILE
        assert not image.getexif()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("rules", [{"longest_side_px": 100}, {"orientation": "bake"}], ids=["resized", "turned"])
def test_strip_holds_for_what_is_written_anew(made_fit, name, rules):
    payload = made_fit(with_metadata(name, orientation=6), metadata="strip", **rules)
    sent = payload.file.read_bytes()
    assert "turned" in payload.normalised
    assert SECRET not in sent
    with Image.open(io.BytesIO(sent)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size[0] < image.size[1]


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_that_are_kept_say_that_the_turned_picture_is_upright(made_fit, name):
    if name == "TIFF":
        told = Image.Exif()
        told[0x010F] = SECRET.decode()
        told[0x0112] = 6
        data = kit.saved(kit.photograph(200, 120), "TIFF", exif=told)
    else:
        data = with_metadata(name, orientation=6)
    payload = made_fit(data)
    with Image.open(payload.file) as image:
        exif = image.getexif()
        assert exif.get(0x0112, 1) == 1
        assert exif[0x010F] == SECRET.decode()
        assert "icc_profile" not in image.info
        if name != "TIFF":
            assert SECRET in (image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode())


def test_a_jpeg_that_is_too_large_only_for_what_is_appended_is_trimmed(made_fit):
    picture = kit.jpeg(kit.photograph(300, 200))
    film = b"\0\0\0\x18ftypmp42" + bytes(200_000)
    payload = made_fit(picture + film, max_bytes=100_000)
    assert payload.normalised == ("trimmed",)
    assert payload.file.read_bytes() == picture
    assert made_fit(picture + film).is_source


def test_a_trimmed_picture_no_longer_speaks_of_the_other_one(made_fit):
    data = kit.ultra_hdr(kit.photograph(300, 200)) + bytes(200_000)
    sent = made_fit(data, max_bytes=100_000).file.read_bytes()
    assert b"MPF\0" not in sent
    assert pixels(sent) == pixels(kit.ultra_hdr(kit.photograph(300, 200)))


def test_stripping_may_be_all_that_is_needed_to_fit(made_fit):
    data = kit.jpeg_with(kit.jpeg(kit.photograph(300, 200)), *[kit.jpeg_segment(0xEB, bytes(60_000))] * 3)
    assert made_fit(data, max_bytes=100_000, metadata="strip").normalised == ("stripped",)
    assert made_fit(data, max_bytes=100_000, metadata="keep").normalised == ("webp",)


def test_nothing_is_left_behind_the_fields_of_the_segments_that_stay():
    data = kit.saved(kit.quarters(), "JPEG")
    jfif = data.index(b"JFIF\0") - 4
    adobe = b"\xff\xee" + struct.pack(">H", 14 + 6) + b"Adobe\0\x64\0\0\0\0\1" + b"secret"
    body = data[jfif + 4 : jfif + 18] + b"secret"
    odd = data[:jfif] + b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body + adobe + data[jfif + 18 :]
    plain = data[:jfif] + data[jfif : jfif + 18] + adobe[:2] + b"\0\x0e" + adobe[4:-6] + data[jfif + 18 :]
    assert strip.stripped(odd, "JPEG", 1) == plain


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(b"pHYs", 9), (b"bKGD", 6), (b"sBIT", 3), (b"cLLI", 8), (b"mDCV", 24), (b"PLTE", 768)],
)
def test_nothing_is_left_behind_the_fields_of_the_chunks_of_a_png(kind, fields):
    body = bytes(range(1, 9)) * (fields // 8 + 1)
    plain = kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(kind, body[:fields])])
    odd = kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(kind, body[:fields] + SECRET * 3)])
    assert strip.stripped(odd, "PNG", 1) == plain
    assert strip.stripped(plain, "PNG", 1) == plain


def test_what_a_chunk_of_a_png_has_fields_for_depends_on_its_colours():
    chunk = kit.png_chunk(b"bKGD", b"\1") + kit.png_chunk(b"sBIT", b"\5\6\5")
    data = kit.palette_png()
    at = data.index(b"IDAT") - 4
    odd = kit.png_chunk(b"bKGD", b"\1abc") + kit.png_chunk(b"sBIT", b"\5\6\5abc")
    assert strip.stripped(data[:at] + odd + data[at:], "PNG", 1) == data[:at] + chunk + data[at:]


def profile_parts(*parts: tuple[int, int, bytes]) -> list[bytes]:
    return [kit.jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([number, count]) + part) for number, count, part in parts]


def test_what_is_behind_the_length_of_a_profile_is_not_kept():
    data, half = kit.jpeg(), len(PROFILE) // 2
    for odd, plain in (
        ([(1, 1, PROFILE + SECRET)], [(1, 1, PROFILE)]),
        ([(2, 2, PROFILE[half:] + SECRET), (1, 2, PROFILE[:half])], [(2, 2, PROFILE[half:]), (1, 2, PROFILE[:half])]),
        ([(1, 2, PROFILE + SECRET), (2, 2, SECRET)], [(1, 2, PROFILE), (2, 2, b"")]),
        ([(1, 1, PROFILE[:-2])], [(1, 1, PROFILE[:-2])]),
    ):
        stripped = strip.stripped(kit.jpeg_with(data, *profile_parts(*odd)), "JPEG", 1)
        assert stripped == kit.jpeg_with(data, *profile_parts(*plain))


@pytest.mark.parametrize(
    "parts",
    [
        [(1, 1, SECRET)],
        [(1, 1, PROFILE), (1, 1, SECRET * 20)],
        [(7, 3, PROFILE)],
        [(number % 256, 0, SECRET) for number in range(300)],
    ],
)
def test_what_only_looks_like_a_profile_is_not_kept(parts):
    data = kit.jpeg()
    bare = kit.jpeg_segment(0xE2, b"ICC_PROFILE\0")
    assert strip.stripped(kit.jpeg_with(data, *profile_parts(*parts)), "JPEG", 1) == data
    assert strip.stripped(kit.jpeg_with(data, bare), "JPEG", 1) == data


def test_nothing_is_left_in_the_frames_of_an_animation():
    data = kit.animation("WEBP")
    assert strip.stripped(data, "WEBP", 1) == data
    chunk = next(chunk for chunk in chunks.of_webp(data) if chunk.kind == b"ANMF")
    secret = b"junk" + struct.pack("<I", 6) + b"secret"
    inner = data[chunk.begin : chunk.end] + secret
    odd = data[: chunk.begin - 4] + struct.pack("<I", len(inner)) + inner + data[chunk.end :]
    odd = odd[:4] + struct.pack("<I", len(odd) - 8) + odd[8:]
    assert strip.stripped(odd, "WEBP", 1) == data
    with pytest.raises(ValueError, match="beyond the end"):
        strip.stripped(odd.replace(b"junk\6", b"junk\x99"), "WEBP", 1)


def test_damage_is_found_before_anything_is_stripped(made_fit):
    data = with_metadata("JPEG")
    at = len(data) * 3 // 4
    with pytest.raises(Exception, match="damaged") as caught:
        made_fit(data[:at] + data[at + 600 :], metadata="strip")
    assert caught.value.reason == "corrupt"


def test_jpeg_thumbnails_go_and_the_density_stays():
    thumbnail = b"a thumbnail!"
    head = b"JFIF\0\1\2\1" + b"\1\x2c\1\x2c" + b"\2\2" + thumbnail
    data = kit.jpeg()
    end_of_app0 = 4 + int.from_bytes(data[4:6], "big")
    with_thumbnail = data[:2] + kit.jpeg_segment(0xE0, head) + data[end_of_app0:]
    stripped = strip.stripped(with_thumbnail, "JPEG", 1)
    assert thumbnail not in stripped
    with Image.open(io.BytesIO(stripped)) as image:
        assert image.info["dpi"] == (300, 300)


def test_transparency_and_gamma_of_a_png_survive():
    data = kit.palette_png(8, transparent=True)
    assert strip.stripped(data, "PNG", 1) == data
    gamma = kit.png(kit.rgb_samples(), 8, 2, chunks=[kit.png_chunk(b"gAMA", (100000).to_bytes(4, "big"))])
    assert strip.stripped(gamma, "PNG", 1) == gamma


def test_an_animation_that_is_kept_loses_its_metadata_only(made_fit):
    first, *others = kit.frames()
    data = kit.saved(first, "WEBP", save_all=True, append_images=others, exif=kit.exif(1, make=SECRET.decode()))
    sent = made_fit(data, animation="keep", metadata="strip").file.read_bytes()
    assert SECRET not in sent
    with Image.open(io.BytesIO(sent)) as image:
        assert image.n_frames == 3


def test_a_profile_that_was_kept_still_works():
    sent = strip.stripped(with_metadata("JPEG"), "JPEG", 1)
    with Image.open(io.BytesIO(sent)) as image:
        assert ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])).profile.xcolor_space.strip() == "RGB"


def with_wrong_checksum(data: bytes, kind: bytes) -> bytes:
    chunk = next(chunk for chunk in chunks.of_png(data) if chunk.kind == kind)
    return data[: chunk.end] + bytes([data[chunk.end] ^ 1]) + data[chunk.end + 1 :]


@pytest.mark.parametrize("kind", [b"tEXt", b"iTXt", b"eXIf"])
@pytest.mark.parametrize("integrity", ["strict", "decode", "header"])
def test_a_damaged_text_of_a_png_is_left_out_and_told(made_fit, kind, integrity):
    data = with_metadata("PNG")
    payload = made_fit(with_wrong_checksum(data, kind), integrity=integrity)
    sent = payload.file.read_bytes()
    assert payload.normalised == ("mended",)
    assert kind.decode() in payload.warnings[0]
    assert [chunk.kind for chunk in chunks.of_png(sent)] == [
        chunk.kind for chunk in chunks.of_png(data) if chunk.kind != kind
    ]
    assert pixels(sent) == pixels(data)


def test_a_png_with_a_damaged_text_can_be_made_smaller(made_fit):
    payload = made_fit(with_wrong_checksum(with_metadata("PNG"), b"tEXt"), longest_side_px=100)
    assert "tEXt" in payload.warnings[0]
    assert "resized" in payload.normalised


def test_a_damaged_text_is_gone_where_metadata_are_not_wanted(made_fit):
    payload = made_fit(with_wrong_checksum(kit.saved(kit.quarters(), "PNG", pnginfo=text()), b"tEXt"), metadata="strip")
    assert payload.normalised == ("stripped",)
    assert pixels(payload.file.read_bytes()) == pixels(kit.saved(kit.quarters(), "PNG"))


def text() -> PngImagePlugin.PngInfo:
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", "A")
    return words


@pytest.mark.parametrize("kind", [b"IDAT", b"IHDR", b"IEND"])
def test_a_wrong_checksum_of_what_is_seen_is_damage(made_fit, kind):
    with pytest.raises(ImageRejected, match="damaged inside"):
        made_fit(with_wrong_checksum(with_metadata("PNG"), kind))


def test_a_png_that_ends_within_a_text_is_cut_off(made_fit):
    data = with_metadata("PNG")
    text_end = next(chunk.end for chunk in chunks.of_png(data) if chunk.kind == b"tEXt")
    with pytest.raises(SourceNotReady):
        made_fit(data[: text_end - 2])


ENDS = {"none": b"", "half of one": b"\xff", "zeros": bytes(2), "many zeros": bytes(600), "half and zeros": b"\xff\0\0"}


@pytest.mark.parametrize("integrity", ["strict", "decode"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
@pytest.mark.parametrize("end", ENDS)
def test_a_jpeg_that_lacks_nothing_but_its_end_marker_gets_one_and_is_told(made_fit, end, options, integrity):
    data = kit.jpeg(kit.photograph(300, 200), **options)
    payload = made_fit(data[:-2] + ENDS[end], integrity=integrity)
    assert payload.file.read_bytes() == data
    assert payload.normalised == ("mended",)
    assert payload.warnings == ("its end marker is missing and was added",)


def test_the_last_byte_of_a_jpeg_without_end_marker_may_be_half_a_marker(made_fit):
    noisy = (kit.jpeg(kit.noise(24, 24, "L", seed), quality=100) for seed in range(2000))
    picture = next(data for data in noisy if data.endswith(b"\xff\0\xff\xd9"))
    for end in (b"", bytes(1), bytes(9)):
        assert made_fit(picture[:-2] + end).file.read_bytes() == picture


def test_a_jpeg_without_end_marker_can_be_made_smaller_or_stripped(made_fit):
    data = with_metadata("JPEG")[:-2]
    for rules, step in (({"longest_side_px": 100}, "resized"), ({"metadata": "strip"}, "stripped")):
        payload = made_fit(data, **rules)
        assert step in payload.normalised
        assert payload.warnings[0] == "its end marker is missing and was added"


def test_a_jpeg_without_end_marker_is_held_to_the_limits_before_it_is_decoded(made_fit):
    with pytest.raises(ImageRejected) as caught:
        made_fit(kit.jpeg(kit.photograph(300, 200))[:-2], max_pixels=50_000)
    assert caught.value.reason == "too_many_pixels"
