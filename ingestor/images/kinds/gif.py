"""GIFs that are no larger than a picture may be: Pillow fills areas of a frame's size while it reads what that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from PIL import GifImagePlugin

from ingestor.policy.sizing import Size


class GifFile(GifImagePlugin.GifImageFile):
    """Pillow's GIF; `check` is called with each size that a frame makes it grow to, before anything is allocated."""

    def __init__(self, file: IO[bytes], name: str, *, check: Callable[[Size], None]) -> None:
        self._check = check
        super().__init__(file, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # No frame is beyond this size, whatever the screen is said to be.
        if name == "_size" and all(value):
            self._check(Size(*value))
        super().__setattr__(name, value)
