from __future__ import annotations

import pytest
from PIL import Image

from ingestor.errors import ImageRejected
from ingestor.images import encode, fitting
from ingestor.images.attached import Attached
from ingestor.images.fitting import Limits
from ingestor.images.sampling import FEW_TILES, Foresight
from ingestor.images.style import JpegStyle
from ingestor.policy import sizing
from ingestor.policy.sizing import Size
from tests import image_kit as kit

NOTHING = Attached()


def limits(max_bytes: int, quality: int = 90) -> Limits:
    return Limits(max_bytes=max_bytes, quality=quality)


@pytest.mark.parametrize("image", [kit.photograph(1500, 1000, 3), kit.noise(1200, 900), kit.noise(900, 700, "RGBA")])
@pytest.mark.parametrize("quality", [30, 60, 85])
def test_a_size_is_foreseen_within_a_few_percent(image, quality):
    foreseen = Foresight(image, encode.webp_for_little_room).size_bytes(quality)
    assert foreseen == pytest.approx(len(encode.webp_for_little_room(image, quality)), rel=0.07)


def test_a_small_picture_is_its_own_sample():
    image = kit.photograph(200, 150)
    assert Foresight(image, encode.webp).size_bytes(80, tiles=FEW_TILES) == len(encode.webp(image, 80))


def test_what_fits_has_the_wanted_quality_and_is_encoded_once():
    fitted = fitting.as_webp(kit.photograph(800, 600), limits(10_000_000), NOTHING, "a")
    assert (fitted.quality, fitted.full_encodes, fitted.size) == (90, 1, Size(800, 600))


def test_quality_goes_down_before_size_does():
    image = kit.noise(600, 400)
    fitted = fitting.as_webp(image, limits(100_000), NOTHING, "a")
    assert fitted.size == Size(600, 400)
    assert 20 <= fitted.quality < 90
    assert 90_000 <= len(fitted.data) <= 100_000
    smaller = fitting.as_webp(image, limits(30_000), NOTHING, "a")
    assert smaller.size.pixels < image.width * image.height
    assert len(smaller.data) <= 30_000


def test_a_wanted_quality_below_the_lowest_is_not_exceeded():
    fitted = fitting.as_webp(kit.noise(600, 400), limits(20_000, quality=5), NOTHING, "a")
    assert fitted.quality <= 5
    assert len(fitted.data) <= 20_000


def test_alpha_without_end_still_fits():
    fitted = fitting.as_webp(kit.noise(400, 300, "RGBA"), limits(60_000), NOTHING, "a")
    assert len(fitted.data) <= 60_000


def test_metadata_count():
    carried = Attached(exif=kit.exif(1) + bytes(8000))
    fitted = fitting.as_webp(kit.noise(600, 400), limits(100_000), carried, "a")
    assert 90_000 <= len(fitted.data) <= 100_000
    assert bytes(8000) in fitted.data


def test_a_picture_whose_tiles_mislead_fits_all_the_same(monkeypatch):
    honest = Foresight.size_bytes
    monkeypatch.setattr(Foresight, "size_bytes", lambda *given, **more: honest(*given, **more) / 1.5)
    fitted = fitting.as_webp(kit.noise(600, 400), limits(100_000), NOTHING, "a")
    assert len(fitted.data) <= 100_000
    assert fitted.full_encodes > 1


def test_what_cannot_fit_is_told_and_does_not_run_for_ever():
    with pytest.raises(ImageRejected) as caught:
        fitting.as_webp(kit.noise(60, 40), limits(40), NOTHING, "a")
    assert caught.value.reason == "cannot_fit"


def noise_but_for_its_samples(side: int, mode: str = "RGB") -> Image.Image:
    """Flat wherever a sample is taken, so that far too few bytes are foreseen."""
    image = kit.noise(side, side, mode)
    for box in sizing.tile_boxes(Size(side, side)):
        image.paste((250,) * len(mode), box)
    return image


def flat_but_for_its_samples(side: int) -> Image.Image:
    """Noise only where a sample is taken, so that far too many bytes are foreseen."""
    image = Image.new("RGB", (side, side), (250, 250, 250))
    for box in sizing.tile_boxes(Size(side, side)):
        image.paste(kit.noise(box[2] - box[0], box[3] - box[1]), box)
    return image


def noisy_margins(side: int) -> Image.Image:
    """A white page, scanned with a grainy strip on either side."""
    image = Image.new("RGB", (side, side), (250, 250, 250))
    for left in (0, side - side // 16):
        image.paste(kit.noise(side // 16, side, seed=left), (left, 0))
    return image


@pytest.mark.parametrize(
    ("image", "max_bytes", "quality"),
    [
        (noise_but_for_its_samples(1100), 500_000, 90),
        (noise_but_for_its_samples(1100), 600_000, 100),
        (noise_but_for_its_samples(1100), 100_000, 90),
        (noise_but_for_its_samples(1100), 20_000, 100),
        (noise_but_for_its_samples(1100), 2_000, 100),
        (noise_but_for_its_samples(700, "RGBA"), 200_000, 90),
        (flat_but_for_its_samples(1600), 60_000, 90),
        (noisy_margins(1600), 100_000, 90),
        (noisy_margins(1600), 20_000, 90),
        (kit.noise(500, 400), 5_000, 20),
        (kit.noise(500, 400), 20_000, 20),
        (kit.noise(500, 400), 50_000, 20),
        (kit.noise(500, 400), 1_000, 90),
        (kit.noise(4000, 1), 1_000, 90),
    ],
)
def test_the_room_is_used_however_wrong_the_foresight_was(image, max_bytes, quality):
    fitted = fitting.as_webp(image, limits(max_bytes, quality), NOTHING, "a")
    assert len(fitted.data) <= max_bytes
    assert fitted.quality <= quality
    as_wanted = (fitted.size, fitted.quality) == (Size(*image.size), quality)
    assert as_wanted or len(fitted.data) >= 0.9 * max_bytes
    assert fitted.full_encodes <= fitting.MOST_ENCODES


def test_all_pixels_are_kept_where_less_quality_is_enough():
    fitted = fitting.as_webp(noise_but_for_its_samples(1100), limits(500_000), NOTHING, "a")
    assert fitted.size == Size(1100, 1100)


@pytest.mark.parametrize("max_bytes", [60, 100, 1_000])
def test_what_has_a_size_that_fits_is_never_refused(max_bytes):
    fitted = fitting.as_webp(noise_but_for_its_samples(1100), limits(max_bytes, 100), NOTHING, "a")
    assert len(fitted.data) <= max_bytes


def test_the_same_picture_ends_as_the_same_bytes():
    one, other = (fitting.as_webp(noise_but_for_its_samples(900), limits(20_000), NOTHING, "a").data for _ in range(2))
    assert one == other


def test_a_jpeg_that_would_not_fit_is_none():
    image = kit.noise(600, 400)
    assert fitting.as_jpeg(image, limits(20_000), NOTHING, JpegStyle()) is None
    assert fitting.as_jpeg(image, limits(2_000_000), NOTHING, JpegStyle()).format == "JPEG"
    assert fitting.as_jpeg(kit.noise(60, 40, "RGBA"), limits(2_000_000), NOTHING, JpegStyle()) is None


def test_a_jpeg_is_tried_in_its_own_style_first_and_then_as_wanted():
    image = kit.noise(300, 200)
    finest = JpegStyle(tables=((1,) * 64, (1,) * 64))
    plain = encode.jpeg(image, 90, JpegStyle())
    both = fitting.as_jpeg(image, limits(len(plain)), NOTHING, finest)
    assert both.data == plain
    assert fitting.as_jpeg(image, limits(2_000_000), NOTHING, finest).data == encode.jpeg(image, 90, finest)


def test_a_png_that_would_not_fit_is_none():
    image = kit.noise(300, 200)
    assert fitting.as_png(image, limits(100_000), NOTHING) is None
    assert fitting.as_png(image, limits(1_000_000), NOTHING).format == "PNG"


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "PCX"])
def test_a_picture_of_few_colours_is_sent_without_loss(made_fit, name):
    drawing = kit.photograph(160, 120).quantize(24)
    payload = made_fit(kit.saved(drawing, name))
    assert payload.normalised == ("webp",)
    with kit.Image.open(payload.file) as sent:
        assert sent.convert("RGB").tobytes() == drawing.convert("RGB").tobytes()


def test_few_colours_that_do_not_fit_without_loss_are_sent_with_it(made_fit):
    payload = made_fit(kit.saved(kit.noise(300, 200).quantize(256), "GIF"), max_bytes=20_000)
    assert payload.size_bytes <= 20_000
    assert payload.mime_type == "image/webp"


def test_a_lossless_webp_is_turned_without_loss(made_fit):
    photo = kit.photograph(160, 120)
    payload = made_fit(kit.saved(photo, "WEBP", lossless=True, exif=kit.exif(6)))
    assert payload.normalised == ("turned",)
    with kit.Image.open(payload.file) as sent:
        assert sent.tobytes() == photo.transpose(kit.Image.Transpose.ROTATE_270).tobytes()
