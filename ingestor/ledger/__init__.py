"""The durable memory: what was found, what was promised, and the story of every path."""

from ingestor.ledger.lock import LedgerLock, holder_of
from ingestor.ledger.reader import LedgerReader
from ingestor.ledger.sqlite import SqliteLedger

__all__ = ["LedgerLock", "LedgerReader", "SqliteLedger", "holder_of"]
