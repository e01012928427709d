import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingestor.sandbox.errors import ApiError
from ingestor.sandbox.images import MAX_BYTES, ImageFacts, inspect
from tests.unit.sandbox.caller import image

KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def saved(picture, kind, **saving):
    file = io.BytesIO()
    picture.save(file, kind, **saving)
    return file.getvalue()


def refusal(content):
    with pytest.raises(ApiError) as caught:
        inspect(content)
    assert (caught.value.status, caught.value.kind, caught.value.param) == (400, "invalid_request", "file")
    return caught.value.code


def outcome(content):
    """The type of what was taken, or the code of the refusal."""
    try:
        return inspect(content).mime_type
    except ApiError as error:
        return error.code


def png_of_size(width, height):
    """A PNG that claims a size, with hardly any pixels in it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("kind", KINDS)
def test_type_and_size_are_told_by_the_content(kind):
    assert inspect(image(kind, 7, 5)) == ImageFacts(mime_type=KINDS[kind], width_px=7, height_px=5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_colour_mode_of_the_types_is_taken(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert inspect(saved(Image.new(mode, (3, 2)), kind)).mime_type == KINDS[kind]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_an_image_and_each_of_its_pictures_is_decoded(kind):
    pictures = [Image.new("RGB", (8, 8), (step, 0, 0)) for step in (0, 100, 200)]
    content = saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=50)
    assert inspect(content) == ImageFacts(mime_type=KINDS[kind], width_px=8, height_px=8)
    refusal(content[: len(content) - 30])


def test_a_jpeg_that_carries_a_second_picture_is_a_jpeg():
    picture = Image.new("RGB", (8, 8))
    content = saved(picture, "MPO", save_all=True, append_images=[picture])
    assert inspect(content).mime_type == "image/jpeg"


@pytest.mark.parametrize(("width", "height"), [(4096, 1), (1, 4096)])
def test_4096_pixels_are_not_too_many(width, height):
    facts = inspect(saved(Image.new("L", (width, height)), "PNG"))
    assert (facts.width_px, facts.height_px) == (width, height)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(4097, 1), (1, 4097), (10_000, 10_000), (60_000, 60_000)])
def test_more_than_4096_pixels_are_told_by_the_header_before_anything_is_decoded(size):
    assert refusal(png_of_size(*size)) == "value_out_of_range"


def test_ten_million_bytes_are_taken_and_one_more_is_not():
    content = image("PNG")
    padding = MAX_BYTES - len(content)
    assert inspect(content + bytes(padding)).mime_type == "image/png"
    assert refusal(content + bytes(padding + 1)) == "value_out_of_range"


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8", b"text, whatever it is called", b"<svg/>", *(image(kind) for kind in ("GIF", "BMP", "TIFF"))],
    ids=["empty", "two bytes", "text", "svg", "gif", "bmp", "tiff"],
)
def test_other_content_is_no_image_of_the_three_types(content):
    assert refusal(content) == "invalid_format"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_ends_anywhere_before_its_end_is_refused(kind):
    content = image(kind, 16, 16)
    for length in range(len(content)):
        assert refusal(content[:length]) == "invalid_format"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_what_follows_the_end_of_an_image_does_no_harm(kind):
    assert inspect(image(kind) + b"more").mime_type == KINDS[kind]


def test_a_png_with_a_wrong_checksum_is_damaged():
    content = bytearray(image("PNG", 16, 16))
    content[60] ^= 1
    assert refusal(bytes(content)) == "invalid_format"


@given(
    kind=st.sampled_from(sorted(KINDS)),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_a_damaged_image_is_taken_or_refused_but_never_an_accident(kind, damage):
    content = bytearray(image(kind, 24, 24))
    for at, byte in damage:
        content[at % len(content)] = byte
    assert outcome(bytes(content)) in {KINDS[kind], "invalid_format", "value_out_of_range"}


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 "])
)
def test_any_bytes_are_refused_and_never_an_accident(rest, magic):
    assert refusal(magic + rest) in {"invalid_format", "value_out_of_range"}
