"""The durable memory: what was found, what was promised, and the story of every path."""

from ingestor.ledger.sqlite import LedgerLock, SqliteLedger, holder_of

__all__ = ["LedgerLock", "SqliteLedger", "holder_of"]
