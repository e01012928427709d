from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy import sizing
from ingestor.policy.sizing import Size

sides = st.integers(1, 100_000)
sizes = st.builds(Size, sides, sides)


@given(sizes, st.integers(1, 5000))
def test_the_box_has_no_side_over_the_limit_and_none_under_one(size, longest):
    box = sizing.fitting_box(size, longest)
    assert min(box.width, box.height) >= 1
    assert box.longest <= longest
    assert box == size or box.longest == longest


@given(sizes, st.integers(1, 5000))
def test_the_box_has_the_shape_of_the_picture(size, longest):
    box = sizing.fitting_box(size, longest)
    scale = box.longest / size.longest
    assert abs(box.width - size.width * scale) <= 1
    assert abs(box.height - size.height * scale) <= 1


@pytest.mark.parametrize(
    ("size", "box"),
    [
        (Size(6000, 4000), Size(4096, 2731)),
        (Size(4096, 4096), Size(4096, 4096)),
        (Size(20000, 1), Size(4096, 1)),
        (Size(1, 20000), Size(1, 4096)),
        (Size(4097, 4096), Size(4096, 4095)),
    ],
)
def test_boxes_of_real_pictures(size, box):
    assert sizing.fitting_box(size, 4096) == box


@given(sizes)
def test_turning_twice_changes_nothing(size):
    assert size.swapped.swapped == size
    assert size.swapped.pixels == size.pixels


def test_only_four_orientations_swap_the_sides():
    assert [number for number in range(1, 9) if sizing.turns_sides(number)] == [5, 6, 7, 8]


def test_memory_and_file_size_follow_the_pixels():
    assert sizing.worker_memory_bytes(300_000_000) == 3_100_000_000
    assert sizing.worker_memory_bytes(0) >= 400_000_000
    assert sizing.largest_file_bytes(1_000_000) > 8_000_000


def test_a_bomb_is_large_in_pixels_and_tiny_in_bytes():
    assert sizing.is_bomb(Size(16383, 16383), 60)
    assert not sizing.is_bomb(Size(8000, 8000), 60)
    # A white PNG of one bit a pixel, as small as Deflate makes it.
    assert not sizing.is_bomb(Size(17000, 17000), 17000 * 17000 // 8 // 1032)


@given(sizes, st.integers(1, 40))
def test_sample_tiles_lie_within_the_picture_and_are_all_of_one_size(size, most):
    boxes = sizing.tile_boxes(size, most)
    assert 1 <= len(boxes) <= most
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= size.width
        assert 0 <= top < bottom <= size.height
    assert len({(right - left, bottom - top) for left, top, right, bottom in boxes}) == 1


def test_sample_tiles_do_not_overlap_in_a_large_picture():
    boxes = sizing.tile_boxes(Size(4096, 3072))
    assert len(boxes) >= 20
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@given(st.floats(0, 100))
def test_the_worst_case_grows_with_quality_and_with_alpha(quality):
    assert sizing.worst_bytes_per_pixel(quality) <= sizing.worst_bytes_per_pixel(100)
    assert sizing.worst_bytes_per_pixel(quality) < sizing.worst_bytes_per_pixel(quality, alpha=True)


def test_what_surely_fits_is_small():
    assert sizing.surely_fits(Size(1000, 1000), 90, 10_000_000)
    assert not sizing.surely_fits(Size(4096, 4096), 90, 10_000_000)
    assert not sizing.surely_fits(Size(1, 1), 90, 100)


def search(bytes_at, target: float, ceiling: float) -> tuple[tuple[float, float], int]:
    """What the search finds in a picture whose size at any quality is known, and how often it asked."""
    known = [(ceiling, bytes_at(ceiling))]
    while (quality := sizing.next_quality(known, target, ceiling)) is not None:
        assert min(ceiling, sizing.LOWEST_QUALITY) <= quality <= ceiling
        assert all(quality != tried for tried, _ in known)
        known.append((quality, bytes_at(quality)))
    return sizing.best_known(known, target), len(known)


@given(
    slope=st.floats(0.005, 0.2),
    knee=st.floats(1.0, 4.0),
    scale=st.floats(1.0, 100.0),
    ceiling=st.floats(1, 100),
)
def test_the_search_ends_soon_and_finds_the_best_quality_that_fits(slope, knee, scale, ceiling):
    def bytes_at(quality: float) -> float:
        return 1000 * scale * math.exp(slope * quality + knee * (quality / 100) ** 6)

    target = 1000 * scale * math.exp(slope * 50)
    (quality, size_bytes), asked = search(bytes_at, target, ceiling)
    assert asked <= 16
    lowest = min(ceiling, sizing.LOWEST_QUALITY)
    if bytes_at(lowest) > target:
        assert quality == lowest
    else:
        assert size_bytes <= target
        assert quality == ceiling or size_bytes >= 0.9 * target or bytes_at(quality + 1) > target


@pytest.mark.parametrize("ceiling", [46.875, 46.96, 50.0, 0.97])
def test_what_is_barely_too_large_is_tried_below_the_ceiling(ceiling):
    (quality, _), asked = search(lambda quality: 1000 + quality, 1000 + ceiling - 0.001, ceiling)
    assert quality < ceiling or ceiling < sizing.LOWEST_QUALITY
    assert asked <= 4


def test_a_usual_photograph_is_found_in_a_few_steps():
    (quality, size_bytes), asked = search(lambda quality: 1e6 * math.exp(0.03 * quality), 1e6 * math.exp(2.1), 90)
    assert asked <= 4
    assert quality == pytest.approx(70, abs=1.5)
    assert size_bytes <= 1e6 * math.exp(2.1)


def test_what_fits_at_the_ceiling_is_not_searched_for():
    assert sizing.next_quality([(90.0, 100.0)], 200.0, 90.0) is None
    assert sizing.best_known([(90.0, 100.0)], 200.0) == (90.0, 100.0)
