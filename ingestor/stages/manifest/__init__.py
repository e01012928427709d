"""The list for others: the listed part of the ledger's history as a file, appended line by line and never torn."""

from ingestor.stages.manifest.lines import VERSION, encode, manifest_line
from ingestor.stages.manifest.manifest import Manifest

__all__ = ["VERSION", "Manifest", "encode", "manifest_line"]
