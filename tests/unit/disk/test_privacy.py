from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.disk import others_may_use
from ingestor.disk.privacy import CREDENTIALS_VARIABLE

FILE = Path("/run/credentials/ingestor.service/api-key")


@pytest.mark.parametrize("mode", [0o100600, 0o100400, 0o100700])
def test_what_only_the_owner_may_use_is_private(mode: int) -> None:
    assert not others_may_use(FILE, mode)


@pytest.mark.parametrize("mode", [0o100640, 0o100620, 0o100610, 0o100604, 0o100602, 0o100601])
def test_any_right_of_others_is_one_too_many(mode: int) -> None:
    assert others_may_use(FILE, mode)


def test_a_credential_of_systemd_is_private_although_its_mode_looks_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIALS_VARIABLE, str(FILE.parent))
    assert not others_may_use(FILE, 0o100440)
    assert others_may_use(FILE, 0o100444)
    assert others_may_use(FILE, 0o100460)
    assert others_may_use(FILE.parent / "deeper" / "api-key", 0o100440)
    assert others_may_use(Path("/etc/api-key"), 0o100440)
