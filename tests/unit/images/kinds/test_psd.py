from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images.kinds import psd
from ingestor.images.kinds.psd import PsdFile
from tests import image_kit as kit

PACKED = pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
SELECTION = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)
GREY = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
SHARES = np.tile(np.linspace(0, 1, 48)[:, None], (1, 64))


def loaded(data: bytes) -> PsdFile:
    image = PsdFile(io.BytesIO(data))
    image.load()
    return image


def refused(made_fit, data: bytes) -> ImageRejected | SourceNotReady:
    with pytest.raises((ImageRejected, SourceNotReady)) as raised:
        made_fit(data)
    return raised.value


@PACKED
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("more", [0, 1, 2])
@pytest.mark.parametrize(("mode", "name"), [(1, "L"), (3, "RGB"), (4, "CMYK"), (8, "L"), (9, "LAB")])
def test_the_colours_are_read_whatever_channels_follow(mode, name, more, bits, packed):
    colours = {"L": [GREY], "RGB": kit.rgb_planes(), "CMYK": [*kit.rgb_planes(), GREY], "LAB": kit.rgb_planes()}[name]
    scale, kind = (257, np.uint16) if bits == 16 else (1, np.uint8)
    planes = [plane.astype(kind) * scale for plane in colours] + [SELECTION.astype(kind)] * more
    image = loaded(kit.psd_of(planes, mode=mode, packed=packed))
    assert image.mode == name
    for shown, meant in zip(image.split(), colours, strict=True):
        assert np.array_equal(np.asarray(shown), 255 - meant if name == "CMYK" else meant)


def test_values_of_16_bits_are_rounded():
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    image = loaded(kit.psd_of([values], mode=1, size=(64, 64)))
    assert np.array_equal(np.asarray(image), np.floor(values * (255 / 65535) + 0.5))


@PACKED
def test_1_is_black_in_a_bitmap_of_any_width(packed):
    black = (np.arange(48 * 61).reshape(48, 61) % 3 == 0) | (np.arange(61) < 5)
    image = loaded(kit.psd_of([np.packbits(black, axis=1)], mode=0, size=(61, 48), packed=packed))
    assert image.mode == "1"
    assert np.array_equal(np.asarray(image), ~black)


@PACKED
@pytest.mark.parametrize("clear", [None, 0, 2])
def test_a_colour_of_the_palette_may_stand_for_transparent(made_fit, clear, packed):
    resources = [] if clear is None else [(1047, struct.pack(">H", clear))]
    payload = made_fit(kit.palette_psd(packed=packed, resources=resources))
    meant = np.asarray(kit.quarters().quantize(4)) != (-1 if clear is None else clear)
    with Image.open(payload.file) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3] == 255, meant)
        assert np.array_equal(np.asarray(image.convert("RGB"))[meant], np.asarray(kit.quarters())[meant])


def test_bands_have_no_seam(monkeypatch):
    monkeypatch.setattr(psd, "_BAND_SAMPLES", 300)
    for packed in (False, True):
        assert np.array_equal(np.asarray(loaded(kit.psd_of(kit.rgb_planes(), packed=packed))), kit.quarters())
        bitmap = np.asarray(loaded(kit.bitmap_psd(packed=packed)))
        assert np.array_equal(bitmap, kit.grey_samples(1)[..., 0] == 1)


def test_its_colour_profile_is_found_among_other_resources(made_fit):
    profile = kit.grey_profile(1.0)
    resources = [(1005, bytes(15)), (1039, profile), (1060, b"<x/>")]
    data = kit.psd_of([GREY], mode=1, resources=resources)
    assert loaded(data).info["icc_profile"] == profile
    assert "colour" in made_fit(data).normalised


def test_resources_that_are_damaged_are_told_of(made_fit):
    data = kit.psd_of(kit.rgb_planes(), resources=[(1005, bytes(16)), (1039, kit.grey_profile(1.0))])
    assert any("resources" in odd for odd in made_fit(data.replace(b"8BIM", b"8XIM", 1)).warnings)


# -- damage, and what is not read ------------------------------------------------------------------


@PACKED
def test_what_is_cut_off_is_truncated(made_fit, packed):
    data = kit.psd_of(kit.rgb_planes(), packed=packed, resources=[(1005, bytes(16))])
    for left in (20, 27, 45, len(data) // 2, len(data) - 1):
        assert refused(made_fit, data[:left]).reason == "truncated"


def test_a_row_that_is_too_short_is_damage(made_fit):
    data = bytearray(kit.psd_of(kit.rgb_planes(), packed=True))
    rows = 26 + 12 + 2 + 2 * 3 * 48
    assert data[rows] == 257 - 32
    data[rows] += 1
    assert refused(made_fit, bytes(data)).reason == "corrupt"


@pytest.mark.parametrize(("at", "value"), [(12, 2), (12, 57), (38, 9)], ids=["channels", "more", "compression"])
def test_what_cannot_be_is_damage(made_fit, at, value):
    data = bytearray(kit.psd())
    data[at : at + 2] = struct.pack(">H", value)
    assert refused(made_fit, bytes(data)).reason == "corrupt"


@pytest.mark.parametrize(
    ("at", "value"), [(22, 32), (22, 1), (24, 7), (24, 5), (38, 2)], ids=["float", "1 bit", "inks", "mode", "zip"]
)
def test_kinds_that_are_not_read_are_unsupported(made_fit, at, value):
    data = bytearray(kit.psd())
    data[at : at + 2] = struct.pack(">H", value)
    assert refused(made_fit, bytes(data)).reason == "unsupported"


def test_no_document_is_so_wide(made_fit):
    data = kit.psd_of([np.zeros((1, 300_001), np.uint8)], mode=1, size=(300_001, 1))
    assert refused(made_fit, data).reason == "corrupt"


# -- transparency ----------------------------------------------------------------------------------


def block(key: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">4s4sI", b"8BIM", key, len(content)) + content + bytes(-len(content) % 4)


DEEP = (
    (block(b"Patt", bytes(5)) + block(b"Lr16", struct.pack(">h", -2)), True),
    (block(b"Lr16", struct.pack(">h", 2)) + block(b"Mt16"), True),
    (block(b"Lr16", struct.pack(">h", 2)) + block(b"FMsk", bytes(12)), False),
    (b"damage, which says nothing", False),
)


@pytest.mark.parametrize(
    ("layers", "is_alpha"),
    [
        *((kit.psd_layers(count), count < 0) for count in (0, 2, -1, -3)),
        (b"", False),
        *((bytes(8) + blocks, is_alpha) for blocks, is_alpha in DEEP),
    ],
)
@pytest.mark.parametrize(("mode", "colours"), [(1, 1), (3, 3)])
def test_the_next_channel_is_alpha_where_the_layers_say_so(mode, colours, layers, is_alpha):
    planes = [*kit.rgb_planes()[:colours], np.full((48, 64), 90, np.uint8), GREY]
    image = loaded(kit.psd_of(planes, mode=mode, layers=layers))
    assert image.mode == {1: "L", 3: "RGB"}[mode] + ("A" if is_alpha else "")
    if is_alpha:
        assert (np.asarray(image)[..., -1] == 90).all()


@PACKED
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", [1, 3])
def test_what_was_blended_with_white_is_as_it_was(mode, bits, packed):
    colours = [GREY] if mode == 1 else kit.rgb_planes()
    white, kind = (1 << bits) - 1, np.uint8 if bits == 8 else np.uint16
    blended = [((plane / 255 * SHARES + 1 - SHARES) * white + 0.5).astype(kind) for plane in colours]
    planes = [*blended, (SHARES * white + 0.5).astype(kind), GREY.astype(kind)]
    image = np.asarray(loaded(kit.psd_of(planes, mode=mode, packed=packed, layers=kit.psd_layers(-1))))
    assert np.array_equal(image[..., -1], np.floor(SHARES * 255 + 0.5))
    assert (image[0] == [*[255] * len(colours), 0]).all()
    # The fewer is left of a colour, the less it is known.
    for row, shown in itertools.product(range(1, 48), range(len(colours))):
        known = 1 if bits == 16 else 1 + 1 / SHARES[row, 0]
        assert np.abs(image[row, :, shown].astype(int) - colours[shown][row]).max() <= known


def test_colours_that_no_blending_leaves_stay_as_they_are():
    planes = [*kit.rgb_planes(), np.full((48, 64), 90, np.uint8)]
    image = loaded(kit.psd_of(planes, layers=kit.psd_layers(-1)))
    assert np.array_equal(np.asarray(image)[..., :3], kit.quarters())


@pytest.mark.parametrize(("mode", "colours"), [(4, 4), (9, 3)])
def test_inks_and_lab_are_shown_on_white_with_a_warning(mode, colours):
    for alpha, is_told in ((255, False), (90, True)):
        planes = [*[GREY] * colours, np.full((48, 64), alpha, np.uint8)]
        image = loaded(kit.psd_of(planes, mode=mode, layers=kit.psd_layers(-1)))
        assert any("white" in odd for odd in image.odd) == is_told
        assert len(image.getbands()) == colours


# -- without a merged picture ----------------------------------------------------------------------


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_document_that_was_saved_without_its_merged_picture_is_told_with_the_cure(made_fit, is_merged):
    version = struct.pack(">I?", 1, is_merged) + bytes(12)
    data = kit.psd_of([np.full((48, 64), 255, np.uint8)] * 3, resources=[(1057, version)])
    if is_merged:
        assert made_fit(data).width_px == 64
    else:
        error = refused(made_fit, data)
        assert error.reason == "unsupported"
        assert "Maximize compatibility" in str(error)
