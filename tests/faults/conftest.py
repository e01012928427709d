from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A Files API with quota to spare."""
    options = SandboxOptions(data_dir=tmp_path / "api", upload_bucket=Bucket(1000, 60000))
    async with Sandbox(options) as sandbox:
        yield sandbox


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox) -> Home:
    return Home(tmp_path / "home", sandbox)
