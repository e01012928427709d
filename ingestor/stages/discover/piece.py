"""A part of a directory's listing, as cheap as a million files need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from ingestor.model import FileIdentity, Marks, Sighting, Skipped, SourceFile

PIECE = 5_000
"""Files of one piece of a listing: enough for one question to the ledger, little enough to hold."""

NO_MARKS = Marks(by_name={}, context="", contexts={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of one directory's listing; the sightings in name order."""

    directory: str
    sightings: Sequence[Sighting]
    skipped: tuple[Skipped, ...]
    subdirectories: tuple[str, ...]
    whole: bool
    """The directory has no other piece."""
    marks: Marks = NO_MARKS
    """The sightings by name, as `Ledger.compare` wants them; empty for a piece that no listing has made."""

    def named(self, names: Iterable[str]) -> list[Sighting]:
        """The sightings of some of the names in `marks`, in this order."""
        return self.sightings.named(names) if isinstance(self.sightings, LazySightings) else []


class LazySightings(Sequence[Sighting]):
    """Sightings that are made from their marks when they are asked for: almost none is in a pass over known files."""

    __slots__ = ("_folder", "_marks", "_names", "_prefix", "_root")

    def __init__(self, folder: str, root: Path, directory: str, marks: Marks) -> None:
        self._folder = folder
        self._root = root
        self._prefix = f"{directory}/" if directory else ""
        self._marks = marks
        self._names: list[str] | None = None

    def __len__(self) -> int:
        return len(self._marks.by_name)

    def __iter__(self) -> Iterator[Sighting]:
        return iter(self.named(sorted(self._marks.by_name)))

    @overload
    def __getitem__(self, index: int) -> Sighting: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sighting]: ...
    def __getitem__(self, index: int | slice) -> Sighting | Sequence[Sighting]:
        if self._names is None:
            self._names = sorted(self._marks.by_name)
        if isinstance(index, slice):
            return self.named(self._names[index])
        return self._made(self._names[index])

    def named(self, names: Iterable[str]) -> list[Sighting]:
        return [self._made(name) for name in names]

    def _made(self, name: str) -> Sighting:
        device, inode, size_bytes, mtime_ns, ctime_ns = self._marks.by_name[name]
        identity = FileIdentity(device=device, inode=inode, size_bytes=size_bytes, mtime_ns=mtime_ns, ctime_ns=ctime_ns)
        source = SourceFile(folder=self._folder, root=self._root, path=self._prefix + name, identity=identity)
        return Sighting(source=source, context=self._marks.contexts.get(name, self._marks.context))
