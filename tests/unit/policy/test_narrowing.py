from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy import narrowing
from ingestor.policy.narrowing import Form, Line, Result
from ingestor.policy.sizing import Size

sides = st.integers(1, 5000)
lines = st.builds(Line, st.builds(Size, sides, sides), st.floats(1, 100))


@given(lines, st.floats(0, 1))
def test_a_place_is_a_form_within_the_picture_and_the_wanted_quality(line, share):
    place = line.bottom + share * (line.top - line.bottom)
    form = line.form_at(place)
    assert 1 <= form.size.width <= line.full.width
    assert 1 <= form.size.height <= line.full.height
    assert form.quality <= line.ceiling
    assert line.place_of(form) <= place + 0.001


def test_the_ends_of_the_line_are_one_pixel_and_all_that_was_wanted():
    line = Line(Size(4000, 3000), 90)
    assert line.form_at(line.bottom).size == Size(1, 1)
    assert line.form_at(0.0) == Form(Size(4000, 3000), 20)
    assert line.form_at(line.top) == Form(Size(4000, 3000), 90)


@given(
    line=st.builds(Line, st.builds(Size, st.integers(500, 4000), st.integers(500, 4000)), st.floats(25, 100)),
    slope_of_size=st.floats(0.4, 1.6),
    slope_of_quality=st.floats(0.25, 3.0),
    began=st.floats(-3, 1),
    room=st.floats(-3, 1),
)
def test_the_room_is_used_after_a_few_results(line, slope_of_size, slope_of_quality, began, room):
    def bytes_at(place: float) -> int:
        return int(1e7 * math.exp(place * (slope_of_quality if place > 0 else slope_of_size)))

    room_bytes = bytes_at(min(room, line.top - 0.1))
    place: float | None = min(began, line.top)
    results: list[Result] = []
    while place is not None and len(results) < 8:
        results.append(Result(place, bytes_at(place)))
        if 0.9 * room_bytes <= results[-1].size_bytes <= room_bytes:
            break
        place = narrowing.next_place(results, room_bytes, line, 1.0)
    best = max(result.size_bytes for result in results if result.size_bytes <= room_bytes)
    assert best >= 0.9 * room_bytes


def test_what_fits_not_even_as_one_pixel_ends():
    line, results = Line(Size(4096, 4096), 90), [Result(1.0, 100)]
    while (place := narrowing.next_place(results, 50, line, 1.0)) is not None:
        results.append(Result(place, 100))
    assert results[-1].place == pytest.approx(line.bottom)
    assert len(results) < 40
