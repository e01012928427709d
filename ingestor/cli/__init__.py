"""The command `ingestor`: one file a command."""

from ingestor.cli.program import main

__all__ = ["main"]
