"""That what a worker made is of the file that was hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingestor.errors import SourceNotReady
from ingestor.model import Digest, FileIdentity, Payload, SourceFile
from ingestor.stages.normalise import normalise
from tests.simulated import PlainImages

BYTES = b"an image"
DIGEST = Digest(hashlib.sha256(BYTES).hexdigest())


class Worker(PlainImages):
    """Sends the file as it is, having hashed so much of it; `meanwhile` happens to it."""

    def __init__(self, sha256: str, meanwhile: Callable[[Path], object] = lambda _: None) -> None:
        self.sha256 = Digest(sha256)
        self.meanwhile = meanwhile

    async def normalise(self, source: Path, spool: Path) -> Payload:
        self.meanwhile(source)
        return replace(await super().normalise(source, spool), sha256=self.sha256)


@pytest.fixture
def source(tmp_path: Path) -> SourceFile:
    (tmp_path / "a.jpg").write_bytes(BYTES)
    identity = FileIdentity.of(os.lstat(tmp_path / "a.jpg"))
    return SourceFile(folder="in", root=tmp_path, path="a.jpg", identity=identity)


@pytest.mark.parametrize("hashed", [DIGEST, ""], ids=["hashed again", "header alone"])
async def test_the_payload_has_the_digest_of_the_file(source, tmp_path, hashed):
    async with normalise(source, DIGEST, Worker(hashed), tmp_path) as payload:
        assert payload.sha256 == DIGEST


@pytest.mark.parametrize("hashed", [DIGEST, ""], ids=["hashed again", "header alone"])
async def test_a_file_that_changed_meanwhile_is_not_sent(source, tmp_path, hashed):
    def rewrite(path: Path) -> None:
        path.write_bytes(b"others..")

    with pytest.raises(SourceNotReady) as caught:
        async with normalise(source, DIGEST, Worker(hashed, rewrite), tmp_path):
            pytest.fail("it was sent")
    assert caught.value.reason == "changed"


async def test_other_bytes_than_were_hashed_are_not_sent(source, tmp_path):
    with pytest.raises(SourceNotReady) as caught:
        async with normalise(source, DIGEST, Worker("0" * 64), tmp_path):
            pytest.fail("it was sent")
    assert caught.value.reason == "changed"
