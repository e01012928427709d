"""The sandbox as a command: its arguments, and a run that ends on SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from ingestor.sandbox.faults import FAULTS
from ingestor.sandbox.options import COMPARISONS, ApiKey, Bucket, SandboxOptions, default_keys
from ingestor.sandbox.server import Sandbox


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments of a sandbox to a parser, and the kinds of faults below its help."""
    default = SandboxOptions()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "kinds of faults:\n" + "".join(f"  {kind:<16} {text}\n" for kind, text in FAULTS.items())
    add = parser.add_argument
    add("--data", type=Path, help="folder of files and index; without it, nothing outlives the run")
    add("--host", default=default.host, help="address to listen on (%(default)s)")
    add("--port", type=int, default=default.port, help="0: that of the last time, or any (%(default)s)")
    add("--time-scale", type=float, default=default.time_scale, help="its clock runs so many times faster")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="KIND=RATE",
        help="share of calls that meet this kind of fault (below), 0 to 1; may be repeated",
    )
    add("--seed", type=int, help="makes the draw of faults repeatable")
    add("--key", action="append", default=[], metavar="KEY[=TEAM]", help="a key that it knows")
    add("--read-only-key", action="append", default=[], metavar="KEY[=TEAM]", help="a key without the scope write")
    add("--revoked-key", action="append", default=[], metavar="KEY", help="a key that was revoked")
    add("--upload-bucket", type=bucket, default=default.upload_bucket, metavar="BURST,PER_MINUTE")
    add("--get-bucket", type=bucket, default=default.get_bucket, metavar="BURST,PER_MINUTE")
    add(
        "--idempotency",
        choices=list(COMPARISONS),
        default=default.idempotency,
        help="what a replay compares: " + "; ".join(f"{name}: {text}" for name, text in COMPARISONS.items()),
    )
    add("--hang-seconds", type=float, default=default.hang_seconds, help="longest hang (%(default)s)")
    add("--slow-seconds", type=float, default=default.slow_seconds, help="how late is slow (%(default)s)")


def options_from(arguments: argparse.Namespace) -> SandboxOptions:
    """What the parsed arguments ask for. Raises ValueError."""
    return SandboxOptions(
        data_dir=arguments.data,
        host=arguments.host,
        port=arguments.port,
        time_scale=arguments.time_scale,
        faults=fault_rates(arguments.fault),
        seed=arguments.seed,
        keys=keys_from(arguments.key, arguments.revoked_key, arguments.read_only_key),
        upload_bucket=arguments.upload_bucket,
        get_bucket=arguments.get_bucket,
        idempotency=arguments.idempotency,
        hang_seconds=arguments.hang_seconds,
        slow_seconds=arguments.slow_seconds,
    )


def fault_rates(texts: Iterable[str]) -> dict[str, float]:
    """Rates from `KIND=RATE` texts. Raises ValueError."""
    rates: dict[str, float] = {}
    for text in texts:
        kind, _, rate = text.partition("=")
        try:
            rates[kind] = float(rate)
        except ValueError:
            raise ValueError(f"a fault is written KIND=RATE, such as http_500=0.1, not {text!r}") from None
    return rates


def keys_from(texts: Iterable[str], revoked: Iterable[str] = (), read_only: Iterable[str] = ()) -> dict[str, ApiKey]:
    """Keys from `KEY[=TEAM]` texts; the default one among them where none with all scopes is named."""
    keys = dict(_key(text, ApiKey()) for text in texts) or default_keys()
    keys |= dict(_key(text, ApiKey(scopes=frozenset({"read"}))) for text in read_only)
    return keys | {key: ApiKey(revoked=True) for key in revoked}


def _key(text: str, rights: ApiKey) -> tuple[str, ApiKey]:
    key, _, team = text.partition("=")
    return key, replace(rights, team=team) if team else rights


def bucket(text: str) -> Bucket:
    """A bucket from `BURST,PER_MINUTE`. Raises ValueError."""
    burst, _, per_minute = text.partition(",")
    return Bucket(int(burst), float(per_minute))


async def run(options: SandboxOptions, ready: Callable[[Sandbox], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, telling on stdout when ready. Raises SandboxHeld, OSError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Sandbox(options) as sandbox:
            (ready or _tell)(sandbox)
            await stop.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _tell(sandbox: Sandbox) -> None:
    sys.stdout.write(f"sandbox ready at {sandbox.base_url} with key {sandbox.api_key}\n")
    sys.stdout.flush()
