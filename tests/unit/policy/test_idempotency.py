from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingestor.model import Digest, Purpose
from ingestor.policy.idempotency import AS_IS, canonical_json, content_id, idempotency_key

_TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_METADATA = st.dictionaries(_TEXT, _VALUES, max_size=4)
_DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: Digest(raw.hex()))
_MATERIAL = st.tuples(
    _DIGESTS, st.sampled_from(Purpose), _METADATA, st.sampled_from([AS_IS, "webp-90"]), st.integers(0, 99)
)
DIGEST = Digest("0" * 64)


def _reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _reordered(value[key]) for key in reversed(value)}
    return [_reordered(item) for item in value] if isinstance(value, list) else value


@given(_VALUES)
def test_canonical_json_is_json_of_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == json.loads(json.dumps(value))


@given(_VALUES)
def test_canonical_json_is_text_that_can_be_sent(value: Any) -> None:
    canonical_json(value).encode("utf-8")


@given(_METADATA)
def test_the_order_of_keys_does_not_matter(metadata: dict[str, Any]) -> None:
    assert canonical_json(_reordered(metadata)) == canonical_json(metadata)
    one = idempotency_key(DIGEST, Purpose.REFERENCE, metadata, AS_IS, 0)
    assert idempotency_key(DIGEST, Purpose.REFERENCE, _reordered(metadata), AS_IS, 0) == one


def test_numbers_that_are_no_json_are_refused() -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json({"x": value})


@given(_MATERIAL)
def test_a_key_is_one_that_the_api_takes(material: tuple[Digest, Purpose, dict[str, Any], str, int]) -> None:
    assert re.fullmatch(r"ing1-[0-9a-f]{64}", idempotency_key(*material))


@given(_MATERIAL, _MATERIAL)
def test_a_key_covers_everything_that_decides_the_request(
    one: tuple[Digest, Purpose, dict[str, Any], str, int], other: tuple[Digest, Purpose, dict[str, Any], str, int]
) -> None:
    same = (one[0], one[1], canonical_json(one[2]), *one[3:]) == (
        other[0],
        other[1],
        canonical_json(other[2]),
        *other[3:],
    )
    assert (idempotency_key(*one) == idempotency_key(*other)) == same


@given(_MATERIAL, st.integers(0, 4), _MATERIAL)
def test_each_part_of_the_material_changes_the_key(one: tuple[Any, ...], part: int, other: tuple[Any, ...]) -> None:
    assume(canonical_json(one[part]) != canonical_json(other[part]))
    changed = (*one[:part], other[part], *one[part + 1 :])
    assert idempotency_key(*one) != idempotency_key(*changed)


def test_a_key_never_changes_from_version_to_version() -> None:
    """A lost ledger finds its uploads again under the same keys, also after an upgrade."""
    key = idempotency_key(DIGEST, Purpose.FIRST_FRAME, {"b": [1, "é"], "a": None}, AS_IS, 3)
    assert key == "ing1-d2e3389ab8e412250ea3fb3048a49f0cc90c098a5ca45e47f53b49bb55ba9cda"


def test_a_content_is_bytes_purpose_and_metadata() -> None:
    base = content_id(DIGEST, Purpose.REFERENCE, {"a": 1})
    assert content_id(DIGEST, Purpose.REFERENCE, {"a": 1}) == base
    others = [
        content_id(Digest("1" * 64), Purpose.REFERENCE, {"a": 1}),
        content_id(DIGEST, Purpose.LAST_FRAME, {"a": 1}),
        content_id(DIGEST, Purpose.REFERENCE, {"a": 2}),
        content_id(DIGEST, Purpose.REFERENCE, {}),
    ]
    assert len({base, *others}) == 5
