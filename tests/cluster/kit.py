"""Machines that share a ledger: each a corner of the disk with settings of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home
from tests.postgres_kit import new_database


@dataclass
class Station:
    """One machine, and the API that all talk to."""

    home: Home
    sandbox: Sandbox

    def draw(self, *names: str, seed: int = 0) -> None:
        """Images in the inbox, each unlike any other."""
        draw(self.home.inbox, *names, seed=seed)

    def beside(self, name: str, **settings: Any) -> Station:
        """Another machine with the same ledger and the same settings, but for these."""
        folder = self.home.folder.with_name(name)
        given = {**self.home.settings, "cluster": {"station": name}, **settings}
        return Station(Home(folder, self.sandbox, **given), self.sandbox)

    def sandbox_files(self) -> list[str]:
        """The ids that the API has made."""
        with contextlib.closing(sqlite3.connect(self.sandbox.options.data_dir / "index.db")) as index:
            return [row[0] for row in index.execute("SELECT id FROM files")]


def draw(inbox: Path, *names: str, seed: int = 0) -> None:
    for number, name in enumerate(names):
        path = inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.tmp")
        colour = (seed % 256, number % 256, number // 256 % 256)
        Image.new("RGB", (16 + seed // 256, 16), colour).save(hidden, "PNG")
        hidden.rename(path)


@pytest.fixture
async def slow_station(tmp_path: Path) -> AsyncIterator[Station]:
    """As `station`, with an API that gives ten tokens a second, and workers that are soon taken for dead."""
    options = SandboxOptions(data_dir=tmp_path / "api", upload_bucket=Bucket(5, 600))
    async with Sandbox(options) as sandbox:
        given = {
            "ledger": new_database(empty=True),
            "cluster": {"station": "one", "stale": "2s"},
            "api": {"base_url": sandbox.base_url, "quota": {"burst": 5, "per_minute": 600}},
        }
        yield Station(Home(tmp_path / "one", sandbox, **given), sandbox)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """A machine with a ledger on PostgreSQL, and a Files API with quota to spare."""
    options = SandboxOptions(data_dir=tmp_path / "api", upload_bucket=Bucket(1000, 60000))
    async with Sandbox(options) as sandbox:
        given = {"ledger": new_database(empty=True), "cluster": {"station": "one"}}
        yield Station(Home(tmp_path / "one", sandbox, **given), sandbox)
