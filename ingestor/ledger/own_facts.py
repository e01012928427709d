"""Facts that each station of a shared ledger has for itself: how its own clock goes, what its own daemon does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestor.ledger.sql import SqlLedger


class OwnFacts(SqlLedger):
    """A fact of `own_facts` is kept under the station's name; whoever asks here is told this station's."""

    own_facts: frozenset[str]
    station: str

    def kept_name(self, name: str) -> str:
        """Under which name this ledger keeps a fact."""
        return f"{name}@{self.station}" if name in self.own_facts else name

    def plain_name(self, name: str) -> str | None:
        """The name of a fact that is kept under this one; None: it is another station's own."""
        plain, at, station = name.rpartition("@")
        if not at or plain not in self.own_facts:
            return name
        return plain if station == self.station else None

    async def set_fact(self, name: str, value: Any) -> None:
        await super().set_fact(self.kept_name(name), value)

    async def fact(self, name: str) -> Any:
        return await super().fact(self.kept_name(name))

    async def facts(self) -> Mapping[str, Any]:
        """All of them: this station's own under their plain names, those of others as `NAME@STATION`."""
        held = await super().facts()
        return {self.plain_name(name) or name: value for name, value in held.items()}
