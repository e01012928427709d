from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["aiohttp", "yarl", "urllib.request"])
def test_what_only_a_request_needs_is_imported_with_the_first_request(module: str) -> None:
    code = (
        "import sys; from ingestor.files_api import ApiKey, Breaker, HttpFilesApi, ResilientFilesApi; "
        f"sys.exit({module!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
