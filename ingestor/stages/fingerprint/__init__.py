"""Hash settled files: in this process, or beside it where they are many."""

from ingestor.stages.fingerprint.beside import Hasher
from ingestor.stages.fingerprint.fingerprint import fingerprint

__all__ = ["Hasher", "fingerprint"]
