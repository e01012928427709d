"""Files of ours and of others: what the system says of them, and operations that lose and overwrite nothing."""

from ingestor.disk.faults import (
    check_identity,
    check_unchanged,
    disk_fault,
    is_same_after_rename,
    not_ready,
    open_regular,
)
from ingestor.disk.moves import clear_interrupted, give_back, relocate, remove
from ingestor.disk.names import numbered, open_below, printable, rename_new, sync_directory
from ingestor.disk.privacy import others_may_use

__all__ = [
    "check_identity",
    "check_unchanged",
    "clear_interrupted",
    "disk_fault",
    "give_back",
    "is_same_after_rename",
    "not_ready",
    "numbered",
    "open_below",
    "open_regular",
    "others_may_use",
    "printable",
    "relocate",
    "remove",
    "rename_new",
    "sync_directory",
]
