"""Batch ingestion worker for a hosted generation API: from a drop folder to live file ids."""

__version__ = "0.1.0"
