from __future__ import annotations

import io

import pytest
from PIL import Image

from ingestor.images import encode
from ingestor.images.attached import Attached
from ingestor.images.style import JpegStyle
from tests import image_kit as kit

WRITERS = {
    "JPEG": lambda image, carried: encode.jpeg(image, 90, JpegStyle(), carried),
    "PNG": encode.png,
    "WEBP": lambda image, carried: encode.webp(image, 90, carried),
    "lossless WEBP": encode.lossless_webp,
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_pixels_give_the_same_bytes(name):
    image = kit.photograph(200, 150)
    assert WRITERS[name](image, Attached()) == WRITERS[name](image.copy(), Attached())


@pytest.mark.parametrize("name", WRITERS)
def test_metadata_arrive_as_they_were_given(name):
    carried = Attached(exif=kit.exif(6, make="Camera"), xmp=kit.XMP)
    with Image.open(io.BytesIO(WRITERS[name](kit.quarters(), carried))) as image:
        assert image.getexif()[0x0112] == 6
        assert image.getexif()[0x010F] == "Camera"
        xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
        assert xmp == kit.XMP


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_written_that_was_not_given(name):
    image = kit.quarters()
    image.info.update(icc_profile=kit.rgb_profile(kit.SRGB, 2.2), exif=kit.exif(6), comment=b"SECRET", dpi=(72, 72))
    data = WRITERS[name](image.copy(), Attached())
    with Image.open(io.BytesIO(data)) as written:
        assert "icc_profile" not in written.info
        assert not written.getexif()


def test_a_jpeg_of_quality_90_is_as_like_its_original_as_such_a_webp():
    photo = kit.photograph(900, 600, 31)
    meant = kit.luma(kit.np.asarray(photo))

    def likeness(data: bytes) -> float:
        return kit.ssim(kit.luma(kit.np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))), meant)

    jpeg = likeness(encode.jpeg(photo, 90, JpegStyle()))
    assert jpeg >= 0.98
    assert jpeg >= likeness(encode.webp(photo, 90)) - 0.005
    assert likeness(encode.webp_for_little_room(photo, 90)) >= likeness(encode.webp(photo, 90))


def test_a_large_picture_of_fine_texture_is_written_where_the_quick_way_has_no_room_for_it():
    texture, tile = Image.new("RGB", (4096, 4096)), kit.photograph(512, 512)
    for place in range(64):
        texture.paste(tile, (place % 8 * 512, place // 8 * 512))
    with pytest.raises(ValueError, match="encoding error"):
        texture.save(io.BytesIO(), "WEBP", quality=95, method=encode.WEBP_METHOD)
    with Image.open(io.BytesIO(encode.webp(texture, 95))) as written:
        assert written.size == (4096, 4096)
    with pytest.raises(ValueError, match="encoding error"):
        encode.webp(Image.new("RGB", (17000, 1)), 95)
