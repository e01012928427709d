from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import encode, verify
from ingestor.images.fitting import Fitted
from ingestor.images.kinds import webp
from ingestor.images.style import JpegStyle
from ingestor.policy.sizing import Size
from tests import image_kit as kit

WRITERS = {
    "JPEG": lambda image: encode.jpeg(image, 90, JpegStyle()),
    "PNG": encode.png,
    "WEBP": lambda image: encode.webp(image, 90),
}


def fitted(name: str, data: bytes, size: tuple[int, int]) -> Fitted:
    return Fitted(format=name, data=data, size=Size(*size), quality=90, full_encodes=1)


def unverified(result: Fitted, meant: Image.Image) -> str:
    with pytest.raises(ImageRejected) as caught:
        verify.check(result, verify.look_of(meant), "a.jpg")
    assert caught.value.reason == "unverified"
    return str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 48), (1100, 1030)])
def test_what_was_meant_is_recognised(name, size):
    image = kit.photograph(1100, 1030).resize(size)
    verify.check(fitted(name, WRITERS[name](image), size), verify.look_of(image), "a.jpg")


def test_noise_at_the_lowest_quality_is_recognised_after_it_was_made_smaller_once_more():
    image = kit.noise(128, 128)
    small = image.resize((83, 83))
    verify.check(fitted("WEBP", encode.webp(small, 1), (83, 83)), verify.look_of(image), "a.jpg")


@pytest.mark.parametrize(
    "image",
    [
        kit.noise(9, 9),
        kit.noise(300, 200),
        kit.noise(300, 200).point(lambda value: 255 * (value > 127)),
        kit.noise(100, 80, "RGBA"),
        Image.new("RGBA", (50, 50), (255, 0, 0, 0)),
        kit.noise(2, 2, "L"),
    ],
)
@pytest.mark.parametrize("quality", [0, 1, 20, 90])
@pytest.mark.parametrize("write", [encode.webp, encode.webp_for_little_room])
def test_the_strangest_picture_at_the_lowest_quality_is_recognised(image, quality, write):
    data = write(image, quality)
    verify.check(fitted("WEBP", data, image.size), verify.look_of(image), "a.jpg")


@pytest.mark.parametrize("name", WRITERS)
def test_another_picture_is_not(name):
    image = kit.photograph(200, 150, 1)
    other = kit.photograph(200, 150, 2)
    assert "pixels" in unverified(fitted(name, WRITERS[name](other), image.size), image)


@pytest.mark.parametrize("name", WRITERS)
def test_one_lost_block_is_seen(name):
    image = Image.new("RGB", (640, 480), (200, 180, 160))
    holed = image.copy()
    holed.paste((0, 0, 0), (320, 240, 336, 256))
    assert "pixels" in unverified(fitted(name, WRITERS[name](holed), image.size), image)


@pytest.mark.parametrize("name", WRITERS)
def test_another_size_is_not_what_was_meant(name):
    image = kit.photograph(200, 150)
    assert "100x75" in unverified(fitted(name, WRITERS[name](image.resize((100, 75))), image.size), image)


@pytest.mark.parametrize("name", WRITERS)
def test_another_format_or_half_a_file_is_not_what_was_meant(name):
    image = kit.photograph(200, 150)
    other = next(writer for writer in WRITERS if writer != name)
    unverified(fitted(name, WRITERS[other](image), image.size), image)
    data = WRITERS[name](image)
    unverified(fitted(name, data[: len(data) // 2], image.size), image)


def test_lost_transparency_is_seen():
    image = Image.new("RGBA", (64, 64), (250, 250, 250, 0))
    assert "pixels" in unverified(fitted("WEBP", encode.webp(image.convert("RGB"), 90), image.size), image)


@pytest.mark.parametrize("size", [(1025, 1031), (2048, 1024)])
@pytest.mark.parametrize("colour", ["red", "lime", "blue", "white", "black", "#808000"])
@pytest.mark.parametrize("quality", [1, 90])
def test_planes_look_like_the_pixels_that_are_made_of_them(size, colour, quality):
    image = kit.noise(*size).point(lambda value: 255 * (value > 127))
    image.paste(kit.photograph(*size), (size[0] // 3, 0))
    image.paste(colour, (0, 0, -(-size[0] // 2), -(-size[1] // 2)))
    data = encode.webp(image, quality)
    planes = webp.read_back(data, from_afar=True)
    assert isinstance(planes, webp.Planes)
    with Image.open(io.BytesIO(data)) as pixels:
        difference = verify.look_of(pixels) - verify._look(planes, 64, 64)
    assert np.abs(difference).max() < 20


@pytest.mark.parametrize(
    ("mode", "write"), [("RGBA", encode.webp), ("RGB", encode.lossless_webp), ("RGBA", encode.lossless_webp)]
)
def test_alpha_and_lossless_pictures_are_read_back_as_pixels(mode, write):
    image = kit.photograph(70, 50).convert(mode)
    if mode == "RGBA":
        image.putalpha(kit.photograph(70, 50, 2).convert("L"))
    data = write(image, 90) if write is encode.webp else write(image)
    read = webp.read_back(data, from_afar=True)
    assert isinstance(read, Image.Image)
    with Image.open(io.BytesIO(data)) as pixels:
        assert read.tobytes() == pixels.convert("RGBA").tobytes()


def test_half_a_webp_is_not_read_back():
    with pytest.raises(OSError, match="cannot be decoded"):
        webp.read_back(encode.webp(kit.photograph(200, 150), 90)[:-2000], from_afar=True)


def test_averages_of_light_are_brighter_than_what_was_meant(made_fit):
    stripes = np.zeros((700, 900, 3), np.uint8)
    stripes[::2] = (255, 0, 0)
    stripes[:, ::3] = (0, 0, 255)
    payload = made_fit(kit.saved(Image.fromarray(stripes), "PNG"), max_bytes=400, light="linear")
    assert payload.width_px < 900
