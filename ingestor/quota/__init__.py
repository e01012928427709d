"""The team's token bucket, kept in this process."""

from ingestor.quota.local import LocalQuota
from ingestor.quota.status import QuotaStatus

__all__ = ["LocalQuota", "QuotaStatus"]
