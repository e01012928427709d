"""The paths that a command line names: as arguments, or in a list."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ingestor.errors import UsageError


def paths_of(arguments: Sequence[Path], files_from: str | None, *, nul: bool) -> list[Path] | None:
    """All paths, or None where none were named. Raises `UsageError`."""
    if nul and files_from is None:
        raise UsageError("-0 says how the list of --files-from is separated; name that list")
    listed = [] if files_from is None else _listed(files_from, nul=nul)
    paths = [*arguments, *listed]
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"{path}: there is no such file or folder")
    return paths if arguments or files_from is not None else None


def _listed(files_from: str, *, nul: bool) -> list[Path]:
    try:
        content = sys.stdin.buffer.read() if files_from == "-" else Path(files_from).read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {files_from}: {error.strerror}") from error
    names = content.split(b"\0" if nul else b"\n")
    return [Path(os.fsdecode(name if nul else name.rstrip(b"\r"))) for name in names if name.strip(b"\r")]
