from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images.kinds import tiff, tiff_samples
from ingestor.images.kinds.tiff import TiffFile
from tests import image_kit as kit

UNPACKED = [(1, 1), *itertools.product((5, 8), (1, 2, 3))]


def loaded(data: bytes) -> TiffFile:
    image = TiffFile(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("packed", "predictor"), UNPACKED)
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("cut", [{}, {"rows": 5}, {"tile": 16}, {"tile": 32}], ids=str)
def test_every_value_is_that_of_the_picture(kind, order, planar, packed, predictor, cut):
    image = loaded(kit.float_tiff(kind, order=order, planar=planar, packed=packed, predictor=predictor, **cut))
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), np.asarray(kit.quarters()))
    assert image.odd == []


@pytest.mark.parametrize("predictor", [2, 3])
def test_differences_are_written_as_libtiff_reads_them(predictor):
    values = np.random.default_rng(3).random((20, 30, 1)).astype(np.float32)
    data = kit.tiff(values, 1, kind=3, packed=8, predictor=predictor)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), values[..., 0])


@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_packed_grey_in_big_endian_order_is_read_here_as_pillow_swaps_it_twice(predictor):
    samples = kit.grey_samples(8)
    image = loaded(kit.tiff((samples / 255).astype("f4"), 1, kind=3, packed=8, predictor=predictor, order=">"))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), samples[..., 0])


GREY = {
    "12 bits": kit.grey_tiff_of_12_bits,
    "16 bits": lambda **options: kit.tiff(kit.grey_samples(16).astype("u2"), 1, **options),
    "16 bits, white is 0": lambda **options: kit.tiff(65535 - kit.grey_samples(16).astype("u2"), 0, **options),
    "16 bits with a sign": lambda **options: kit.tiff(kit.grey_samples(15).astype("i2"), 1, kind=2, **options),
    "32 bits": lambda **options: kit.tiff(kit.grey_samples(8).astype("u4") * 16843009, 1, **options),
    "32 bits with a sign": lambda **options: kit.tiff(kit.grey_samples(8).astype("i4") << 23, 1, kind=2, **options),
    "floats": lambda **options: kit.tiff((kit.grey_samples(8) / 255).astype("f4"), 1, kind=3, **options),
}


@pytest.mark.parametrize("packed", [1, 5, 8])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("make", GREY.values(), ids=GREY)
def test_grey_of_every_depth_is_the_same_in_both_orders_and_in_one_plane(made_fit, make, order, planar, packed):
    with Image.open(made_fit(make(order=order, planar=planar, packed=packed)).file) as image:
        shown = np.asarray(image.convert("L")).astype(int)
    assert np.abs(shown - kit.grey_samples(8)[..., 0].astype(int)).max() <= 4


@pytest.mark.parametrize("photometric", [0, 1])
def test_bytes_in_one_plane_are_not_turned_round(made_fit, photometric):
    stored = kit.grey_samples(8).astype(np.uint8)
    data = kit.tiff(stored if photometric else 255 - stored, photometric, planar=2)
    with Image.open(made_fit(data).file) as image:
        assert kit.close(kit.corners(image), kit.corners(kit.quarters().convert("L")), 4)


def test_bands_have_no_seam(monkeypatch):
    monkeypatch.setattr(tiff_samples, "_BAND_SAMPLES", 500)
    for packed, predictor in UNPACKED:
        image = loaded(kit.float_tiff(packed=packed, predictor=predictor))
        assert np.array_equal(np.asarray(image), np.asarray(kit.quarters()))


def test_one_range_of_all_colours_is_scaled_with_a_warning(made_fit):
    values = np.zeros((40, 60, 3), np.float32)
    values[..., 0], values[..., 1] = -1.0, 3.0
    values[..., 2] = 1.0
    payload = made_fit(kit.tiff(values, 2, kind=3, planar=2))
    assert any("-1 to 3" in warning for warning in payload.warnings)
    with Image.open(payload.file) as image:
        assert kit.close([image.convert("RGB").getpixel((30, 20))], [(0, 255, 128)], 6)


def test_what_is_no_number_is_black_and_does_not_count_for_the_range():
    values = np.ones((2, 2, 3), np.float32)
    values[0, 0], values[0, 1], values[1, 0] = np.nan, np.inf, -np.inf
    image = loaded(kit.tiff(values, 2, kind=3))
    assert np.asarray(image)[..., 1].tolist() == [[0, 0], [0, 255]]
    assert image.odd == []


@pytest.mark.parametrize(("extra", "colour"), [(2, 64), (1, 128)], ids=["beside", "multiplied"])
def test_alpha_is_clipped_and_does_not_count_for_the_range(extra, colour):
    values = np.full((4, 4, 4), 0.25, np.float32)
    values[..., 3] = 0.5
    values[0, 0, 3] = 7.0
    image = loaded(kit.tiff(values, 2, kind=3, more=[(338, extra)]))
    assert image.mode == "RGBA"
    assert image.getpixel((2, 2)) == (colour, colour, colour, 128)
    assert image.getpixel((0, 0))[3] == 255
    assert image.odd == []


def test_grey_has_alpha_too(made_fit):
    values = np.full((40, 60, 2), 0.5, np.float32)
    values[:, 30:, 1] = 0.0
    with Image.open(made_fit(kit.tiff(values, 1, kind=3, more=[(338, 2)])).file) as image:
        assert kit.close([image.getpixel((10, 20))], [(128, 128, 128, 128)], 4)
        assert image.getpixel((50, 20))[3] == 0


def test_a_channel_that_means_nothing_is_left_out():
    values = np.dstack([kit.rgb_samples() / 255, np.zeros((48, 64))]).astype(np.float32)
    for planar in (1, 2):
        image = loaded(kit.tiff(values, 2, kind=3, planar=planar, more=[(338, 0)]))
        assert np.array_equal(np.asarray(image), np.asarray(kit.quarters()))


def test_it_is_turned_as_it_says(made_fit):
    with Image.open(made_fit(kit.float_tiff(more=[(274, 3)])).file) as image:
        assert image.size == (64, 48)
        assert kit.close(kit.corners(image), kit.QUADRANTS[::-1], 12)
    assert loaded(kit.float_tiff(more=[(274, 6)])).size == (48, 64)


def test_a_file_that_is_cut_off_is_waited_for(made_fit):
    with pytest.raises(SourceNotReady) as caught:
        made_fit(kit.float_tiff(packed=8)[:-10])
    assert caught.value.reason == "truncated"


def counting(data: bytes, length: int) -> bytes:
    """The same little-endian TIFF, whose only strip or tile says that it has `length` bytes."""
    at = next(at for tag in (279, 325) if (at := data.find(struct.pack("<2HI", tag, 4, 1))) > 0)
    return data[: at + 8] + struct.pack("<I", length) + data[at + 12 :]


RAW = {
    "colours": lambda: kit.tiff(kit.rgb_samples().astype(np.uint8), 2),
    "a tile": lambda: kit.tiff(kit.rgb_samples().astype(np.uint8), 2, tile=64),
    "16 bits, read here": lambda: kit.tiff(
        with_channels(kit.rgb_samples(16).astype(np.uint16), (2, 0)), 2, more=[(338, (2, 0))]
    ),
    "one bit": lambda: kit.saved(kit.quarters().convert("1"), "TIFF"),
}


@pytest.mark.parametrize("make", RAW.values(), ids=RAW)
def test_raw_pixels_that_are_all_there_are_whole_whatever_their_length_is_told_to_be(made_fit, make):
    data = make()
    payload, plain = made_fit(counting(data, len(data) + 5000)), made_fit(data)
    assert payload.warnings == ("a strip or tile claims more bytes than the file has",)
    assert payload.file.read_bytes() == plain.file.read_bytes()
    assert plain.warnings == ()
    with pytest.raises(SourceNotReady):
        made_fit(counting(data, len(data) + 5000)[:-1])


@pytest.mark.parametrize("tag", [256, 257, 258, 277, 278])
def test_a_size_of_nothing_makes_no_length_right(made_fit, tag):
    data = counting(kit.tiff(kit.rgb_samples().astype(np.uint8), 2), 1_000_000).replace(
        struct.pack("<2H", 284, 3) + struct.pack("<IHH", 1, 1, 0),
        struct.pack("<2H", 284, 3) + struct.pack("<IHH", 1, 2, 0),
    )
    at = data.index(struct.pack("<H", tag), 8)
    with pytest.raises((ImageRejected, SourceNotReady)):
        made_fit(data[: at + 8] + bytes(4) + data[at + 12 :])


@pytest.mark.parametrize("integrity", ["decode", "header"])
def test_only_strictness_tells_of_a_length_beyond_the_end(made_fit, integrity):
    data = counting(RAW["colours"](), 1_000_000)
    assert made_fit(data, integrity=integrity).warnings == ()


def test_packed_pixels_are_not_whole_where_their_length_is_beyond_the_end(made_fit):
    with pytest.raises(SourceNotReady):
        made_fit(counting(kit.tiff(kit.rgb_samples().astype(np.uint8), 2, packed=8), 1_000_000))


@pytest.mark.parametrize("cut", [{"rows": 5}, {"tile": 16}, {"rows": 5, "planar": 2}], ids=str)
def test_of_several_strips_or_tiles_each_has_to_be_there(made_fit, cut):
    data = kit.tiff(kit.rgb_samples().astype(np.uint8), 2, **cut)
    assert made_fit(data).warnings == ()
    with pytest.raises(SourceNotReady):
        made_fit(data[:-1])


@pytest.mark.parametrize("packed", [5, 8])
def test_a_damaged_strip_is_told(made_fit, packed):
    data = bytearray(kit.float_tiff(packed=packed))
    data[-150:-20] = bytes([255]) * 130
    with pytest.raises(ImageRejected) as caught:
        made_fit(bytes(data))
    assert caught.value.reason == "corrupt"


def test_a_strip_that_unpacks_to_too_much_is_read_as_far_as_the_picture_goes(monkeypatch):
    monkeypatch.setattr(kit, "_tiff_packed", lambda data, packed: zlib.compress(data + bytes(50_000_000)))
    assert np.array_equal(np.asarray(loaded(kit.float_tiff(packed=8))), np.asarray(kit.quarters()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"packed": 34925}, "compression 34925"),
        ({"packed": 8, "predictor": 4}, "predictor 4"),
        ({"more": [(266, 2)]}, "fill order 2"),
    ],
)
def test_a_kind_that_is_not_read_is_named(made_fit, options, words, monkeypatch):
    monkeypatch.setattr(kit, "_tiff_predicted", lambda part, predictor: part.tobytes())
    with pytest.raises(ImageRejected, match=words) as caught:
        made_fit(kit.float_tiff(**options))
    assert caught.value.reason == "unsupported"


def test_a_large_strip_that_only_libtiff_unpacks_is_refused(made_fit, monkeypatch):
    monkeypatch.setattr(tiff_samples, "_MOST_UNPACKED_BYTES", 1000)
    with pytest.raises(ImageRejected, match="strips of 36,864 bytes"):
        made_fit(kit.float_tiff(packed=5))


@pytest.mark.parametrize(("packed", "predictor"), [(1, 1), (5, 1), (5, 2), (8, 1), (8, 2)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("cut", [{}, {"rows": 5}, {"tile": 16}], ids=str)
def test_planes_of_whole_numbers_are_read(order, packed, predictor, cut):
    options = {"planar": 2, "order": order, "packed": packed, "predictor": predictor, **cut}
    image = loaded(kit.tiff(kit.rgb_samples(16).astype(np.uint16), 2, **options))
    assert np.array_equal(np.asarray(image), np.asarray(kit.quarters()))
    image = loaded(kit.tiff(kit.grey_and_alpha(), 1, more=[(338, 2)], **options))
    assert np.array_equal(np.asarray(image), kit.grey_and_alpha())


def with_two_that_mean_nothing(samples: np.ndarray, photometric: int) -> bytes:
    return kit.tiff(samples, photometric, planar=2, more=[(338, (0, 0))])


def test_planes_that_mean_nothing_are_left_out(made_fit):
    samples = np.dstack([kit.rgb_samples(), np.zeros((48, 64, 2))]).astype(np.uint8)
    with Image.open(made_fit(with_two_that_mean_nothing(samples, 2)).file) as image:
        assert kit.close(kit.corners(image), kit.QUADRANTS, 12)


INKS = np.asarray(kit.quarters().convert("CMYK"))
COLOURS = {
    "grey of 16 bits": (kit.grey_samples(16).astype(np.uint16), 1),
    "inks of 8 bits": (INKS, 5),
    "inks of 16 bits": (INKS.astype(np.uint16) * 257, 5),
    "colours of 16 bits": (kit.rgb_samples(16).astype(np.uint16), 2),
    "colours of 8 bits": (kit.rgb_samples().astype(np.uint8), 2),
}
CHANNELS = {
    "two selections": (0, 0),
    "a selection": (0,),
    "alpha": (2,),
    "alpha and a selection": (2, 0),
    "alpha behind a selection": (0, 2),
    "multiplied with alpha": (1,),
    "multiplied, and a selection": (1, 0),
}
"""ExtraSamples. The first is not for the first colours: three channels of grey may be colours after all, see below."""


def with_channels(colours: np.ndarray, extra: tuple[int, ...]) -> np.ndarray:
    """Half transparent on the left where it has alpha; what means nothing is noise."""
    white = int(np.iinfo(colours.dtype).max)
    height, width = colours.shape[:2]
    alpha = np.full((height, width, 1), white, colours.dtype)
    alpha[:, : width // 2] = white // 2 + 1
    noise = np.random.default_rng(1).integers(0, white, (height, width, 1), dtype=colours.dtype)
    if 1 in extra:
        colours = np.round(colours * (alpha / white)).astype(colours.dtype)
    return np.concatenate([colours, *(alpha if kind else noise for kind in extra)], axis=-1)


@pytest.mark.parametrize(
    "options", [{"packed": 8, "predictor": 2, "rows": 5}, {"planar": 2, "tile": 16}, {"order": ">"}]
)
@pytest.mark.parametrize(("what", "extra"), [*itertools.product(COLOURS, CHANNELS)][1:])
def test_alpha_is_kept_beside_colours_and_selections_are_left_out(made_fit, what, extra, options):
    (colours, photometric), extra = COLOURS[what], CHANNELS[extra]
    data = kit.tiff(with_channels(colours, extra), photometric, more=[(338, extra)], **options)
    shown = kit.quarters().convert("L") if photometric == 1 else kit.quarters()
    with Image.open(made_fit(data).file) as image:
        assert image.mode == ("RGBA" if any(extra) else "RGB")
        assert kit.close(kit.corners(image.convert("RGB")), kit.corners(shown.convert("RGB")), 4)
        if any(extra):
            assert [image.getpixel(at)[3] for at in ((2, 2), (61, 45))] == [128, 255]


def test_what_was_multiplied_with_less_alpha_than_it_says_is_no_darker_than_white():
    samples = np.full((4, 4, 2), 40000, np.uint16)
    samples[..., 1] = 20000
    assert loaded(kit.tiff(samples, 1, more=[(338, 1)])).getpixel((1, 1)) == (255, 78)


def test_inks_with_alpha_are_shown_by_their_profile(made_fit):
    inks = kit.saved(kit.quarters().convert("CMYK"), "TIFF", icc_profile=kit.cmyk_profile())
    data = kit.tiff_with_profile(kit.tiff(with_channels(INKS, (2,)), 5, more=[(338, 2)]), kit.cmyk_profile())
    payload = made_fit(data)
    assert payload.normalised == ("colour", "webp")
    assert payload.warnings == ()
    with Image.open(payload.file) as image, Image.open(made_fit(inks).file) as opaque:
        assert "icc_profile" not in image.info
        assert kit.close(kit.corners(image.convert("RGB")), kit.corners(opaque), 4)
        assert not kit.close(kit.corners(opaque), kit.QUADRANTS, 12)
        assert image.getpixel((2, 2))[3] == 128


def test_inks_with_alpha_and_a_profile_for_other_channels_are_approximate_with_two_warnings(made_fit):
    data = kit.tiff_with_profile(kit.tiff(with_channels(INKS, (2,)), 5, more=[(338, 2)]), kit.grey_profile(1.8))
    odd = made_fit(data).warnings
    assert len(odd) == 2
    assert "profile cannot be used" in odd[0]
    assert "approximate" in odd[1]


def test_inks_with_alpha_are_turned_in_bands_without_a_seam(monkeypatch):
    monkeypatch.setattr(tiff, "_BAND_PIXELS", 500)
    image = loaded(kit.tiff(with_channels(INKS, (2,)), 5, more=[(338, 2), (274, 3)]))
    assert image.mode == "RGBA"
    assert np.array_equal(np.asarray(image)[::-1, ::-1, :3], np.asarray(kit.quarters()))


@pytest.mark.parametrize("planar", [1, 2])
def test_numbers_of_lab_with_a_sign_are_brought_to_8_bits_around_0(planar):
    samples = np.zeros((1, 5, 3), np.uint16)
    samples[0, :, 0] = 65535
    samples[0, :, 1] = np.array([0, 256, -256, 32767, -32768]).astype(np.uint16)
    told = [pixel[1] for pixel in loaded(kit.tiff(samples, 8, planar=planar)).get_flattened_data()]
    stored = [[255, 0, 0], [255, 1, 0], [255, 255, 0], [255, 127, 0], [255, 128, 0]]
    same = Image.fromarray(np.array([stored], np.uint8), "LAB")
    assert told == [pixel[1] for pixel in same.get_flattened_data()]


def thumbnail_first(*, first: int, second: int) -> bytes:
    """Two pages, 16x12 and 64x48, with these as NewSubfileType."""
    pages = (kit.quarters(16, 12), first), (kit.quarters(), second)
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) as writer:
        for page, kind in pages:
            info = TiffImagePlugin.ImageFileDirectory_v2()
            info[254] = kind
            page.save(writer, "TIFF", tiffinfo=info)
            writer.newFrame()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "size"), [(1, 0, (64, 48)), (0, 1, (16, 12)), (0, 0, (16, 12)), (1, 1, (64, 48))]
)
def test_a_smaller_copy_is_not_taken_for_the_picture(made_fit, first, second, size):
    payload = made_fit(thumbnail_first(first=first, second=second))
    assert (payload.width_px, payload.height_px) == size


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"MM\0\x2b\0\x08\0\0" + bytes(100), "big-endian"),
        (kit.tiff(kit.rgb_samples().astype(np.uint8), 2, more=[(50706, 1)]), "DNG"),
        (kit.tiff(kit.rgb_samples().astype(np.uint8), 2, more=[(254, 1), (330, 8)]), "raw pictures of cameras"),
        (kit.tiff(kit.rgb_samples().astype(np.uint8), 2, packed=34712), "compression 34712"),
        (kit.tiff(kit.rgb_samples().astype(np.uint8), 2, packed=50001), "compression 50001"),
        (kit.tiff(np.zeros((48, 64, 13), np.uint8), 1), "13 channels"),
        (with_two_that_mean_nothing(kit.rgb_samples().astype(np.uint8), 1), "3 planes"),
        (with_two_that_mean_nothing(kit.rgb_samples(16).astype(np.uint16), 1), "3 planes"),
        (kit.tiff(kit.rgb_samples().astype(np.uint8), 6, more=[(530, 2)]), "YCbCr"),
    ],
    ids=[
        "BigTIFF in big-endian order",
        "DNG",
        "previews of a raw picture",
        "JPEG 2000 inside",
        "WebP inside",
        "many channels",
        "planes that may be colours",
        "planes that may be colours, of 16 bits",
        "subsampled and not packed",
    ],
)
def test_a_kind_that_is_not_read_is_told_as_such(made_fit, data, words):
    with pytest.raises(ImageRejected, match=words) as caught:
        made_fit(data)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(("packed", "predictor"), [(1, 1), (5, 2), (8, 1)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("cut", [{}, {"rows": 5}, {"tile": 16}], ids=str)
def test_planes_of_inks_and_of_lab_are_read(order, packed, predictor, cut):
    options = {"planar": 2, "order": order, "packed": packed, "predictor": predictor, **cut}
    inks = np.asarray(kit.quarters().convert("CMYK"))
    image = loaded(kit.tiff(inks.astype(np.uint16) * 257, 5, **options))
    assert image.mode == "CMYK"
    assert np.array_equal(np.asarray(image), inks)
    image = loaded(kit.tiff(kit.lab_samples(), 8, **options))
    assert image.mode == "LAB"
    assert np.array_equal(np.asarray(image), kit.lab_samples())
    # Two channels of Lab have a sign, which Pillow turns round inside.
    assert image.getpixel((5, 5)) == Image.fromarray(kit.lab_samples(), "LAB").getpixel((5, 5))


def test_planes_of_lab_with_alpha_are_not_read(made_fit):
    samples = np.dstack([kit.lab_samples(), np.full((48, 64), 255, np.uint8)])
    with pytest.raises(ImageRejected) as caught:
        made_fit(kit.tiff(samples, 8, planar=2, more=[(338, 2)]))
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("packed", [1, 5])
def test_numbers_of_8_bits_with_a_sign_do_not_wrap_round(packed):
    ramp = np.arange(-128, 128).reshape(16, 16, 1)
    image = loaded(kit.tiff(ramp.astype(np.int8), 1, kind=2, packed=packed))
    assert np.array_equal(np.asarray(image), ramp[..., 0] + 128)


def test_numbers_of_8_bits_with_a_sign_and_none_below_0_go_from_black():
    image = loaded(kit.tiff(np.arange(0, 128).astype(np.int8).reshape(8, 16, 1), 1, kind=2))
    assert image.getextrema() == (0, 255)


def measured(values: np.ndarray, unmeasured: str) -> bytes:
    """Heights, as GDAL writes them."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[42113] = unmeasured
    return kit.saved(Image.fromarray(values), "TIFF", tiffinfo=info)


@pytest.mark.parametrize(
    ("kind", "hole", "told"),
    [
        (np.float32, -9999, "-9999"),
        (np.float32, -3.4028235e38, "-3.4028234663852886e+38"),
        (np.float32, -3.4028235e38, "-3.40282e+38 "),
        (np.float32, np.nan, "nan"),
        (np.int32, -32768, "-32768"),
        (np.int32, 2147483647, "2147483647"),
    ],
)
def test_what_was_not_measured_does_not_count_for_the_range(made_fit, kind, hole, told):
    heights = np.repeat(np.linspace(0, 1000, 64), 48).reshape(64, 48).T.astype(kind)
    heights[:16] = hole
    with Image.open(made_fit(measured(heights, told)).file) as image:
        shown = np.asarray(image.convert("L")).astype(int)
    assert np.abs(shown[20:] - heights[20:].astype(float) * 255 / 1000).max() <= 8
    assert shown[:12].max() <= 8


def test_what_was_not_measured_is_left_out_of_colours_and_not_of_alpha():
    values = np.full((4, 4, 4), 0.25, np.float32)
    values[0, 0, :3] = 7.0
    values[1, 1, 3] = 7.0
    image = loaded(kit.tiff(values, 2, kind=3, more=[(338, 2), (42113, 7)]))
    assert image.odd == []
    assert image.getpixel((0, 0)) == (0, 0, 0, 64)
    assert image.getpixel((1, 1)) == (64, 64, 64, 255)


def test_words_in_place_of_that_number_are_passed_over(made_fit):
    heights = np.full((48, 64), 1000.0, np.float32)
    assert any("1000" in warning for warning in made_fit(measured(heights, "none")).warnings)
