"""The daemon's page: what it does, its images, its quarantine; metrics and health for machines.

Served by the daemon beside its flow, from a ledger that is only read, so that a page never holds an image up.
"""

from ingestor.page.page import StatusPage

__all__ = ["StatusPage"]
