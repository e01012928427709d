from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingestor.images import source
from ingestor.images.kinds import jpeg, jpeg_markers, webp
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.pixels.samples import Picture, Samples
from ingestor.policy.sizing import Size
from tests import image_kit as kit

sides = st.integers(1, 20_000)


@given(st.builds(Size, sides, sides), st.integers(1, 5000))
def test_the_scale_leaves_no_side_smaller_than_wanted(size, longest):
    wanted = Size(max(1, min(size.width, longest)), max(1, min(size.height, longest)))
    scale = jpeg.scale(size, wanted)
    assert scale.shown[0] >= wanted.width
    assert scale.shown[1] >= wanted.height
    assert scale.decoded.width - scale.shown[0] < 1
    assert scale.decoded.height - scale.shown[1] < 1


def test_a_picture_that_keeps_its_size_is_not_scaled():
    assert jpeg.scale(Size(4000, 3000), Size(4000, 3000)).decoded == Size(4000, 3000)


@pytest.mark.parametrize("wanted", [(700, 467), (500, 333), (300, 200), (100, 67)])
def test_decoding_gives_the_size_that_was_foreseen(wanted):
    data = kit.jpeg(kit.photograph(1501, 1001))
    scale = jpeg.scale(Size(1501, 1001), Size(*wanted))
    image, odd = jpeg.decode(Walk(data), scale.decoded, strict=True)
    assert image.size == (scale.decoded.width, scale.decoded.height)
    assert image.width < 1501
    assert odd == []


def test_a_scaled_decode_keeps_everything_in_its_place(made_fit):
    """A thin line at a known place: sizes that are no multiple of eight would shift it."""
    image = Image.new("RGB", (1501, 1001), "white")
    image.paste((0, 0, 0), (1200, 0, 1204, 1001))
    sent = made_fit(kit.jpeg(image, quality=98, subsampling=0), longest_side_px=600)
    with Image.open(sent.file) as picture:
        darkness = 255 - np.asarray(picture.convert("L")).astype(float).mean(axis=0)
    darkness[darkness < 20] = 0
    centre = (darkness * (np.arange(len(darkness)) + 0.5)).sum() / darkness.sum()
    assert centre == pytest.approx(1202 * 600 / 1501, abs=0.1)


READ_HERE = [s for s in kit.SAMPLES if s.format == "JPEG" and s.make is not kit.lossless_jpeg]


@pytest.mark.parametrize("sample", READ_HERE, ids=lambda sample: sample.id)
def test_the_strict_decoder_sees_what_pillow_sees(sample):
    data = sample.make()
    image, _ = jpeg.decode(Walk(data), Size(*sample.size), strict=True)
    with Image.open(io.BytesIO(data)) as other:
        difference = np.asarray(image.convert("RGB")).astype(int) - np.asarray(other.convert("RGB")).astype(int)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("sample", READ_HERE, ids=lambda sample: sample.id)
@pytest.mark.parametrize("strict", [True, False])
def test_a_file_that_is_not_held_has_the_same_pixels(sample, strict, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_HELD_BYTES", 0)
    path = tmp_path / "a.jpg"
    path.write_bytes(sample.make())
    wanted = Size(-(-sample.size[0] // 2), -(-sample.size[1] // 2))
    picture, odd = jpeg.samples(Walk(path.read_bytes()), wanted, strict=strict)
    with source.opened(path, 300_000_000) as file:
        passed, told = jpeg.samples_of(file, wanted, strict=strict)
    assert (passed.mode, passed.size, told) == (picture.mode, picture.size, odd)
    assert _pixels(passed) == _pixels(picture)


def _pixels(picture: Picture) -> bytes:
    return (picture.image() if isinstance(picture, Samples) else picture).tobytes()


def test_damage_to_a_file_that_is_not_held_is_found_too(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_HELD_BYTES", 0)
    data = kit.jpeg(kit.photograph(800, 600))
    path = tmp_path / "a.jpg"
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 4096 :])
    with source.opened(path, 300_000_000) as file, pytest.raises(ValueError, match="data"):
        jpeg.samples_of(file, Size(800, 600), strict=True)


def test_the_frame_that_is_decoded_is_the_one_that_was_checked(tmp_path, monkeypatch):
    # Of one that is coded without loss the library writes more than it has memory for.
    monkeypatch.setattr(source, "_HELD_BYTES", 0)
    data, other = kit.jpeg(kit.photograph(800, 600)), kit.lossless_jpeg()
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    start = jpeg_markers.start_of_data(Walk(data))
    seen = []

    def pixels(passing, *given, **more):
        path.write_bytes(other + bytes(len(data) - len(other)))
        seen.append(passing[:start])
        raise ValueError("enough seen")

    monkeypatch.setattr(jpeg, "_pixels", pixels)
    with source.opened(path, 300_000_000) as file, pytest.raises(jpeg.NotReadHere, match="without loss"):
        jpeg.samples_of(file, Size(100, 75), strict=False)
    assert seen == [data[:start]]


@pytest.mark.parametrize("held_bytes", [0, 4_000_000])
def test_what_is_odd_is_not_decoded_in_the_same_way_again(held_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_HELD_BYTES", held_bytes)
    data = kit.jpeg(kit.photograph(800, 600))
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:-2] + bytes(20) + data[-2:])
    decoded = jpeg._pixels
    asked = []

    def pixels(*given, strict):
        asked.append(strict)
        return decoded(*given, strict=strict)

    monkeypatch.setattr(jpeg, "_pixels", pixels)
    with source.opened(path, 300_000_000) as file:
        _, odd = jpeg.samples_of(file, Size(800, 600), strict=True)
    assert "extraneous" in odd[0]
    assert asked == [True, False]


def test_what_is_no_jpeg_is_not_read_here():
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"nothing"):
        with pytest.raises((jpeg.NotReadHere, ValueError)):
            jpeg.check(Walk(data))


def test_webp_is_decoded_as_pillow_does():
    for image in (kit.photograph(90, 60), kit.noise(50, 40, "RGBA")):
        data = kit.saved(image, "WEBP", quality=80)
        with Image.open(io.BytesIO(data)) as other:
            assert webp.decode(data).convert(other.mode).tobytes() == other.tobytes()


def test_a_broken_webp_is_an_error():
    data = kit.saved(kit.photograph(90, 60), "WEBP")
    for broken in (data[: len(data) // 2], b"RIFF\0\0\0\0WEBP", b""):
        with pytest.raises((OSError, ValueError)):
            webp.decode(broken)
