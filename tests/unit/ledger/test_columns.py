from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from ingestor.ledger.columns import FactText, FsText, Instant, JsonText, Unsigned64, escape_path, unescape_path

_DIALECT = sqlite.dialect()
_NAMES = st.binary(min_size=1, max_size=255).map(os.fsdecode)


@given(_NAMES)
def test_a_name_of_any_bytes_survives_as_text_that_every_database_takes(name: str) -> None:
    stored = FsText().process_bind_param(name, _DIALECT)
    assert stored is not None
    stored.encode("utf-8")
    assert FsText().process_result_value(stored, _DIALECT) == name


@given(_NAMES, _NAMES)
def test_different_names_are_stored_differently(one: str, other: str) -> None:
    assert (escape_path(one) == escape_path(other)) == (one == other)


def test_a_name_that_looks_like_an_escape_is_not_taken_for_one() -> None:
    assert unescape_path(escape_path("\\xff.jpg")) == "\\xff.jpg"
    assert escape_path("\\xff.jpg") != escape_path("\udcff.jpg")


_ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(st.timedeltas(timedelta(0), timedelta(days=90_000)), _ZONES)
def test_an_instant_survives_to_the_microsecond_in_utc(since_1970: timedelta, zone: timezone) -> None:
    instant = (datetime(1970, 1, 1, tzinfo=UTC) + since_1970).astimezone(zone)
    stored = Instant().process_bind_param(instant, _DIALECT)
    found = Instant().process_result_value(stored, _DIALECT)
    assert found == instant
    assert found is not None
    assert found.tzinfo is UTC


@given(st.integers(0, (1 << 64) - 1))
def test_64_bits_fit_into_a_signed_column(number: int) -> None:
    stored = Unsigned64().process_bind_param(number, _DIALECT)
    assert stored is not None
    assert -(1 << 63) <= stored < 1 << 63
    assert Unsigned64().process_result_value(stored, _DIALECT) == number


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(_JSON)
def test_a_json_value_survives(value: object) -> None:
    stored = FactText().process_bind_param(value, _DIALECT)
    assert FactText().process_result_value(stored, _DIALECT) == value


def test_a_missing_json_value_is_null_and_a_fact_that_is_null_is_not_missing() -> None:
    assert JsonText().process_bind_param(None, _DIALECT) is None
    assert FactText().process_bind_param(None, _DIALECT) == "null"
