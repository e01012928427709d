"""Sandboxes on real sockets, each with a folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ingestor.sandbox import Sandbox, SandboxOptions
from tests.unit.sandbox.caller import Caller

Serve = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a sandbox with the given options; all stop at the end."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Caller:
            settings = SandboxOptions(**{"data_dir": tmp_path / "sandbox", **options})
            sandbox = await stack.enter_async_context(Sandbox(settings))
            return await stack.enter_async_context(Caller(sandbox))

        yield start


@pytest.fixture
async def caller(serve: Serve) -> Caller:
    """A sandbox as it is without any option."""
    return await serve()
