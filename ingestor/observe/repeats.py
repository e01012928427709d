"""What has been told already, so that the same thing about the same path is not told again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

MOST_SUBJECTS = 20_000
"""Remembered at once: memory does not grow with the folder. Who is forgotten is told of once more."""


class Told:
    """Remembers what was said about each subject; the one that was longest quiet is forgotten first."""

    def __init__(self, most: int = MOST_SUBJECTS) -> None:
        self._most = most
        self._said: OrderedDict[Hashable, set[Hashable]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._said)

    def is_new(self, subject: Hashable, what: Hashable) -> bool:
        """Whether this is said about the subject for the first time; from now on it is not."""
        said = self._said.get(subject)
        if said is None:
            said = self._said[subject] = set()
            if len(self._said) > self._most:
                self._said.popitem(last=False)
        else:
            self._said.move_to_end(subject)
        if what in said:
            return False
        said.add(what)
        return True

    def forget(self, subject: Hashable) -> None:
        """The subject's matter is settled: the same would be news again."""
        self._said.pop(subject, None)
