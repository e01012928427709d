"""The Files API: one coroutine an endpoint, and the same protocol with patience around it."""

from ingestor.files_api.breaker import Breaker, BreakerStatus
from ingestor.files_api.http import HttpFilesApi
from ingestor.files_api.keys import ApiKey
from ingestor.files_api.resilient import ResilientFilesApi
from ingestor.files_api.slots import SlotsStatus
from ingestor.files_api.timeouts import Timeouts

__all__ = ["ApiKey", "Breaker", "BreakerStatus", "HttpFilesApi", "ResilientFilesApi", "SlotsStatus", "Timeouts"]
