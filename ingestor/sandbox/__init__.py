"""The Files API on this machine: a strict stand-in for tests, first steps and `base_url: sandbox`."""

from ingestor.sandbox.errors import SandboxHeld
from ingestor.sandbox.faults import FAULTS
from ingestor.sandbox.options import COMPARISONS, DEFAULT_KEY, ApiKey, Bucket, Comparison, SandboxOptions
from ingestor.sandbox.running import add_arguments, bucket, fault_rates, keys_from, options_from, run
from ingestor.sandbox.server import Sandbox

__all__ = [
    "COMPARISONS",
    "DEFAULT_KEY",
    "FAULTS",
    "ApiKey",
    "Bucket",
    "Comparison",
    "Sandbox",
    "SandboxHeld",
    "SandboxOptions",
    "add_arguments",
    "bucket",
    "fault_rates",
    "keys_from",
    "options_from",
    "run",
]
