"""`ingestor sandbox`.

Without --data nothing outlives the run. Faults are given as KIND=RATE, such as http_500=0.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from ingestor.cli.common import run
from ingestor.cli.exits import Exit, Failed


def command(
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8788,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of files and index.")] = None,
    time_scale: Annotated[float, typer.Option(metavar="N", help="Its clock runs N times faster.")] = 1.0,
    fault: Annotated[list[str] | None, typer.Option(metavar="KIND=RATE", help="May be repeated.")] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Name the kinds of faults and exit.")] = False,
    key: Annotated[list[str] | None, typer.Option(metavar="KEY[=TEAM]", help="Keys that it knows.")] = None,
    upload_bucket: Annotated[str, typer.Option(metavar="BURST,PER_MINUTE", help="Quota of uploads.")] = "60,30",
    get_bucket: Annotated[str, typer.Option(metavar="BURST,PER_MINUTE", help="Quota of GETs.")] = "1200,600",
    revoked_key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Keys that are refused.")] = None,
    read_only_key: Annotated[list[str] | None, typer.Option(metavar="KEY", help="Keys without `write`.")] = None,
    idempotency: Annotated[str, typer.Option(help="What a replay compares: documented, seed or raw.")] = "documented",
    seed: Annotated[int | None, typer.Option(help="Of the faults' chance.")] = None,
) -> None:
    from ingestor import sandbox

    if list_faults:
        typer.echo("\n".join(f"{name}: {what}" for name, what in sandbox.FAULTS.items()))
        return
    try:
        options = sandbox.SandboxOptions(
            data_dir=data,
            host=host,
            port=port,
            time_scale=time_scale,
            faults=sandbox.fault_rates(fault or []),
            keys=sandbox.keys_from(key or [], revoked_key or [], read_only_key or []),
            upload_bucket=sandbox.bucket(upload_bucket),
            get_bucket=sandbox.bucket(get_bucket),
            idempotency=cast("sandbox.Comparison", idempotency),
            seed=seed,
        )
    except ValueError as error:
        raise Failed(Exit.WRONG_USAGE, str(error)) from error
    try:
        run(sandbox.run(options))
    except sandbox.SandboxHeld as held:
        raise Failed(Exit.HELD, str(held)) from held
    except OSError as error:
        raise Failed(Exit.WRONG_USAGE, f"cannot serve on {host}:{port}: {error.strerror or error}") from error
