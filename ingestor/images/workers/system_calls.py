"""The system calls that a worker has no use for, and the seccomp filter that refuses them. seccomp(2), syscalls(2).

A list of what is forbidden, not of what is allowed: imaging libraries, the C library and the interpreter take new
calls into use with any update, and sound images would be refused for these.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def _table(text: str) -> dict[str, tuple[int | None, int | None]]:
    """Name to number on x86_64 and on aarch64; None where the machine has no such call."""
    rows = [row.split() for line in text.splitlines() for row in line.partition("#")[0].split(",") if row.strip()]
    return {name: (_number(x86_64), _number(aarch64)) for name, x86_64, aarch64 in rows}


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)


FORBIDDEN = _table("""
# the network
socket 41 198, socketpair 53 199, bind 49 200, listen 50 201, accept 43 202, accept4 288 242, connect 42 203
io_uring_setup 425 425
# new programs and processes
execve 59 221, execveat 322 281, fork 57 -, vfork 58 -
# other processes
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272, process_madvise 440 440
process_mrelease 448 448, move_pages 279 239, migrate_pages 256 238, pidfd_open 434 434, pidfd_getfd 438 438
pidfd_send_signal 424 424, ioprio_set 251 30, sched_setaffinity 203 122, sched_setparam 142 118
sched_setscheduler 144 119, sched_setattr 314 274
# what files are: Landlock rules over their names and their content alone
chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54
setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463, removexattr 197 14, lremovexattr 198 15
fremovexattr 199 16, removexattrat 466 466, utime 132 -, utimes 235 -, futimesat 261 -, utimensat 280 88
truncate 76 45, open_by_handle_at 304 265
# what outlives a process, escapes its limit on memory, or is scarce for all processes of a user together
shmget 29 194, semget 64 190, msgget 68 186, mq_open 240 180, memfd_create 319 279, memfd_secret 447 447
inotify_init 253 -, inotify_init1 294 26, fanotify_init 300 262
# another view of the system
unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41, chroot 161 51, open_tree 428 428
move_mount 429 429, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433, mount_setattr 442 442
# much of the kernel that an image needs nothing of
bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, add_key 248 217, request_key 249 218, keyctl 250 219
kexec_load 246 104, kexec_file_load 320 294, init_module 175 105, finit_module 313 273, delete_module 176 106
""")

# abort() and raise() are tgkill(2) on the caller's own process, with musl tkill(2).
ON_ITSELF_ALONE = _table(
    "kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240"
)
BY_ARGUMENT = _table("prlimit64 302 261, clone 56 220, clone3 435 435, fcntl 72 25, ioctl 16 29, setpriority 141 140")

_CLONE_THREAD = 0x10000
_PRIO_PROCESS = 0
_FCNTL_REFUSED = (8, 10, 15)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: with these a descriptor sends any signal to any process."""
_IOCTL_REFUSED = (0x5412, 0x541C, 0x8901, 0x8902)
"""TIOCSTI and TIOCLINUX type into terminals; FIOSETOWN and SIOCSPGRP are F_SETOWN once more."""

_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _END = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
"""Where struct seccomp_data has what; of arguments the lower half, which is all that these calls look at."""

_Line = tuple[int, str, str, int]
"""What to do, the label to go on at if so and if not ("" is the next line), and the value."""


def refuse_system_calls(libc: ctypes.CDLL) -> bool:
    """Install the filter in this thread, which may gain no privileges any more. True where it holds.

    Existing descriptors (the channel to the daemon) keep working.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        return False
    filtering = program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(filtering, len(filtering))
    # struct sock_fprog {unsigned short len; struct sock_filter *filter;}
    header = struct.pack("HxxxxxxP", len(filtering) // 8, ctypes.addressof(buffer))
    descriptor = ctypes.create_string_buffer(header, len(header))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, descriptor, 0, 0) == 0)


def program(machine: str, pid: int) -> bytes:
    """Classic BPF for the process `pid`: what it may not do fails with EPERM, and calls of other architectures too."""
    column = list(_AUDIT_ARCH).index(machine)
    forbidden, on_itself = ([row[column] for row in table.values()] for table in (FORBIDDEN, ON_ITSELF_ALONE))
    prlimit, clone, clone3, fcntl, ioctl, setpriority = (row[column] or 0 for row in BY_ARGUMENT.values())
    blocks: dict[str, Iterable[_Line]] = {
        "start": [
            (_LOAD, "", "", _ARCHITECTURE),
            (_EQUAL, "", "refuse", _AUDIT_ARCH[machine]),
            (_LOAD, "", "", _NUMBER),
            # x32 calls carry bit 30 and would get past the numbers of 64-bit calls.
            (_AT_LEAST, "refuse", "", 0x40000000),
            *((_EQUAL, "refuse", "", number) for number in forbidden if number is not None),
            *((_EQUAL, "on itself", "", number) for number in on_itself if number is not None),
            (_EQUAL, "limits", "", prlimit),
            (_EQUAL, "threads", "", clone),
            # Its flags are behind a pointer. The C library then goes on with clone.
            (_EQUAL, "not there", "", clone3),
            (_EQUAL, "fcntl", "", fcntl),
            (_EQUAL, "priority", "", setpriority),
            (_EQUAL, "ioctl", "allow", ioctl),
        ],
        "limits": [(_LOAD, "", "", _FIRST), (_EQUAL, "allow", "", 0)],
        "on itself": [(_LOAD, "", "", _FIRST), (_EQUAL, "allow", "refuse", pid)],
        "priority": [
            (_LOAD, "", "", _FIRST),
            (_EQUAL, "", "refuse", _PRIO_PROCESS),
            (_LOAD, "", "", _SECOND),
            (_EQUAL, "allow", "refuse", 0),
        ],
        "threads": [(_LOAD, "", "", _FIRST), (_ANY_BIT, "allow", "refuse", _CLONE_THREAD)],
        "fcntl": [(_LOAD, "", "", _SECOND), *_none_of(_FCNTL_REFUSED)],
        "ioctl": [(_LOAD, "", "", _SECOND), *_none_of(_IOCTL_REFUSED)],
        "allow": [(_END, "", "", _ALLOW)],
        "refuse": [(_END, "", "", _EPERM)],
        "not there": [(_END, "", "", _ENOSYS)],
    }
    return _assembled(blocks)


def _none_of(values: tuple[int, ...]) -> list[_Line]:
    *most, last = values
    return [*((_EQUAL, "refuse", "", value) for value in most), (_EQUAL, "refuse", "allow", last)]


def _assembled(blocks: dict[str, Iterable[_Line]]) -> bytes:
    """The lines of all blocks, in which a label has become the number of lines to skip."""
    lines: list[_Line] = []
    places: dict[str, int] = {}
    for label, block in blocks.items():
        places[label] = len(lines)
        lines += block
    skipped = [[places[label] - place - 1 if label else 0 for label in line[1:3]] for place, line in enumerate(lines)]
    return b"".join(struct.pack("HBBI", line[0], *skip, line[3]) for line, skip in zip(lines, skipped, strict=True))
