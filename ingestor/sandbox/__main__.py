"""`python -m ingestor.sandbox`: the Files API on this machine until stopped."""

from __future__ import annotations

import argparse
import asyncio
import sys

from ingestor.sandbox.errors import SandboxHeld
from ingestor.sandbox.running import add_arguments, options_from, run


def main() -> int:
    """The exit code: 0 stopped, 2 wrong usage or address, 6 the data folder is served already."""
    parser = argparse.ArgumentParser(prog="python -m ingestor.sandbox", description="Serve the Files API.")
    add_arguments(parser)
    arguments = parser.parse_args()
    try:
        options = options_from(arguments)
    except ValueError as error:
        parser.error(str(error))
    try:
        asyncio.run(run(options))
    except SandboxHeld as error:
        sys.stderr.write(f"{error}\n")
        return 6
    except OSError as error:
        sys.stderr.write(f"cannot serve: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
