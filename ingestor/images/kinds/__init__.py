"""The kinds of files that images come in: how each is laid out, and what Pillow does not read of it, or reads wrong."""

from __future__ import annotations


class KindNotRead(Exception):
    """A kind of file that no decoder here reads: nothing is wrong with it, and it is told as `unsupported`."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} are not supported")
