"""Whatever bytes come in: a payload that fits, or a reason from the closed lists. Never anything else."""

from __future__ import annotations

import functools
import os
import random
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images import source
from ingestor.images.normalise import inspect, normalise
from ingestor.policy.formats import NOT_READY, REASONS
from ingestor.ports import NormaliseRules
from tests import image_kit as kit

RULES = (
    NormaliseRules(longest_side_px=48, max_bytes=20_000, max_pixels=2_000_000),
    NormaliseRules(max_bytes=20_000, max_pixels=2_000_000, metadata="strip", integrity="decode"),
)


@functools.cache
def sample(number: int) -> bytes:
    return kit.SAMPLES[number].make()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[int, bytes]:
    """A sample with some bytes changed, removed, repeated, or its end cut off."""
    number = draw(st.integers(0, len(kit.SAMPLES) - 1))
    data = bytearray(sample(number))
    for _ in range(draw(st.integers(1, 6))):
        # The header, where most of what can be misunderstood stands, is hit as often as all the rest.
        at = draw(st.integers(0, min(64, len(data) - 1)) | st.integers(0, len(data) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                data[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            case 1:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 2:
                data[at : at + 4] = draw(st.sampled_from([b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"]))
            case 3:
                del data[at : at + draw(st.integers(1, 40))]
            case 4:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case 5:
                del data[at + 20 :]
        if not data:
            data = bytearray(b"\0")
    return number, bytes(data)


def check(folder: Path, data: bytes, rules: NormaliseRules, *, tga: bool) -> str:
    """What became of these bytes, in a word."""
    path, stem = folder / ("fuzz.tga" if tga else "fuzz"), folder / "spool"
    path.write_bytes(data)
    for made in folder.glob("spool.*"):
        made.unlink()
    try:
        inspect(path, rules, time.perf_counter())
    except (ImageRejected, SourceNotReady) as error:
        known(error)
    # Every second file is read as if it were a large one.
    held_bytes = source._HELD_BYTES if len(data) % 2 else 0
    try:
        with mock.patch.object(source, "_HELD_BYTES", held_bytes):
            payload = normalise(path, stem, rules, time.perf_counter())
    except (ImageRejected, SourceNotReady) as error:
        return known(error)
    except MemoryError:
        return "memory"
    assert payload.size_bytes == payload.file.stat().st_size <= rules.max_bytes
    with kit.Image.open(payload.file) as image:
        assert image.size == (payload.width_px, payload.height_px)
        assert max(image.size) <= rules.longest_side_px
    return "sent as found" if payload.is_source else "sent anew"


def known(error: ImageRejected | SourceNotReady) -> str:
    assert error.reason in (REASONS if isinstance(error, ImageRejected) else NOT_READY)
    assert str(error)
    return error.reason


@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(damaged(), st.sampled_from(RULES))
@example((0, b"\0"), RULES[0])
@example((0, b"\xff\xd8\xff"), RULES[0])
@example((0, b"\x89PNG\r\n\x1a\n"), RULES[0])
@example((0, b"RIFF\0\0\0\0WEBP"), RULES[0])
def test_damaged_samples_give_a_payload_or_a_reason(tmp_path, case, rules):
    number, data = case
    check(tmp_path, data, rules, tga=kit.SAMPLES[number].format == "TGA")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=400), st.sampled_from([sample.make()[:12] for sample in kit.SAMPLES]))
def test_any_bytes_behind_a_true_beginning_give_a_payload_or_a_reason(tmp_path, tail, head):
    check(tmp_path, head + tail, RULES[0], tga=False)


@pytest.mark.soak
def test_twenty_thousand_damaged_samples(tmp_path):
    """Seeded, so that a failure can be run again: FUZZ_SEED and the number of the round."""
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    ends: dict[str, int] = {}
    for round_number in range(20_000):
        rng = random.Random(f"{seed}/{round_number}")
        number = rng.randrange(len(kit.SAMPLES))
        data = bytearray(sample(number))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(min(64, len(data)) if rng.random() < 0.5 else len(data))
            match rng.randrange(4):
                case 0:
                    data[at] = rng.randrange(256)
                case 1:
                    data[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", bytes(4), rng.randbytes(4)])
                case 2:
                    del data[at : at + rng.randint(1, 60)]
                case 3:
                    data[at:at] = rng.randbytes(rng.randint(1, 30))
            if not data:
                data = bytearray(b"\0")
        try:
            end = check(tmp_path, bytes(data), RULES[round_number % 2], tga=kit.SAMPLES[number].format == "TGA")
        except BaseException:
            print(f"seed {seed}, round {round_number}, {kit.SAMPLES[number].what}")
            raise
        ends[end] = ends.get(end, 0) + 1
    print("\n20,000 damaged samples:", dict(sorted(ends.items(), key=lambda pair: -pair[1])))
    assert sum(ends.values()) == 20_000
