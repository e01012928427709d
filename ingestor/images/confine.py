"""What a worker gives up before it looks at the first image. All of it is for Linux; elsewhere less is given up.

No step is required to succeed: a kernel or container that refuses one leaves the others in place. What was
refused is told by `confine`, and ends up in the warnings of `ImagePool.confinement`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1  # SECCOMP_RET_ERRNO, EPERM
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FORBIDDEN = {
    # socket connect accept bind listen socketpair, execve execveat, ptrace, kill, process_vm_readv/writev,
    # io_uring_setup, bpf, userfaultfd, mount, open_by_handle_at
    "x86_64": (41, 42, 43, 49, 50, 53, 59, 322, 101, 62, 310, 311, 425, 321, 323, 165, 304),
    "aarch64": (198, 203, 202, 200, 201, 199, 221, 281, 117, 129, 270, 271, 425, 280, 282, 40, 265),
}


def confine(*, parent: int, memory_bytes: int, file_bytes: int, nice: int) -> list[str]:
    """Give up memory, core dumps, large files, priority, network, new programs, and life after the parent.

    Returns what could not be given up, in words. Exits at once when the parent is gone already.
    """
    refused: list[str] = []
    _limit(resource.RLIMIT_AS, memory_bytes, "memory limit", refused)
    _limit(resource.RLIMIT_CORE, 0, "core dumps", refused)
    _limit(resource.RLIMIT_FSIZE, file_bytes, "file size limit", refused)
    with contextlib.suppress(OSError):
        os.nice(nice)
    if sys.platform != "linux":
        return [*refused, "death with the parent, no network (Linux only)"]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        refused.append("death with the parent")
    if os.getppid() != parent:
        os._exit(0)
    if not _filter_system_calls(libc):
        refused.append("no network")
    return refused


def _limit(kind: int, value: int, what: str, refused: list[str]) -> None:
    try:
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    except (OSError, ValueError):
        refused.append(what)


def _filter_system_calls(libc: ctypes.CDLL) -> bool:
    """Install a seccomp filter under which no connection can be made and no program started.

    Existing descriptors (the channel to the daemon) keep working. True where it holds.
    """
    machine = platform.machine()
    if machine not in _FORBIDDEN:
        return False
    program = _program(_AUDIT_ARCH[machine], _FORBIDDEN[machine])
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog {unsigned short len; struct sock_filter *filter;}
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    descriptor = ctypes.create_string_buffer(header, len(header))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, descriptor, 0, 0) == 0)


def _program(architecture: int, forbidden: tuple[int, ...]) -> bytes:
    """Classic BPF: calls of another architecture and forbidden numbers fail with EPERM, all others pass."""
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    allow = 4 + len(forbidden)
    refuse = allow + 1
    # (what to do, lines to skip if so, lines to skip if not, value). x32 calls carry bit 30 and would get past the
    # numbers of 64-bit calls, so all of them are refused.
    lines = [
        (load, 0, 0, 4),
        (equal, 0, refuse - 2, architecture),
        (load, 0, 0, 0),
        (at_least, refuse - 4, 0, 0x40000000),
    ]
    lines += [(equal, refuse - 5 - place, 0, number) for place, number in enumerate(forbidden)]
    lines += [(end, 0, 0, _ALLOW), (end, 0, 0, _REFUSE)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
