"""Which lines of a manifest are the last for their path, in memory that hardly grows with the file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from ingestor.stages.manifest.file import replacement
from ingestor.stages.manifest.lines import FoundLine, pages

_PAGE = 2000
_HASH_BYTES = 16


def kept_lines(file: int) -> bytearray:
    """A byte for each line, in order: 1 where no later line is about the same path."""
    # Only compaction needs it, and it takes 0.1 s to import.
    import numpy

    places = bytearray()
    with os.fdopen(os.dup(file), "rb") as of:
        of.seek(0)
        for page in pages(of, _PAGE):
            for line in page.lines:
                places += _place_hash(line)
    hashes = numpy.frombuffer(places, dtype=f"S{_HASH_BYTES}")[::-1]
    _, last = numpy.unique(hashes, return_index=True)
    kept = bytearray(len(hashes))
    for index in last:
        kept[len(hashes) - 1 - int(index)] = 1
    return kept


def _place_hash(line: FoundLine) -> bytes:
    """The same for all lines of a path, however its name is escaped; a line of no path is like no other."""
    place = line.place()
    text = json.dumps(place if place is not None else line.seq)
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()


def write_kept(file: int, path: Path, kept: bytearray) -> None:
    """The kept lines in a file that takes the old one's place."""
    flags = iter(kept)
    with os.fdopen(os.dup(file), "rb") as of, replacement(path) as to:
        of.seek(0)
        for page in pages(of, _PAGE):
            to.writelines(line.data for line in page.lines if next(flags))
