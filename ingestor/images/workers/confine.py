"""What a worker gives up before it looks at the first image. All of it is for Linux; elsewhere less is given up.

No step is required to succeed: a kernel or container that refuses one leaves the others in place. What was
refused is told by `confine`, and ends up in the warnings of `ImagePool.confinement`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from pathlib import Path

from ingestor.images.workers.landlock import write_beneath
from ingestor.images.workers.system_calls import refuse_system_calls

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION = 0x20080522
_CAPABILITIES = 64
_KEPT = (1, 2)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: a daemon that is root takes images which only their owner may read, and its
spool may be another's. They open no other process, and Landlock keeps writing to the spool."""


def confine(*, parent: int, memory_bytes: int, file_bytes: int, nice: int, spool: Path | None = None) -> list[str]:
    """Give up memory, core dumps, large files, priority, life after the parent, privileges, writing outside of
    `spool` (None: writing stays as it is), the sight of other processes, network, and new programs.

    Returns what could not be given up, in words. Exits at once when the parent is gone already. Holds for this
    thread and those that it starts: there must be no other yet.
    """
    refused: list[str] = []
    _limit(resource.RLIMIT_AS, memory_bytes, "memory limit", refused)
    _limit(resource.RLIMIT_CORE, 0, "core dumps", refused)
    _limit(resource.RLIMIT_FSIZE, file_bytes, "file size limit", refused)
    with contextlib.suppress(OSError):
        os.nice(nice)
    if sys.platform != "linux":
        return [*refused, "death with the parent, no writing outside the spool, no network, no processes (Linux only)"]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        refused.append("death with the parent")
    if os.getppid() != parent:
        os._exit(0)
    if not _drop_privileges(libc):
        refused.append("no privileges")
    if not write_beneath(spool, libc):
        refused.append("no writing outside the spool")
    if not refuse_system_calls(libc):
        refused += ["no network", "no new processes"]
    return refused


def hide_from_workers() -> None:
    """Close the memory, the environment and the descriptors of this process to others of its user.

    Before the first worker starts: it is the same user, and the key is here. A crash then dumps no core, and the files
    of this process in `/proc` belong to root: what everybody may read there (mountinfo, stat) stays readable, and a
    process always finds its own descriptors; we read nothing else.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _limit(kind: int, value: int, what: str, refused: list[str]) -> None:
    try:
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    except (OSError, ValueError):
        refused.append(what)


def _drop_privileges(libc: ctypes.CDLL) -> bool:
    """All capabilities but `_KEPT`, and whatever could bring new ones. capabilities(7)"""
    for capability in range(_CAPABILITIES):
        if capability not in _KEPT:
            # Refused to whoever has no privileges to begin with, and who then gets none for want of new programs.
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    # struct {__u32 effective, permitted, inheritable;}, for capabilities below 32 and for those above
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0:
        return False
    kept = sum(1 << capability for capability in _KEPT) & struct.unpack_from("I", held, 4)[0]
    left = struct.pack("6I", kept, kept, 0, 0, 0, 0)
    # Who has nothing to give up may not even be allowed to ask: @privileged of systemd has capset in it.
    if any(held.raw) and libc.capset(header, left) != 0:
        return False
    return bool(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
