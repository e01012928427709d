"""Files with secrets in them: whose they are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what a unit names by `LoadCredential=`. systemd.exec(5), Credentials."""


def others_may_use(file: Path, mode: int) -> bool:
    """Whether a file with this mode may be read or written by others than its owner.

    A credential of systemd's belongs to root, and the service's right to it is an entry of an access control list,
    which shows as a right of the group: no group has it.
    """
    if mode & stat.S_IRWXO:
        return True
    is_credential = file.parent == Path(os.environ.get(CREDENTIALS_VARIABLE) or os.devnull)
    return bool(mode & (stat.S_IWGRP | stat.S_IXGRP if is_credential else stat.S_IRWXG))
