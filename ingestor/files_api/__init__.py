"""The Files API: one coroutine an endpoint, and the same protocol with patience around it."""

from ingestor.files_api.breaker import Breaker, BreakerStatus
from ingestor.files_api.http import HttpFilesApi, Timeouts
from ingestor.files_api.keys import ApiKey
from ingestor.files_api.resilient import ResilientFilesApi

__all__ = ["ApiKey", "Breaker", "BreakerStatus", "HttpFilesApi", "ResilientFilesApi", "Timeouts"]
