"""The worker process: one image at a time, a path in, a small answer out.

Started by `process.WorkerProcess` with a clean environment and one socket. It imports the imaging libraries first,
then gives up what it does not need, then says that it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time

from ingestor.errors import DiskFault, ImageRejected, IngestorError, SourceNotReady
from ingestor.images.normalise import inspect, normalise, prepare
from ingestor.images.workers import answers, wire
from ingestor.images.workers.confine import confine
from ingestor.ports import NormaliseRules

NICE = 5
"""Below the daemon: uploads and signals go first when the cores are busy."""


def main() -> None:
    """Serve images until the other side closes. Arguments: descriptor, parent's process id, settings as JSON."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[3])
    rules = NormaliseRules(**settings["rules"])
    prepare(rules)
    refused = confine(
        parent=int(sys.argv[2]),
        memory_bytes=settings["memory_bytes"],
        file_bytes=rules.max_bytes + 4 * 1024 * 1024,
        nice=NICE,
        spool=None if settings["spool"] is None else wire.path_from_text(settings["spool"]),
    )
    channel.sendall(wire.pack({"end": "ready", "refused": refused}))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while (task := wire.receive(channel)) is not None:
            channel.sendall(wire.pack(answer(task, rules)))
    # Nothing is left to be tidied up, and libraries of a worker that met a bad image need not be unloaded in order.
    os._exit(0)


def answer(task: wire.Message, rules: NormaliseRules) -> wire.Message:
    """What became of one image, as a value; a `MemoryError` too, since the limit on memory is the image's."""
    source = wire.path_from_text(task["source"])
    began = time.perf_counter()
    try:
        if task["do"] == "inspect":
            payload = inspect(source, rules, began)
        else:
            payload = normalise(source, wire.path_from_text(task["spool_stem"]), rules, began)
        return answers.of_payload(payload)
    except (ImageRejected, SourceNotReady, DiskFault) as error:
        return answers.of_error(error)
    except MemoryError:
        return answers.of_error(_too_little_memory(source.name))


def _too_little_memory(name: str) -> IngestorError:
    return ImageRejected(
        "memory",
        f"{name}: needs more memory than a worker may have; make it smaller, or raise normalise.max_pixels, "
        "from which the limit follows",
    )


if __name__ == "__main__":
    main()
