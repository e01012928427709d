"""What happened to a file, and what happens next: the same sentences as the page has."""

from ingestor.runtime.story import next_step, sentence_of

__all__ = ["next_step", "sentence_of"]
