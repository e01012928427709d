"""Landlock: what the kernel keeps a process from doing to files, and to processes that gave up less. landlock(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Their numbers on every machine."""

_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _REMOVE_FILE, _MAKE_REG = 1 << 0, 1 << 1, 1 << 5, 1 << 8
_WRITES = _WRITE_FILE | 1 << 4 | _REMOVE_FILE | 1 << 6 | 1 << 7 | _MAKE_REG | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
_SINCE = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Version to what it adds: to link and move between folders, to truncate, to control devices."""

_SCOPED_SINCE, _SCOPED = 6, 3
"""Abstract sockets and signals stay among processes that gave up the same."""


def write_beneath(spool: Path | None, libc: ctypes.CDLL) -> bool:
    """From now on make, write and remove files in `spool` alone (nowhere if it is not there; None: anywhere).

    Whatever `spool` is, other processes can then be neither traced nor looked into by `/proc`: their memory, their
    environment and their descriptors. True where all of it holds.
    """
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    writes = _WRITES | sum(right for since, right in _SINCE.items() if since <= version) if spool else 0
    # struct landlock_ruleset_attr {__u64 handled_access_fs, handled_access_net, scoped;}, the last since 6.
    ruleset = (
        struct.pack("QQQ", _EXECUTE | writes, 0, _SCOPED)
        if version >= _SCOPED_SINCE
        else struct.pack("Q", _EXECUTE | writes)
    )
    rules = libc.syscall(_CREATE_RULESET, ruleset, ctypes.c_size_t(len(ruleset)), 0)
    if rules < 0:
        return False
    try:
        if spool and not _allow(rules, spool, writes & (_WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _SINCE[3]), libc):
            return False
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(rules: int, folder: Path, rights: int, libc: ctypes.CDLL) -> bool:
    try:
        place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        # struct landlock_path_beneath_attr {__u64 allowed_access; __s32 parent_fd;}, packed
        rule = struct.pack("=Qi", rights, place)
        return bool(libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(place)
