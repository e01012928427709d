"""List a drop folder: what is to be taken, what is passed over, and why. The scan is the truth, events are hints."""

from ingestor.stages.discover.drop_folder import DropFolder, root_identity
from ingestor.stages.discover.piece import PIECE, Piece
from ingestor.stages.discover.rules import DEFAULT_IGNORES, NameRules

__all__ = ["DEFAULT_IGNORES", "PIECE", "DropFolder", "NameRules", "Piece", "root_identity"]
