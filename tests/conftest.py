"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os
import re

import hypothesis
import pytest

# A machine that others load as well must not fail a test by being slow.
hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")

SHORT = "0s"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", default=SHORT, help="how long a soak may take, such as 10m")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs are left out unless they are asked for with `-m soak`."""
    if "soak" in (config.option.markexpr or ""):
        return
    kept = [item for item in items if item.get_closest_marker("soak") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def soak_seconds(request: pytest.FixtureRequest) -> float:
    """How long a soak runs."""
    found = re.fullmatch(r"(\d+)([smh])", request.config.getoption("--soak"))
    assert found, "--soak is written such as 90s, 10m or 2h"
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer's shell has set must not decide what a test sees."""
    for name in list(os.environ):
        if name.startswith("INGESTOR_") or name == "AUROUS_API_KEY":
            monkeypatch.delenv(name)
