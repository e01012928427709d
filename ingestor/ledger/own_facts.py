"""Facts that each station of a shared ledger has for itself: how its own clock goes, what its own daemon does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestor.ledger.sql import SqlLedger


class OwnFacts(SqlLedger):
    """A fact of `own_facts` is kept under the station's name; whoever asks here is told this station's."""

    own_facts: frozenset[str]
    station: str

    def _name(self, name: str) -> str:
        return f"{name}@{self.station}" if name in self.own_facts else name

    async def set_fact(self, name: str, value: Any) -> None:
        await super().set_fact(self._name(name), value)

    async def fact(self, name: str) -> Any:
        return await super().fact(self._name(name))

    async def facts(self) -> Mapping[str, Any]:
        """All of them: this station's own under their plain names, those of others as `NAME@STATION`."""
        held = await super().facts()
        ours = f"@{self.station}"
        return {
            name.removesuffix(ours) if name.removesuffix(ours) in self.own_facts else name: value
            for name, value in held.items()
        }
