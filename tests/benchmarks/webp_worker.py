"""A worker that writes WebP where the real one would keep a JPEG: the same work as `vipsthumbnail -o x.webp`."""

from __future__ import annotations

from ingestor.images import fitting
from ingestor.images.workers import worker


def main() -> None:
    fitting.as_jpeg = lambda *_: None  # type: ignore[assignment]
    worker.main()
