"""The manifest of several machines: one of them writes it, or each one has its own; nobody waits for another."""

from __future__ import annotations

from ingestor.ports import Clock, Manifest, Observer
from ingestor.runtime.disk_patience import until_disk_is_well
from ingestor.runtime.leaders import Leaders

LEAD = "manifest"
LOOK_SECONDS = 0.5
"""Between looks at what other machines have recorded."""


class ClusterManifest:
    """See `ports.Manifest`. Lines that nobody here has written come into the file by themselves, soon.

    The lines stand in the ledger already: what is put away after an upload does not wait for another machine's disk.
    """

    def __init__(self, manifest: Manifest, leaders: Leaders | None, *, clock: Clock, observer: Observer) -> None:
        """`leaders` None: this machine has a manifest of its own, and always writes it."""
        self._manifest = manifest
        self._leaders = leaders
        self._clock = clock
        self._observer = observer
        self._is_ours = False

    async def open(self) -> None:
        """Nothing: who comes to lead completes the file first."""

    async def flush(self) -> None:
        """Every line that the ledger has is in the file, and on disk, where it is ours to write. Raises `DiskFault`."""
        if self._is_ours:
            await self._manifest.flush()

    async def compact(self) -> int:
        """Keep only the last line for each path, where the file is ours to write; how many lines went."""
        return await self._manifest.compact() if self._is_ours else 0

    async def run(self) -> None:
        """Write what comes, until cancelled; where the file is everybody's, while this machine leads."""
        if self._leaders is None:
            await self._write()
        else:
            await self._leaders.lead(LEAD, self._write)

    async def _write(self) -> None:
        try:
            await until_disk_is_well(self._clock, self._observer, self._manifest.open)
            self._is_ours = True
            while True:
                await until_disk_is_well(self._clock, self._observer, self._manifest.flush)
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            self._is_ours = False

    async def close(self) -> None:
        """What is known now is in the file before we go, unless another machine writes it. Raises `DiskFault`."""
        if self._leaders is None:
            await self._manifest.flush()
            return
        async with self._leaders.once(LEAD) as is_ours:
            if is_ours:
                await self._manifest.flush()
