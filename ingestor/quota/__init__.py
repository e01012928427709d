"""The team's token bucket, kept in this process or in a row that several machines share."""

from ingestor.quota.local import LocalQuota
from ingestor.quota.shared import SharedQuota
from ingestor.quota.status import QuotaStatus

__all__ = ["LocalQuota", "QuotaStatus", "SharedQuota"]
