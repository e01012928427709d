"""The durable memory: what was found, what was promised, and the story of every path."""

from ingestor.ledger.lock import LedgerLock, holder_of
from ingestor.ledger.reader import LedgerReader
from ingestor.ledger.sqlite import SqliteLedger
from ingestor.ledger.sqlite_reader import SqliteBrowser, SqliteReader

__all__ = ["LedgerLock", "LedgerReader", "SqliteBrowser", "SqliteLedger", "SqliteReader", "holder_of"]
