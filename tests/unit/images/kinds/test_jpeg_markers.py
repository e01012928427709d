from __future__ import annotations

import pytest
from PIL import Image

from ingestor.images.kinds import jpeg_markers
from ingestor.images.kinds.jpeg_markers import Walk
from tests import image_kit as kit


def markers(data: bytes) -> list[int]:
    return [segment.marker for segment in jpeg_markers.segments(data)]


def test_the_segments_of_a_picture_end_with_its_own_end():
    first = kit.jpeg()
    assert markers(first)[0] == jpeg_markers.APP0
    assert markers(first)[-1] == jpeg_markers.EOI
    assert markers(first + kit.jpeg()) == markers(first)
    assert jpeg_markers.end_of_picture(Walk(first + kit.jpeg())) == len(first)


def test_an_embedded_thumbnail_does_not_end_the_picture():
    data = kit.jpeg_with(kit.jpeg(), kit.jpeg_segment(0xE1, b"Exif\0\0" + kit.jpeg()))
    assert jpeg_markers.end_of_picture(Walk(data)) == len(data)


def test_a_file_that_is_cut_off_has_no_end():
    data = kit.jpeg(kit.photograph(200, 100))
    for length in (2, 3, 4, 30, len(data) // 2, len(data) - 1):
        assert jpeg_markers.end_of_picture(Walk(data[:length])) is None


def test_restart_markers_belong_to_the_scan():
    data = kit.jpeg(kit.photograph(200, 100), restart_marker_blocks=3)
    assert b"\xff\xd3" in data
    assert markers(data).count(jpeg_markers.SOS) == 1


def test_the_plain_form_shows_the_same_picture():
    data = kit.jpeg_with(kit.jpeg(kit.photograph(200, 100)), kit.jpeg_segment(0xE1, b"Exif\0\0" + kit.exif(6)))
    plain = jpeg_markers.plain(Walk(data))
    assert len(plain) < len(data)
    assert b"Exif" not in plain
    show = kit.Image.open
    assert show(kit.io.BytesIO(plain)).tobytes() == show(kit.io.BytesIO(data)).tobytes()


def test_scans_are_counted_up_to_a_limit():
    assert jpeg_markers.scan_count(Walk(kit.jpeg()), 200) == 1
    progressive = kit.jpeg(kit.photograph(200, 100), progressive=True)
    assert jpeg_markers.scan_count(Walk(progressive), 200) == 10
    assert jpeg_markers.scan_count(Walk(progressive), 4) == 4
    # Two bytes that look like a scan, within metadata, count only until there is reason to look closely.
    lookalike = kit.jpeg_with(kit.jpeg(), kit.jpeg_segment(0xEB, b"\xff\xda" * 300))
    assert jpeg_markers.scan_count(Walk(lookalike), 200) == 1


def test_a_whole_picture_lacks_no_scans():
    assert not jpeg_markers.lacks_scans(Walk(kit.jpeg(kit.photograph(200, 100), progressive=True)))
    assert not jpeg_markers.lacks_scans(Walk(kit.jpeg()))


def test_a_sequential_picture_lacks_scans_where_a_component_has_none():
    data = kit.jpeg(kit.photograph(200, 100))
    scan = data.index(b"\xff\xda")
    assert data[scan + 4] == 3
    alone = data[:scan] + kit.jpeg_segment(0xDA, b"\1\1\0\0\x3f\0") + data[scan + 14 :]
    assert jpeg_markers.lacks_scans(Walk(alone))
    assert not jpeg_markers.lacks_scans(Walk(data))
    assert not jpeg_markers.lacks_scans(Walk(kit.lossless_jpeg()))


LAYOUTS = {
    "4:2:0": {},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 7},
    "restart rows": {"restart_marker_rows": 1, "subsampling": 0},
}


def refinement_of_means(data: bytes) -> jpeg_markers.Segment:
    scans = [segment for segment in jpeg_markers.segments(data) if segment.marker == jpeg_markers.SOS]
    return next(scan for scan in scans if scan.body[-3] == 0 and scan.body[-1] >> 4)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(3, 2), (8, 8), (17, 9), (200, 100), (333, 517)])
def test_the_refinement_of_the_means_has_as_many_bytes_as_its_blocks_need(mode, layout, size):
    image = kit.photograph(*size).convert(mode)
    data = kit.jpeg(image, progressive=True, **({} if mode != "RGB" and "4" in layout else LAYOUTS[layout]))
    assert not jpeg_markers.has_bits_left_over(Walk(data))
    end = refinement_of_means(data).data_end
    assert jpeg_markers.has_bits_left_over(Walk(data[:end] + b"\x17" + data[end:]))


def test_padding_behind_the_refinement_of_the_means_is_harmless():
    data = kit.jpeg(kit.photograph(200, 100), progressive=True)
    end = refinement_of_means(data).data_end
    for padding in (b"\0", b"\0" * 9, b"\xff\xff", b"\r\n"):
        assert not jpeg_markers.has_bits_left_over(Walk(data[:end] + padding + data[end:]))


def test_only_what_is_progressive_and_tells_its_size_has_a_known_length():
    data = kit.jpeg(kit.photograph(200, 100), progressive=True)
    end = refinement_of_means(data).data_end
    longer = data[:end] + b"\x17" + data[end:]
    frame = data.index(b"\xff\xc2")
    arithmetic = longer[:frame] + b"\xff\xca" + longer[frame + 2 :]
    height_to_come = longer[: frame + 5] + b"\0\0" + longer[frame + 7 :]
    no_factors = longer[: frame + 11] + b"\0" + longer[frame + 12 :]
    no_frame = b"\xff\xd8\xff\xc2\0\2"
    for other in (arithmetic, height_to_come, no_factors, no_frame, kit.jpeg(), b"\xff\xd8"):
        assert not jpeg_markers.has_bits_left_over(Walk(other))
    flat = kit.jpeg(Image.new("RGB", (3000, 2000), "black"), progressive=True)
    assert not jpeg_markers.has_bits_left_over(Walk(flat))
