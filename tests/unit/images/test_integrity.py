"""Damage that decoders pass silently is found; what is merely odd is not refused."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images.kinds import iso_media, jpeg, jpeg2000_holes
from tests import image_kit as kit

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "4:4:4": {"subsampling": 0},
}


def photo_jpeg(kind: str = "baseline") -> bytes:
    return kit.jpeg(kit.photograph(900, 600, 7), **{"quality": 92, **KINDS[kind]})


def refused(made_fit, data: bytes, **rules: object) -> str:
    with pytest.raises((ImageRejected, SourceNotReady)) as caught:
        made_fit(data, **rules)
    return caught.value.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
def test_bytes_lost_in_the_middle_of_a_jpeg_are_found(made_fit, kind, longest_side_px):
    data = photo_jpeg(kind)
    # The last scan of a progressive one corrects values by one: behind a loss the decoder may fall into step again.
    end = data.rindex(b"\xff\xda") if kind == "progressive" else len(data) * 18 // 20
    for place in range(15):
        at = len(data) * 3 // 20 + (end - 4096 - len(data) * 3 // 20) * place // 15
        assert refused(made_fit, data[:at] + data[at + 4096 :], longest_side_px=longest_side_px) == "corrupt"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
def test_zeroed_blocks_in_a_jpeg_are_found(made_fit, kind, longest_side_px):
    data = photo_jpeg(kind)
    for place in range(3, 18):
        at = len(data) * place // 20
        damaged = data[:at] + bytes(4096) + data[at + 4096 :]
        assert refused(made_fit, damaged, longest_side_px=longest_side_px) == "corrupt"


@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
@pytest.mark.parametrize("kind", ["baseline", "restarts"])
def test_zeros_that_a_decoder_reads_as_just_as_many_blocks_are_found(made_fit, kind, longest_side_px):
    data = kit.jpeg(kit.photograph(900, 600, 7), quality=85, **KINDS[kind])
    for at in range(len(data) // 10, len(data) - 520, len(data) // 60):
        damaged = data[:at] + bytes(512) + data[at + 512 :]
        assert refused(made_fit, damaged, longest_side_px=longest_side_px) == "corrupt"


@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
@pytest.mark.parametrize("zeros", [200, 4096, 60_000])
def test_a_part_that_was_never_written_before_the_end_marker_is_no_padding(made_fit, zeros, longest_side_px):
    data = photo_jpeg()
    damaged = data[: -2 - zeros] + bytes(zeros) + data[-2:]
    assert refused(made_fit, damaged, longest_side_px=longest_side_px) == "corrupt"
    assert refused(made_fit, damaged[:-2] + bytes(700) + data[-2:], longest_side_px=longest_side_px) == "corrupt"


def test_a_flat_picture_is_nothing_but_zeros_and_whole(made_fit):
    data = kit.jpeg(Image.new("RGB", (2000, 1500), "white"), optimize=True)
    assert bytes(1000) in data
    assert made_fit(data).warnings == ()
    assert made_fit(data[:-2] + bytes(500) + data[-2:]).is_source


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncation_with_a_forged_end_is_found(made_fit, kind):
    data = photo_jpeg(kind)
    for place in range(3, 20):
        assert refused(made_fit, data[: len(data) * place // 20] + b"\xff\xd9") == "corrupt"


def test_a_progressive_jpeg_that_ends_after_a_scan_is_found(made_fit):
    data = photo_jpeg("progressive")
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    assert len(scans) > 3
    for at in scans[1:]:
        behind_a_scan = data.rindex(b"\xff\xc4", 0, at)
        assert refused(made_fit, data[:behind_a_scan] + b"\xff\xd9") == "corrupt"


def test_few_zeros_in_the_refinement_of_the_means_are_found(made_fit):
    """They stand where one bit belongs to each block: every decoder takes them, and has two bytes left over."""
    data = kit.jpeg(kit.photograph(1600, 1200, 7), quality=85, subsampling=0, progressive=True)
    start = data.index(b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\0\x10") + 14
    end = data.index(b"\xff\xc4", start)
    places = [at for at in range(start, end - 512, 512) if b"\xff\0" in data[at + 1 : at + 511]]
    assert len(places) > 10
    for at in places:
        assert refused(made_fit, data[:at] + bytes(512) + data[at + 512 :]) == "corrupt"


@pytest.mark.parametrize("filled", [False, True], ids=["cut", "zeros to come"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_is_still_on_its_way_is_not_ready_wherever_it_ends(made_fit, kind, filled):
    data = photo_jpeg(kind)
    for end in [*range(len(data) // 30, len(data), len(data) // 30), *range(len(data) - 18, len(data) - 3)]:
        so_far = data[:end] + bytes(len(data) - end if filled else 0)
        assert refused(made_fit, so_far) == "truncated"


def odd_but_whole() -> dict[str, bytes]:
    data = photo_jpeg()
    scan = data.index(b"\xff\xda")
    progressive = photo_jpeg("progressive")
    first_table = data.index(b"\xff\xdb")
    return {
        "padding before the end": data[:-2] + bytes(40) + data[-2:],
        "much padding before the end": data[:-2] + bytes(512) + data[-2:],
        "more padding than a decoder reads at once": data[:-2] + bytes(5000) + data[-2:],
        "a byte too many before the end": data[:-2] + b"\x17" + data[-2:],
        "line ends before the end": data[:-2] + b"\r\n" * 8 + data[-2:],
        "junk between segments": data[:first_table] + b"junk" + data[first_table:],
        "fill bytes before a marker": data[:first_table] + b"\xff" * 5 + data[first_table:],
        "an unknown JFIF version": data.replace(b"JFIF\0\1", b"JFIF\0\7", 1),
        "an unknown Adobe transform": kit.jpeg_with(data, kit.jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\7")),
        "scan parameters that mean nothing": data[: scan + 11] + b"\1\x3f\0" + data[scan + 14 :],
        "an unknown application segment": kit.jpeg_with(data, kit.jpeg_segment(0xEB, b"HDR_RI ver=11")),
        "a film behind the picture": data + b"\0\0\0\x18ftypmp42" + bytes(500),
        "padding before a progressive end": progressive[:-2] + bytes(9) + progressive[-2:],
    }


@pytest.mark.parametrize("what", odd_but_whole())
def test_what_is_odd_but_whole_is_sent_as_it_is(made_fit, what):
    data = odd_but_whole()[what]
    payload = made_fit(data)
    assert payload.is_source
    assert made_fit(data, longest_side_px=400).normalised == ("resized",)


def test_what_was_odd_is_told_as_a_warning(made_fit):
    payload = made_fit(odd_but_whole()["padding before the end"])
    assert any("extraneous" in warning for warning in payload.warnings)
    assert made_fit(photo_jpeg()).warnings == ()


def test_left_over_image_data_is_damage_and_no_padding(made_fit):
    data = photo_jpeg()
    assert refused(made_fit, data[:-2] + data[-300:-2] + data[-2:]) == "corrupt"


def test_less_strict_levels_pass_what_their_decoder_passes(made_fit):
    data = photo_jpeg()
    at = len(data) // 2
    damaged = data[:at] + data[at + 4096 :]
    assert made_fit(damaged, integrity="decode").is_source
    assert made_fit(damaged, integrity="header").is_source
    assert made_fit(damaged, integrity="decode", longest_side_px=400).normalised == ("resized",)


def test_only_the_header_level_sends_half_a_file(made_fit):
    half = photo_jpeg()[:20_000]
    assert refused(made_fit, half, integrity="decode") == "truncated"
    assert made_fit(half, integrity="header").is_source


@pytest.mark.parametrize("longest_side_px", [4096, 50], ids=["as found", "resized"])
def test_a_flipped_bit_in_a_png_is_found(made_fit, longest_side_px):
    data = kit.saved(kit.photograph(120, 90), "PNG")
    for at in range(40, len(data) - 16, len(data) // 12):
        damaged = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        assert refused(made_fit, damaged, longest_side_px=longest_side_px) == "corrupt"


def test_a_png_whose_last_data_are_missing_is_found(made_fit):
    data = kit.saved(kit.photograph(300, 300), "PNG")
    assert data.count(b"IDAT") > 1
    last = data.rindex(b"IDAT") - 4
    assert refused(made_fit, data[:last] + data[data.rindex(b"IEND") - 4 :]) in ("truncated", "corrupt")


def test_a_png_with_a_broken_length_is_damaged_and_not_on_its_way(made_fit):
    data = kit.saved(kit.photograph(60, 40), "PNG")
    at = data.index(b"IDAT") - 4
    broken = data[:at] + struct.pack(">I", 5_000_000) + data[at + 4 :]
    assert refused(made_fit, broken) == "corrupt"


def test_what_follows_the_end_of_a_png_is_nobodys_business(made_fit):
    assert made_fit(kit.saved(kit.quarters(), "PNG") + b"appended" * 30).is_source


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_what_follows_the_end_is_told_and_gone_where_it_is_to_be_stripped(made_fit, name):
    data = kit.saved(kit.quarters(), name)
    told = ("1,200 B behind its end are no part of the picture",)
    payload = made_fit(data + b"appended" * 150)
    assert payload.is_source
    assert payload.warnings == told
    assert made_fit(data).warnings == ()
    assert made_fit(data + b"appended" * 150, longest_side_px=32).warnings == told
    stripped = made_fit(data + b"appended" * 150, metadata="strip")
    assert b"appended" not in stripped.file.read_bytes()
    assert stripped.warnings == told


@pytest.mark.parametrize("appended", [b"appended" * 150, b"\n\0\0", bytes(1200), b"\0\0\0\2free" + bytes(9)])
@pytest.mark.parametrize("name", ["AVIF", "HEIF", "QOI"])
def test_what_follows_the_end_is_told_of_what_is_written_anew_too(made_fit, name, appended):
    data = kit.heic() if name == "HEIF" else kit.saved(kit.quarters(), name)
    payload = made_fit(data + appended)
    assert payload.warnings == (f"{len(appended):,} B behind its end are no part of the picture",)
    assert payload.normalised == ("webp",)
    assert made_fit(data).warnings == ()


def test_what_phones_append_to_a_heic_is_nothing_odd(made_fit):
    assert made_fit(kit.heic() + b"Image_UTC_Data" + bytes(20) + b"SEFT").warnings == ()
    assert made_fit(kit.heic() + struct.pack(">I4s", 50, b"mpvd") + bytes(42)).warnings == ()


def test_a_box_that_claims_more_than_there_is_holds_the_picture_all_the_same(made_fit):
    data = bytearray(kit.heic())
    at = data.rindex(b"mdat") - 4
    data[at : at + 4] = struct.pack(">I", len(data) - at + 1000)
    assert made_fit(bytes(data)).warnings == ()


@pytest.mark.parametrize("data", [kit.mpo(), kit.ultra_hdr(), kit.jpeg() + b"\0\0\0\x18ftypmp42" + bytes(99)])
def test_what_phones_append_is_nothing_odd(made_fit, data):
    assert made_fit(data).warnings == ()
    assert made_fit(kit.jpeg() + b"Image_UTC_Data" + bytes(20) + b"SEFT").warnings == ()


def test_a_hole_in_a_lossy_webp_is_found(made_fit):
    data = kit.saved(kit.photograph(400, 300), "WEBP", quality=90)
    at = len(data) // 2
    assert refused(made_fit, data[:at] + bytes(512) + data[at + 512 :]) == "corrupt"
    assert refused(made_fit, data[:-600] + bytes(600)) == "truncated"


def broken_profile(data: bytes) -> bytes:
    """A colour profile whose parts are numbered wrongly, which libjpeg refuses even where it is told to go on."""
    part = b"ICC_PROFILE\0" + bytes([7, 3]) + bytes(200)
    return data[:2] + b"\xff\xe2" + struct.pack(">H", len(part) + 2) + part + data[2:]


@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
def test_damage_is_found_behind_a_marker_that_cannot_be_read(made_fit, longest_side_px):
    data = broken_profile(photo_jpeg())
    whole = made_fit(data, longest_side_px=longest_side_px)
    assert whole.is_source is (longest_side_px == 4096)
    assert not any("strictly" in warning for warning in whole.warnings)
    middle = len(data) // 2
    holed = data[:middle] + bytes(4096) + data[middle + 4096 :]
    assert refused(made_fit, holed, longest_side_px=longest_side_px) == "corrupt"


@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
def test_a_sampling_that_the_strict_decoder_has_no_name_for_is_read_by_pillow(made_fit, monkeypatch, longest_side_px):
    data, known = photo_jpeg(), jpeg.simplejpeg.decode_jpeg_header

    def unknown(of: bytes, **options: object) -> object:
        if of == data:
            raise ValueError("Could not determine subsampling level")
        return known(of, **options)

    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg_header", unknown)
    payload = made_fit(data, longest_side_px=longest_side_px)
    assert payload.is_source is (longest_side_px == 4096)
    assert payload.warnings == ("this kind of JPEG could not be checked strictly",)


def test_a_lossless_jpeg_is_never_given_to_the_decoder_that_writes_beyond_its_end(monkeypatch, made_fit):
    decode = simplejpeg.decode_jpeg

    def careful(data: bytes, *args: object, **options: object) -> np.ndarray:
        assert b"\xff\xc3" not in data, "it is decoded to full size, whatever there is room for"
        return decode(data, *args, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", careful)
    for rules in ({}, {"longest_side_px": 32}, {"metadata": "strip"}):
        payload = made_fit(kit.jpeg_with(kit.lossless_jpeg(), kit.jpeg_segment(0xFE, b"words")), **rules)
        assert payload.warnings == ("this kind of JPEG could not be checked strictly",)
        with Image.open(payload.file) as image:
            assert kit.close(kit.corners(image), kit.QUADRANTS, 20)


PNG_KINDS = {
    "RGB": lambda photo: kit.saved(photo, "PNG"),
    "RGBA": lambda photo: kit.saved(photo.convert("RGBA"), "PNG"),
    "grey": lambda photo: kit.saved(photo.convert("L"), "PNG"),
    "grey and alpha": lambda photo: kit.saved(photo.convert("LA"), "PNG"),
    "palette": lambda photo: kit.saved(photo.convert("P"), "PNG"),
    "bits": lambda photo: kit.saved(photo.convert("1"), "PNG"),
    "16 bits": lambda photo: kit.png(np.asarray(photo.convert("L")).astype(np.uint16)[..., None] * 257, 16, 0),
    "RGB of 16 bits": lambda photo: kit.png(np.asarray(photo).astype(np.uint16) * 257, 16, 2),
    "interlaced": lambda photo: kit.png(np.asarray(photo), 8, 2, interlaced=True),
}


def rows_left_out(data: bytes, share: float) -> bytes:
    """A PNG whose data ends early, with every checksum as it should be."""
    at, packed = 8, b""
    chunks = []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            packed += body
        else:
            chunks.append((kind, body))
        at += 12 + length
    rows = zlib.decompress(packed)
    chunks.insert(-1, (b"IDAT", zlib.compress(rows[: int(len(rows) * share)])))
    return data[:8] + b"".join(kit.png_chunk(kind, body) for kind, body in chunks)


@pytest.mark.parametrize("kind", PNG_KINDS)
@pytest.mark.parametrize("longest_side_px", [4096, 100], ids=["as found", "resized"])
def test_a_png_without_its_last_rows_is_not_whole(made_fit, kind, longest_side_px):
    data = PNG_KINDS[kind](kit.photograph(300, 200, 7))
    made_fit(rows_left_out(data, 1.0), longest_side_px=longest_side_px)
    for share in (0.02, 0.5, 0.99):
        assert refused(made_fit, rows_left_out(data, share), longest_side_px=longest_side_px) == "corrupt"


def test_a_png_whose_last_rows_are_black_is_whole(made_fit):
    image = kit.photograph(300, 200, 7).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 100, 300, 200))
    assert made_fit(kit.saved(image, "PNG")).is_source
    assert made_fit(kit.png(np.zeros((199, 301, 4), np.uint8), 8, 6, interlaced=True)).is_source


@pytest.mark.parametrize("size", [(301, 200), (300, 199), (8, 8), (3, 3), (1, 1), (1, 9), (9, 1)])
def test_the_rows_of_an_interlaced_png_are_counted(made_fit, size):
    samples = np.asarray(kit.noise(*size).convert("RGBA"))
    data = kit.png(samples, 8, 6, interlaced=True)
    assert made_fit(rows_left_out(data, 1.0)).is_source
    if min(size) > 1:
        assert refused(made_fit, rows_left_out(data, 0.6)) == "corrupt"


def moving(**options: object) -> bytes:
    frames = [kit.noise(200, 200, seed=seed) for seed in range(3)]
    return kit.saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50, **options)


@pytest.mark.parametrize("options", [{"quality": 90}, {"lossless": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("animation", ["keep", "first_frame"])
def test_a_hole_in_any_frame_of_a_webp_is_found(made_fit, options, animation):
    data = moving(**options)
    assert made_fit(data, animation=animation).is_source is (animation == "keep")
    for place in (1, 3, 5):
        at = len(data) * place // 6 - 2000
        assert refused(made_fit, data[:at] + bytes(4000) + data[at + 4000 :], animation=animation) == "corrupt"


def test_a_hole_in_a_lossless_webp_is_found(made_fit):
    data = kit.saved(kit.photograph(900, 700), "WEBP", lossless=True)
    at = len(data) // 2
    assert refused(made_fit, data[:at] + bytes(4096) + data[at + 4096 :]) == "corrupt"


def with_alpha(alpha: Image.Image, colour: Image.Image | None = None) -> Image.Image:
    image = colour.copy() if colour else Image.new("RGB", alpha.size, "red")
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("moves", [False, True], ids=["still", "moving"])
def test_a_hole_in_the_transparency_of_a_webp_is_found(made_fit, moves):
    image = with_alpha(kit.photograph(300, 200, 7).convert("L"), kit.photograph(300, 200))
    more = {"save_all": True, "append_images": [image.rotate(180)], "duration": 50} if moves else {}
    data = kit.saved(image, "WEBP", quality=60, **more)
    begin = data.index(b"ALPH")
    (length,) = struct.unpack_from("<I", data, begin + 4)
    for place in (2, 3, 4):
        at = begin + length * place // 6
        damaged = data[:at] + bytes(4096) + data[at + 4096 :]
        assert refused(made_fit, damaged, animation="keep") == "corrupt"


def test_lost_blocks_in_the_transparency_of_a_nearly_blank_webp_are_found(made_fit):
    rare = np.random.default_rng(1).integers(0, 2000, (1500, 1500)) == 0
    data = kit.saved(with_alpha(Image.fromarray(np.where(rare, 17, 255).astype(np.uint8))), "WEBP", method=0)
    begin = data.index(b"ALPH")
    (length,) = struct.unpack_from("<I", data, begin + 4)
    assert length * 4 < 1500 * 1500
    assert made_fit(data).is_source
    at = (begin + length // 2) // 512 * 512
    assert refused(made_fit, data[:at] + bytes(2048) + data[at + 2048 :]) == "corrupt"


def a_dot(mode: str, colour: int | str, background: int | str) -> Image.Image:
    image = Image.new(mode, (4096, 4096), background)
    image.paste(colour, (2000, 2000, 2009, 2009))
    return image


BLANK = {
    "clear": lambda: kit.saved(with_alpha(Image.new("L", (4096, 4096))), "WEBP", quality=50, method=0),
    "clear but for a dot": lambda: kit.saved(with_alpha(a_dot("L", 128, 0)), "WEBP", quality=50, method=0),
    "opaque but for a dot": lambda: kit.saved(with_alpha(a_dot("L", 128, 255)), "WEBP", quality=50, method=0),
    "white but for a dot": lambda: kit.saved(a_dot("RGB", "red", "white"), "WEBP", lossless=True, quality=0, method=0),
}


@pytest.mark.parametrize("what", BLANK)
def test_a_blank_webp_has_no_hole_however_many_zeros_it_has(made_fit, what):
    data = BLANK[what]()
    assert (bytes(2000) in data) == ("dot" in what)
    assert made_fit(data, max_bytes=10**8).is_source


def test_every_frame_that_is_kept_is_decoded(made_fit):
    data = bytearray(moving(lossless=True))
    begin = data.rindex(b"VP8L") + 20  # where the codes are told
    data[begin : begin + 4000] = b"\xff" * 4000
    assert refused(made_fit, bytes(data), animation="keep") == "corrupt"
    assert made_fit(bytes(data), animation="first_frame").width_px == 200


ISO_MEDIA = {
    "AVIF": lambda image: kit.saved(image, "AVIF", quality=90, speed=10, exif=kit.exif(make="maker") + bytes(3000)),
    "animated AVIF": lambda image: kit.saved(
        image, "AVIF", quality=90, speed=10, save_all=True, append_images=[Image.new("RGB", image.size)], duration=50
    ),
    "HEIC": lambda image: kit.heic(image, exif=b"Exif\0\0" + kit.exif(1) + bytes(3000)),
}


def heic_or_avif(kind: str, image: Image.Image) -> bytes:
    if kind == "HEIC":
        pytest.importorskip("pillow_heif")
    return ISO_MEDIA[kind](image)


@pytest.mark.parametrize("kind", ISO_MEDIA)
@pytest.mark.parametrize("longest_side_px", [4096, 100], ids=["as large as it is", "resized"])
def test_a_hole_in_a_heic_or_avif_is_found(made_fit, kind, longest_side_px):
    data = heic_or_avif(kind, kit.noise(300, 200))
    begin, end = next(iso_media.coded_extents(data))
    for place in (1, 2, 3):
        at = begin + (end - begin) * place // 4
        assert (
            refused(made_fit, data[:at] + bytes(512) + data[at + 512 :], longest_side_px=longest_side_px) == "corrupt"
        )
        half = data[:at] + bytes(len(data) - at)
        assert refused(made_fit, half, longest_side_px=longest_side_px) == "truncated"


@pytest.mark.parametrize("kind", ISO_MEDIA)
@pytest.mark.parametrize("colour", ["black", "white", (120, 60, 200)])
def test_a_blank_heic_or_avif_has_no_hole(made_fit, kind, colour):
    data = heic_or_avif(kind, Image.new("RGB", (1024, 1024), colour))
    assert list(iso_media.coded_extents(data))
    assert made_fit(data).normalised[-1] == "webp"
    metadata_of_zeros = b"\0" * 2000 in data
    assert metadata_of_zeros == ("animated" not in kind)


JPEG2000_KINDS = {
    "lossless": {},
    "lossy": {"irreversible": True, "quality_mode": "rates", "quality_layers": [12]},
    "tiles": {"tile_size": (256, 256)},
    "codestream": {"no_jp2": True},
}


@pytest.mark.parametrize("kind", JPEG2000_KINDS)
@pytest.mark.parametrize("longest_side_px", [4096, 400], ids=["as found", "resized"])
def test_a_hole_in_a_jpeg_2000_is_found(made_fit, kind, longest_side_px):
    data = kit.saved(kit.photograph(1000, 700), "JPEG2000", **JPEG2000_KINDS[kind])
    made_fit(data, longest_side_px=longest_side_px)
    for at in range(len(data) // 8, len(data) - 4096, len(data) // 8):
        holed = data[:at] + bytes(4096) + data[at + 4096 :]
        assert refused(made_fit, holed, longest_side_px=longest_side_px) == "corrupt"
    assert refused(made_fit, data[:-9000] + bytes(9000), longest_side_px=longest_side_px) == "truncated"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"irreversible": True},
        {"tile_size": (128, 128)},
        {"precinct_size": (64, 64), "num_resolutions": 4},
        {"quality_mode": "rates", "quality_layers": list(range(40, 0, -2))},
        {"codeblock_size": (4, 4), "num_resolutions": 1},
    ],
)
@pytest.mark.parametrize("colour", ["white", "black", (192, 0, 64), (128, 128, 128)])
def test_a_blank_jpeg_2000_is_whole(made_fit, options, colour):
    made_fit(kit.saved(Image.new("RGB", (1000, 700), colour), "JPEG2000", **options))


@pytest.mark.parametrize("empty", [False, True], ids=["holed", "of empty packets"])
def test_as_many_packets_of_a_jpeg_2000_may_be_empty_as_it_has(empty):
    """Some coders write each empty packet as a zero; this one writes none, so that they are put in by hand."""
    data = kit.saved(
        Image.new("L", (1000, 700), 128), "JPEG2000", no_jp2=True, precinct_size=(64, 64), num_resolutions=2
    )
    at, end = data.index(b"\xff\x93") + 2, data.index(b"\xff\xd9")
    packets = 16 * 11 + 8 * 6
    zeros = packets if empty else packets + 1000
    start = data.index(b"\xff\x90")
    told = struct.pack(">I", at - start + zeros)
    holed = data[: start + 6] + told + data[start + 10 : at] + bytes(zeros) + data[end:]
    assert jpeg2000_holes.has_hole(holed) is not empty


def test_a_jpeg_2000_whose_tile_says_a_wrong_length_is_looked_at_all_the_same():
    data = kit.saved(kit.photograph(600, 400), "JPEG2000", no_jp2=True)
    at, middle = data.index(b"\xff\x90") + 6, len(data) // 2
    holed = data[:middle] + bytes(4096) + data[middle + 4096 :]
    for length in (0, 1, 14, 60, middle, 2**32 - 1):
        told = struct.pack(">I", length)
        assert jpeg2000_holes.has_hole(holed[:at] + told + holed[at + 4 :])
        assert not jpeg2000_holes.has_hole(data[:at] + told + data[at + 4 :])


def test_a_jpeg_2000_that_tells_of_endless_packets_needs_no_memory_for_them():
    data = kit.saved(Image.new("L", (1000, 700)), "JPEG2000", no_jp2=True, precinct_size=(64, 64))
    at = data.index(b"\xff\x52") + 6
    told = struct.pack(">H", 65535)
    size = data.index(b"\xff\x51") + 6
    sides = struct.pack(">8I", *[2**31, 2**31, 0, 0, 2**31, 2**31, 0, 0])
    assert not jpeg2000_holes.has_hole(data[:size] + sides + data[size + 32 : at] + told + data[at + 2 :])
