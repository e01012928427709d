"""Whether a manifest file is what the ledger tells, and how it is made so."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from ingestor.ports import Ledger
from ingestor.stages.manifest.file import replacement
from ingestor.stages.manifest.lines import FoundLine, Page, at_text, encode, manifest_line, pages

_PAGE = 2000
_BEGINNING = b'{"v": '


class Condition(StrEnum):
    WHOLE = "whole"
    """Each line of the ledger up to the file's last one is in it, in order. It may have more: lines that an earlier
    ledger wrote, or that the present one has forgotten."""
    DAMAGED = "damaged"
    """Lines are missing, or there is something between them."""
    FOREIGN = "foreign"
    """Another ledger's manifest, or no manifest at all."""


@dataclass(frozen=True, slots=True)
class Survey:
    condition: Condition
    last: int
    """The highest number in it."""
    end: int
    """Where the last line ends."""


async def survey(file: int, ledger: Ledger) -> Survey:
    """Hold a file against the ledger, page by page."""
    condition, last, end = Condition.WHOLE, 0, 0
    with os.fdopen(os.dup(file), "rb") as of:
        of.seek(0)
        read = pages(of, _PAGE)
        while (page := await asyncio.to_thread(next, read, None)) is not None:
            of_page = await _condition(page, last, ledger)
            if of_page is Condition.FOREIGN:
                return Survey(of_page, 0, 0)
            condition = condition if of_page is Condition.WHOLE else of_page
            last = max([last, *(line.seq for line in page.lines)])
            end = page.end
        if not end and not _may_be_torn(of):
            return Survey(Condition.FOREIGN, 0, 0)
    return Survey(condition, last, end)


async def _condition(page: Page, last: int, ledger: Ledger) -> Condition:
    seqs = [line.seq for line in page.lines]
    numbers = await ledger.line_numbers(last, len(seqs) + 1) if seqs else []
    needed = [number for number in numbers if number <= seqs[-1]]
    held = set(seqs)
    common = next((line for line in page.lines if line.seq in set(needed)), None)
    if common is not None and at_text((await ledger.lines_after(common.seq - 1, 1))[0]) != common.at:
        return Condition.FOREIGN
    is_in_order = all(one < other for one, other in itertools.pairwise([last, *seqs]))
    return Condition.WHOLE if is_in_order and held.issuperset(needed) and not page.stray else Condition.DAMAGED


def _may_be_torn(file: BinaryIO) -> bool:
    """Whether a file without a line of ours is the beginning of one."""
    file.seek(0)
    beginning = file.read(len(_BEGINNING))
    return _BEGINNING.startswith(beginning)


async def rebuild(path: Path, damaged: int | None, ledger: Ledger) -> None:
    """Make the file anew from the ledger, and from those lines of the damaged one that the ledger does not have."""
    with _reader(damaged) as of, replacement(path) as to:
        old = _Peekable(_whole_lines(of))
        after = 0
        while entries := await ledger.lines_after(after, _PAGE):
            for entry in entries:
                to.writelines(old.below(entry.seq))
                to.write(encode(manifest_line(entry)))
            after = entries[-1].seq
        to.writelines(old.below(None))


def _reader(file: int | None) -> BinaryIO:
    if file is None:
        return io.BytesIO()
    of = os.fdopen(os.dup(file), "rb")
    of.seek(0)
    return of


def _whole_lines(file: BinaryIO) -> Iterator[FoundLine]:
    """The lines of a damaged file that are JSON, in the order of their numbers."""
    last = 0
    for page in pages(file, _PAGE):
        for line in page.lines:
            if line.seq > last and line.is_json():
                last = line.seq
                yield line


class _Peekable:
    """Lines whose next one is known."""

    def __init__(self, lines: Iterator[FoundLine]) -> None:
        self._lines = lines
        self._next = next(lines, None)

    def below(self, seq: int | None) -> Iterator[bytes]:
        """Those below a number; None: all that are left. A line with that very number is passed over."""
        while self._next is not None and (seq is None or self._next.seq <= seq):
            if self._next.seq != seq:
                yield self._next.data
            self._next = next(self._lines, None)
