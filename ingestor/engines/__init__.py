"""Where `ingest_one` runs."""

from ingestor.engines.embedded import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
