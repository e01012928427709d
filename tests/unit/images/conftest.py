"""What every test of the images floor needs: an image made fit in this very process, and one made fit in a worker."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from ingestor.images.normalise import inspect, normalise, prepare
from ingestor.model import Payload
from ingestor.ports import NormaliseRules

MadeFit = Callable[..., Payload]


@pytest.fixture(autouse=True)
def prepared() -> Iterator[None]:
    """The state of a worker, and this process as it was before when the test is over."""
    limits = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    with warnings.catch_warnings():
        prepare(NormaliseRules())
        yield
    Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK = limits


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes, str], Path]:
    numbers = itertools.count()

    def run(data: bytes, name: str = "image") -> Path:
        folder = tmp_path / f"source-{next(numbers)}"
        folder.mkdir()
        (folder / name).write_bytes(data)
        return folder / name

    return run


@pytest.fixture
def made_fit(tmp_path: Path, write: Callable[[bytes, str], Path]) -> MadeFit:
    """`made_fit(data, name, **rules)`: the payload for these bytes."""
    numbers = itertools.count()

    def run(data: bytes, name: str = "image", **rules: object) -> Payload:
        stem = tmp_path / f"spool-{next(numbers)}"
        return normalise(write(data, name), stem, NormaliseRules(**rules), time.perf_counter())  # type: ignore[arg-type]

    return run


@pytest.fixture
def inspected(write: Callable[[bytes, str], Path]) -> MadeFit:
    def run(data: bytes, name: str = "image", **rules: object) -> Payload:
        return inspect(write(data, name), NormaliseRules(**rules), time.perf_counter())  # type: ignore[arg-type]

    return run
