from __future__ import annotations

import errno

import pytest
from PIL import Image, UnidentifiedImageError

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import damage
from ingestor.images.source import opened
from ingestor.policy.formats import BY_NAME
from tests import image_kit as kit

WHOLE = {"JPEG": kit.jpeg, "PPM": lambda: kit.saved(kit.quarters(), "PPM"), "PSD": kit.psd}


def told(write, name: str, error: Exception) -> ImageRejected | SourceNotReady:
    with (
        opened(write(WHOLE[name](), "a.img"), 10**9) as source,
        pytest.raises((ImageRejected, SourceNotReady)) as caught,
        damage.told(source, BY_NAME[name]),
    ):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("PPM", OSError("image file is truncated (12 bytes not processed)"), "truncated"),
        # A JPEG says itself where it ends, and this one does.
        ("JPEG", OSError("image file is truncated (12 bytes not processed)"), "corrupt"),
        ("PPM", ValueError("Reached EOF while reading header: unexpected end of file"), "truncated"),
        ("PSD", OSError("unknown mode"), "unsupported"),
        ("PSD", NotImplementedError("DXT7"), "unsupported"),
        ("PSD", OSError("unknown PCX mode"), "unsupported"),
        ("PSD", SyntaxError("unrecognized image mode"), "unsupported"),
        ("JPEG", SyntaxError("bad quantization table marker"), "corrupt"),
        ("PPM", UnidentifiedImageError("cannot identify image file"), "corrupt"),
        ("PPM", IndexError("tuple index out of range"), "corrupt"),
        ("PPM", RuntimeError(""), "corrupt"),
        ("PPM", OSError(errno.EIO, "Input/output error"), "busy"),
        ("PPM", ValueError("Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK"), "decompression_bomb"),
        ("PPM", Image.DecompressionBombError("exceeds the limit"), "decompression_bomb"),
    ],
)
def test_what_a_decoder_says_gets_its_meaning(write, name, error, reason):
    assert told(write, name, error).reason == reason


def test_too_little_memory_is_not_taken_for_damage(write):
    with (
        opened(write(kit.jpeg(), "a"), 10**9) as source,
        pytest.raises(MemoryError),
        damage.told(source, BY_NAME["JPEG"]),
    ):
        raise MemoryError


def test_an_error_that_has_its_meaning_already_passes(write):
    error = ImageRejected("animated", "moves")
    with (
        opened(write(kit.jpeg(), "a"), 10**9) as source,
        pytest.raises(ImageRejected) as caught,
        damage.told(source, BY_NAME["JPEG"]),
    ):
        raise error
    assert caught.value is error


def test_a_depth_of_tga_that_is_not_read_is_told_as_such(made_fit):
    data = bytearray(kit.saved(kit.quarters(), "TGA"))
    data[16] = 15
    with pytest.raises(ImageRejected) as caught:
        made_fit(bytes(data), "image.tga")
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("longest_side_px", [4096, 100])
def test_a_frame_within_the_data_of_a_jpeg_is_damage_and_no_kind(made_fit, options, longest_side_px):
    data = kit.jpeg(kit.photograph(300, 200), **options)
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    frame = kit.jpeg_segment(0xCE, bytes(15))
    with pytest.raises(ImageRejected) as caught:
        made_fit(data[:middle] + frame + data[middle + len(frame) :], longest_side_px=longest_side_px)
    assert caught.value.reason == "corrupt"


@pytest.mark.parametrize("kind", [b"\xc5", b"\xcb", b"\xce"], ids=["hierarchical", "lossless", "progressive"])
def test_a_jpeg_of_a_kind_that_is_not_read_is_unsupported(made_fit, kind):
    data = kit.jpeg()
    frame = data.index(b"\xff\xc0")
    with pytest.raises(ImageRejected) as caught:
        made_fit(data[: frame + 1] + kind + data[frame + 2 :])
    assert caught.value.reason == "unsupported"
