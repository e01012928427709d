"""Files that are there, and whose bytes nobody has read yet: any of them may be one that went by another name."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence, Set

from ingestor.policy.intake import Intake, intake_of
from ingestor.ports import Clock, Ledger
from ingestor.stages.discover import DropFolder, Piece

_SIZE = 2
"""Where it is in a `Mark`."""


class UnknownFiles:
    """Looks through whole folders, whatever has been found, settled or taken of them so far.

    A file that is in line as it is counts as known: the ledger itself answers for those.
    """

    def __init__(self, folders: Sequence[DropFolder], *, ledger: Ledger, clock: Clock) -> None:
        self._folders = folders
        self._ledger = ledger
        self._clock = clock

    async def sizes(self, among: Set[int]) -> Set[int] | None:
        """Those of the sizes `among` that an unknown file has; None where a part of a folder cannot be looked at."""
        unknown: set[int] = set()
        for folder in self._folders:
            async for piece in folder.pieces():
                # Only what cannot be looked at is told of in words; else it is a name or a kind that is never taken.
                if any(skipped.message for skipped in piece.skipped):
                    return None
                unknown |= await self._of_piece(folder, piece, among)
        return unknown

    async def _of_piece(self, folder: DropFolder, piece: Piece, among: Set[int]) -> set[int]:
        names = [name for name, mark in piece.marks.by_name.items() if mark[_SIZE] in among]
        if not names:
            return set()
        known = await self._ledger.known(folder.name, piece.directory, names)
        now = self._clock.now()
        return {
            sighting.source.identity.size_bytes
            for sighting in piece.named(names)
            if intake_of(known.get(posixpath.basename(sighting.source.path)), sighting, now, revive=False)
            is Intake.TAKE
        }
