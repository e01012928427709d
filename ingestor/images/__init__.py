"""Images, made fit in processes of their own.

`pool` and `process` run in the daemon and never touch a pixel. `worker` and all that it imports run in the worker
processes, and import nothing of the program but `policy`, `errors`, `disk`, `ports` and `model`.
"""

from ingestor.images.pool import ImagePool, clear_spool

__all__ = ["ImagePool", "clear_spool"]
