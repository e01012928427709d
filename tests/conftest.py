"""Options and fixtures of the whole suite."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

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


SKIPPED_EVEN_IN_CI = ("this machine allows no network namespaces",)
"""Beginnings of reasons that lie in the machine's kernel: no package would mend that."""


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """In CI nothing is skipped because something is missing: what the tests need, CI installs."""
    if not os.environ.get("CI"):
        return
    reasons = {report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])}
    missing = [reason for reason in reasons if not reason.removeprefix("Skipped: ").startswith(SKIPPED_EVEN_IN_CI)]
    if missing:
        terminalreporter.section("skipped in CI, where nothing may be missing")
        for reason in sorted(missing):
            terminalreporter.line(reason)
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


NOBODY = 65534


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of whoever runs the test, who is not root in it: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


@pytest.fixture
async def hops(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the loop has handed work to a thread, by the thread's name: what small files cost most."""
    loop, counted = asyncio.get_running_loop(), Counter[str]()
    run_in_executor = loop.run_in_executor

    def counting(executor: Executor | None, call: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        counted[getattr(executor, "_thread_name_prefix", "default")] += 1
        return run_in_executor(executor, call, *args)

    monkeypatch.setattr(loop, "run_in_executor", counting)
    return counted


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
