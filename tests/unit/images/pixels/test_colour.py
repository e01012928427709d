"""Colours look the same, whatever they were stored as."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ingestor.images.pixels import colour
from tests import image_kit as kit

D50_TO_LINEAR_SRGB = np.linalg.inv(np.array(kit.SRGB).T)


def srgb_curve(linear: np.ndarray) -> np.ndarray:
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def srgb_light(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def by_hand(rgb: np.ndarray, colours: tuple[tuple[float, ...], ...], gamma: float | None) -> np.ndarray:
    """What a matrix profile means in sRGB, without any colour library; with the curve of sRGB for no gamma."""
    light = srgb_light(rgb / 255.0) if gamma is None else (rgb / 255.0) ** gamma
    return srgb_curve(light @ np.array(colours) @ D50_TO_LINEAR_SRGB.T)


def shown(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(float)


def patches() -> Image.Image:
    """Twenty-four flat, moderately saturated colours, large enough that no coder's chroma bleeds into their middles."""
    values = np.random.default_rng(4).integers(60, 190, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((192, 128), Image.Resampling.NEAREST)


def middles(pixels: np.ndarray) -> np.ndarray:
    return pixels[16::32, 16::32]


@pytest.mark.parametrize(("name", "tolerance"), [("PNG", 1.5), ("TIFF", 6), ("JPEG", 6), ("WEBP", 6)])
@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB"])
def test_a_wide_gamut_is_converted_to_srgb_where_pixels_are_written(made_fit, name, tolerance, space):
    primaries, gamma = {"Display P3": (kit.DISPLAY_P3, 2.2), "Adobe RGB": (kit.ADOBE_RGB, 2.19921875)}[space]
    stored = patches()
    quality = {"quality": 97} if name in ("JPEG", "WEBP") else {}
    data = kit.saved(stored, name, icc_profile=kit.rgb_profile(primaries, gamma), exif=kit_exif(3), **quality)
    payload = made_fit(data, webp_quality=95)
    assert "colour" in payload.normalised
    upright = middles(shown(payload.file))[::-1, ::-1]
    meant = middles(by_hand(np.asarray(stored).astype(float), primaries, gamma))
    assert np.abs(upright - meant).max() <= tolerance + 4 * (name != "PNG")
    assert np.abs(upright - meant).mean() <= tolerance / 2
    assert np.abs(middles(np.asarray(stored).astype(float)) - meant).max() > 12
    with Image.open(payload.file) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("primaries", "transfer", "colours", "gamma"),
    [(12, 13, kit.DISPLAY_P3, None), (9, 14, kit.BT2020, None), (1, 8, kit.SRGB, 1.0), (12, 8, kit.DISPLAY_P3, 1.0)],
)
def test_colours_told_by_code_points_come_out_as_they_are_meant(made_fit, primaries, transfer, colours, gamma):
    stored = np.asarray(patches())
    text = kit.png_chunk(b"tEXt", b"Comment\0" + b"a" * 5000)
    told = [text, kit.png_chunk(b"cICP", bytes([primaries, transfer, 0, 1])), kit.png_chunk(b"eXIf", kit.exif(3))]
    payload = made_fit(kit.png(stored, 8, 2, chunks=told))
    assert payload.normalised == ("turned", "colour")
    assert payload.warnings == ()
    meant = middles(by_hand(stored.astype(float), colours, gamma))
    assert np.abs(middles(shown(payload.file))[::-1, ::-1] - meant).max() <= 1.5
    assert np.abs(middles(stored.astype(float)) - meant).max() > 12


ADOBE_RGB_GAMMA = 563 / 256


@pytest.mark.parametrize("rules", [{}, {"longest_side_px": 96}, {"max_bytes": 4_000}, {"metadata": "strip"}], ids=str)
def test_a_camera_that_says_adobe_rgb_without_a_profile_is_believed(made_fit, rules):
    stored, exif = patches(), b"Exif\0\0" + kit.camera_exif(orientation=3)
    payload = made_fit(kit.saved(stored, "JPEG", exif=exif, quality=97, subsampling=0), **rules)
    assert "colour" in payload.normalised
    assert payload.warnings == ()
    meant = middles(by_hand(np.asarray(stored).astype(float), kit.ADOBE_RGB, ADOBE_RGB_GAMMA))
    with Image.open(payload.file) as image:
        upright = middles(np.asarray(image.convert("RGB").rotate(180).resize((192, 128))).astype(float))
        told = image.getexif()
    assert np.abs(upright - meant).mean() <= 3
    assert np.abs(middles(np.asarray(stored).astype(float)) - meant).mean() > 6
    # Who takes notice of it must not convert it once more.
    assert told.get_ifd(0xA005) == ({} if rules.get("metadata") else {1: "R98"})


@pytest.mark.parametrize(("index", "space"), [("R98", 1), ("R03", 1), ("R98", 65535), (None, 65535)])
def test_a_camera_that_does_not_surely_say_adobe_rgb_means_srgb(made_fit, index, space):
    exif = b"Exif\0\0" + kit.camera_exif(index=index, space=space, orientation=3)
    payload = made_fit(kit.saved(patches(), "JPEG", exif=exif, quality=95))
    assert payload.normalised == ("turned",)


def test_a_profile_goes_before_what_a_camera_says(made_fit):
    exif = b"Exif\0\0" + kit.camera_exif(orientation=3)
    profile = kit.rgb_profile(kit.SRGB, 2.2)
    one, other = (
        made_fit(kit.saved(patches(), "JPEG", exif=told, icc_profile=profile)) for told in (exif, kit_exif(3))
    )
    assert np.array_equal(shown(one.file), shown(other.file))


def test_inks_and_grey_are_not_in_adobe_rgb(made_fit):
    exif = b"Exif\0\0" + kit.camera_exif(orientation=3)
    payload = made_fit(kit.saved(patches().convert("L"), "JPEG", exif=exif))
    assert payload.normalised == ("turned",)
    inks = kit.jpeg_with(kit.cmyk_jpeg(), kit.jpeg_segment(0xE1, exif))
    assert [warning for warning in made_fit(inks).warnings if "profile cannot" in warning] == []


@pytest.mark.parametrize("before", [0, 5000])
def test_an_avif_whose_code_points_say_display_p3_is_shown_so(made_fit, before):
    stored = patches()
    data = kit.avif_behind(kit.saved(stored, "AVIF", quality=95), before)
    at = data.index(b"colrnclx") + 8
    payload = made_fit(data[:at] + (12).to_bytes(2, "big") + data[at + 2 :], webp_quality=95)
    meant = middles(by_hand(np.asarray(stored).astype(float), kit.DISPLAY_P3, None))
    assert np.abs(middles(shown(payload.file)) - meant).mean() <= 3
    assert "colour" in payload.normalised


def kit_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_profile_is_kept_where_bytes_pass(made_fit, name):
    assert made_fit(kit.saved(kit.quarters(), name, icc_profile=kit.rgb_profile(kit.DISPLAY_P3, 2.2))).is_source


def test_an_srgb_profile_changes_no_colour(made_fit):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    payload = made_fit(kit.saved(patches(), "PNG", icc_profile=profile), longest_side_px=96)
    assert payload.normalised == ("resized",)


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", bytes(200), kit.rgb_profile(kit.SRGB, 2.2)[:300], kit.cmyk_profile(), kit.grey_profile(2.2)],
    ids=["words", "zeros", "cut off", "of CMYK", "of grey"],
)
def test_a_profile_that_cannot_be_used_is_left_out_with_a_warning(made_fit, profile):
    payload = made_fit(kit.saved(kit.quarters(), "PNG", icc_profile=profile), longest_side_px=40)
    assert any("colour profile" in warning for warning in payload.warnings)
    with Image.open(payload.file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 3)


ZERO = (0.0, 0.0, 0.0)
RED, GREEN, BLUE = kit.SRGB
IMPOSSIBLE = {
    "one colour alone": ((ZERO, (0.0, 0.5, 0.0), ZERO), "three colours"),
    "two of one colour": ((RED, GREEN, GREEN), "three colours"),
    "too dark": (tuple(tuple(value / 8 for value in primary) for primary in kit.SRGB), "white"),
    "nothing but yellow": ((RED, GREEN, tuple(value / 16 for value in BLUE)), "white"),
}


@pytest.mark.parametrize("gamma", [1.0, 2.2])
@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_profile_whose_primaries_cannot_be_meant_is_left_out_with_a_warning(made_fit, what, gamma):
    primaries, told = IMPOSSIBLE[what]
    profile = kit.rgb_profile(primaries, gamma)
    small, deep = kit.saved(kit.quarters(), "BMP"), kit.tiff(kit.rgb_samples(16).astype(np.uint16), 2)
    for plain, data in [
        (small, kit.saved(kit.quarters(), "TIFF", icc_profile=profile)),
        (deep, kit.tiff_with_profile(deep, profile)),
    ]:
        payload = made_fit(data)
        assert any(told in warning for warning in payload.warnings)
        assert (shown(payload.file) == shown(made_fit(plain).file)).all()


PROPHOTO = ((0.7977, 0.288, 0.0), (0.1352, 0.7119, 0.0001), (0.0313, 0.0001, 0.8249))
HONEST = {
    "Display P3": kit.DISPLAY_P3,
    "Adobe RGB": kit.ADOBE_RGB,
    "BT.2020": kit.BT2020,
    "ProPhoto": PROPHOTO,
    "ACES": ((0.9905, 0.3619, -0.0027), (0.0122, 0.7226, 0.0082), (-0.0385, -0.0845, 0.8194)),
    "channels swapped": (BLUE, RED, GREEN),
    "white of D65": ((0.4124, 0.2126, 0.0193), (0.3576, 0.7152, 0.1192), (0.1805, 0.0722, 0.9505)),
}


@pytest.mark.parametrize("gamma", [1.0, 2.2])
@pytest.mark.parametrize("what", HONEST)
def test_a_profile_that_is_odd_but_honest_is_used(made_fit, what, gamma):
    stored = patches()
    payload = made_fit(kit.saved(stored, "PNG", icc_profile=kit.rgb_profile(HONEST[what], gamma), exif=kit_exif(3)))
    assert payload.normalised == ("turned", "colour")
    assert payload.warnings == ()
    meant = middles(by_hand(np.asarray(stored).astype(float), HONEST[what], gamma))
    assert np.abs(middles(shown(payload.file))[::-1, ::-1] - meant).max() < 6


def test_a_grey_profile_is_used(made_fit):
    values = Image.linear_gradient("L").resize((64, 64))
    data = kit.saved(values, "PNG", icc_profile=kit.grey_profile(1.0))
    payload = made_fit(data, longest_side_px=32)
    meant = srgb_curve(np.asarray(values.resize((32, 32), Image.Resampling.LANCZOS)) / 255.0)
    # Near black a step of light is many steps of what is shown.
    assert np.abs(shown(payload.file)[4:, :, 0] - meant[4:]).max() <= 3
    assert "colour" in payload.normalised


@pytest.mark.parametrize("name", ["TIFF", "JPEG"])
def test_cmyk_is_shown_as_its_profile_says(made_fit, name):
    inks = {"cyan": (255, 0, 0, 0), "magenta": (0, 255, 0, 0), "yellow": (0, 0, 255, 0), "paper": (0, 0, 0, 0)}
    image = Image.new("CMYK", (256, 64))
    for place, ink in enumerate(inks.values()):
        image.paste(ink, (64 * place, 0, 64 * place + 64, 64))
    options = {"quality": 98} if name == "JPEG" else {}
    payload = made_fit(kit.saved(image, name, icc_profile=kit.cmyk_profile(), **options), longest_side_px=128)
    pixels = shown(payload.file)
    for place, ink in enumerate(inks):
        meant = lab_to_srgb(kit.CMYK_LAB[ink])
        assert np.abs(pixels[16, 32 * place + 16] - meant).max() <= 8, ink
    assert "colour" in payload.normalised


def lab_to_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    y = (lab[0] + 16) / 116
    x, z = y + lab[1] / 500, y - lab[2] / 200
    xyz = np.array([value**3 if value > 6 / 29 else (value - 4 / 29) * 3 * (6 / 29) ** 2 for value in (x, y, z)])
    return srgb_curve(D50_TO_LINEAR_SRGB @ (xyz * np.array(kit.D50)))


def test_cmyk_without_a_profile_is_told_to_be_approximate(made_fit):
    payload = made_fit(kit.cmyk_jpeg(), longest_side_px=40)
    assert any("approximate" in warning for warning in payload.warnings)
    with Image.open(payload.file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 12)


@pytest.mark.parametrize("make", [kit.cmyk_jpeg, kit.ycck_jpeg, kit.plain_cmyk_jpeg])
def test_cmyk_in_every_coding_comes_out_in_the_same_colours(made_fit, make):
    with Image.open(made_fit(make(), longest_side_px=40).file) as image:
        assert image.mode == "RGB"
        assert kit.close(kit.corners(image), kit.QUADRANTS, 14)


def test_a_gamma_that_a_png_tells_is_honoured(made_fit):
    linear = [kit.png_chunk(b"gAMA", (100000).to_bytes(4, "big"))]
    usual = [kit.png_chunk(b"gAMA", (45455).to_bytes(4, "big"))]
    samples = np.full((50, 50, 3), 128, np.uint8)
    bright = made_fit(kit.png(samples, 8, 2, chunks=linear), longest_side_px=40)
    assert shown(bright.file)[20, 20] == pytest.approx(srgb_curve(np.full(3, 128 / 255)), abs=1)
    assert "colour" in bright.normalised
    same = made_fit(kit.png(samples, 8, 2, chunks=usual), longest_side_px=40)
    assert shown(same.file)[20, 20] == pytest.approx([128] * 3, abs=0)
    assert "colour" not in same.normalised


# -- depth -----------------------------------------------------------------------------------------


def grey(image: Image.Image) -> np.ndarray:
    return np.asarray(colour.to_eight_bits(image)[0]).astype(int)


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.linspace(0, 65535, 5000).astype(np.uint16).reshape(50, 100)
    assert np.abs(grey(Image.fromarray(values)) - values / 257).max() <= 0.51


def test_large_deep_pictures_are_converted_in_bands_without_a_seam(monkeypatch):
    monkeypatch.setattr(colour, "_BAND_PIXELS", 300)
    values = np.random.default_rng(1).integers(0, 65536, (37, 100)).astype(np.uint16)
    assert np.abs(grey(Image.fromarray(values)) - values / 257).max() <= 0.51


def test_integers_that_hold_sixteen_bits_are_read_as_such_and_others_by_their_range():
    sixteen = Image.fromarray(np.array([[0, 257, 65535]], np.int32))
    assert grey(sixteen).tolist() == [[0, 1, 255]]
    wide = Image.fromarray(np.array([[0, 1 << 30, (1 << 31) - 1]], np.int32))
    assert grey(wide).tolist() == [[0, 128, 255]]
    three_bytes = Image.fromarray(np.array([[0, 1 << 23, (1 << 24) - 1]], np.int32))
    assert grey(three_bytes).tolist() == [[0, 128, 255]]
    signed = Image.fromarray(np.array([[-1000, 0, 1000]], np.int32))
    assert grey(signed).tolist() == [[0, 128, 255]]


def test_floats_from_zero_to_one_are_a_picture_and_anything_else_is_scaled_with_a_warning():
    plain, odd = colour.to_eight_bits(Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)))
    assert np.asarray(plain).tolist() == [[0, 128, 255]]
    assert odd == []
    wide, odd = colour.to_eight_bits(Image.fromarray(np.array([[-1.0, 1.0, 3.0]], np.float32)))
    assert np.asarray(wide).tolist() == [[0, 128, 255]]
    assert "-1 to 3" in odd[0]


def test_floats_that_are_no_numbers_are_black():
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32)
    assert grey(Image.fromarray(values)).tolist() == [[0, 0, 0, 255]]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_grey_value_that_stands_for_transparent_becomes_alpha(made_fit, depth):
    values = np.full((40, 60, 1), 100 << (depth - 8), np.uint32)
    values[:, 30:] = 200 << (depth - 8)
    clear = kit.png_chunk(b"tRNS", (200 << (depth - 8)).to_bytes(2, "big"))
    with Image.open(made_fit(kit.png(values, depth, 0, chunks=[clear]), longest_side_px=30).file) as image:
        alpha = image.convert("RGBA").getchannel("A")
        assert alpha.getpixel((5, 10)) == 255
        assert alpha.getpixel((25, 10)) == 0


def test_a_transparent_palette_becomes_alpha(made_fit):
    with Image.open(made_fit(kit.palette_png(transparent=True), longest_side_px=32).file) as image:
        alpha = image.convert("RGBA").getchannel("A")
        assert [alpha.getpixel(place) for place in ((8, 6), (24, 6), (8, 18), (24, 18))] == [255, 128, 0, 255]


@pytest.mark.parametrize("name", ["GIF", "TIFF", "AVIF", "JPEG2000", "ICO", "TGA", "DDS", "SGI", "QOI"])
def test_alpha_of_other_formats_arrives_in_the_webp(made_fit, name):
    image = kit.quarters(64, 64).convert("RGBA")
    image.paste((0, 0, 0, 0), (32, 32, 64, 64))
    data = kit.saved(image, name)
    with Image.open(made_fit(data, "image.tga" if name == "TGA" else "image").file) as sent:
        assert sent.mode == "RGBA"
        assert sent.getpixel((48, 48))[3] == 0
        assert sent.getpixel((16, 16))[3] == 255


def test_alpha_that_hides_nothing_is_dropped():
    opaque = kit.quarters().convert("RGBA")
    assert colour.to_eight_bits(opaque)[0].mode == "RGB"
    assert colour.to_eight_bits(opaque.convert("LA"))[0].mode == "L"


def test_profiles_that_are_srgb_by_any_name_are_recognised():
    assert colour._is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")))
    assert not colour._is_srgb(ImageCms.ImageCmsProfile(io.BytesIO(kit.rgb_profile(kit.DISPLAY_P3, 2.2))))


@pytest.mark.parametrize(
    ("primaries", "transfer", "is_told"), [(1, 13, False), (2, 2, False), (12, 13, False), (9, 16, True)]
)
def test_colours_told_by_code_points_that_are_not_converted_are_told_of(made_fit, primaries, transfer, is_told):
    data = kit.png(
        kit.rgb_samples().astype(np.uint8), 8, 2, chunks=[kit.png_chunk(b"cICP", bytes([primaries, transfer, 0, 1]))]
    )
    warnings = made_fit(data, longest_side_px=32).warnings
    assert any("code points" in warning for warning in warnings) is is_told


@pytest.mark.parametrize("clear", [None, 1500])
def test_shadows_of_linear_grey_keep_their_steps(made_fit, clear):
    values = np.tile(np.linspace(0, 1500, 256).astype(np.uint16), (64, 1))[..., None]
    chunks = [kit.png_chunk(b"gAMA", (100000).to_bytes(4, "big"))]
    if clear is not None:
        chunks.append(kit.png_chunk(b"tRNS", clear.to_bytes(2, "big")))
    payload = made_fit(kit.png(values, 16, 0, chunks=chunks), longest_side_px=255)
    assert "colour" in payload.normalised
    with Image.open(payload.file) as image:
        grey = np.asarray(image.convert("RGBA"))[..., 0]
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
    meant = srgb_curve(np.linspace(0, 1500 / 65535, 255))
    assert len(np.unique(grey)) > 30
    assert np.abs(grey[10, 2:-8] - meant[2:-8]).max() <= 2
    assert (alpha[:, :200] == 255).all()
    assert (alpha[:, -1] < 128).all() == (clear is not None)
