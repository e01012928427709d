"""Instants as people and programs read them: the same words as the page has."""

from ingestor.observe.instants import local, parsed, relative, rfc3339, when

__all__ = ["local", "parsed", "relative", "rfc3339", "when"]
