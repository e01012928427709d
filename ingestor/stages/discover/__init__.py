"""List a drop folder: what is to be taken, what is passed over, and why. The scan is the truth, events are hints."""

from ingestor.stages.discover.drop_folder import DropFolder, device_at, root_identity
from ingestor.stages.discover.piece import NO_MARKS, PIECE, Piece
from ingestor.stages.discover.rules import DEFAULT_IGNORES, NameRules

__all__ = ["DEFAULT_IGNORES", "NO_MARKS", "PIECE", "DropFolder", "NameRules", "Piece", "device_at", "root_identity"]
