"""Who is told of what happens to the images: commands and webhooks, at least once each, beside all other work."""

from ingestor.runtime.hooks.hooks import Hooks

__all__ = ["Hooks"]
