"""`ingestor`, which writes down how many tasks its event loop has: python -m tests.soak.counted FILE ARGUMENTS"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

SECONDS = 0.5


def main() -> None:
    file = Path(sys.argv.pop(1))
    run = asyncio.run

    async def counted(work: Coroutine[Any, Any, Any]) -> Any:
        counting = asyncio.create_task(_count(file))
        try:
            return await work
        finally:
            counting.cancel()

    asyncio.run = lambda work: run(counted(work))  # type: ignore[assignment]
    from ingestor.cli import main as ingestor

    ingestor()


async def _count(file: Path) -> None:
    fresh = file.with_suffix(f".{os.getpid()}")
    while True:
        fresh.write_text(str(len(asyncio.all_tasks())))
        fresh.replace(file)
        await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    main()
