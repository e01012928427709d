"""A file in memory of which the first pages are ours, and all others are the system's cache, which takes no memory.

A private mapping of the file would not do: whoever shortens the file takes even copied pages away from it (mmap(2)).
"""

from __future__ import annotations

import ctypes
import mmap
import os

_MAP_FIXED = 0x10

_map = ctypes.CDLL(None, use_errno=True).mmap
_map.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_map.restype = ctypes.c_void_p
_FAILED = ctypes.c_void_p(-1).value


def pages(count: int) -> int:
    """The bytes of all pages that so many bytes begin."""
    return -(-count // mmap.PAGESIZE) * mmap.PAGESIZE


def behind(first: bytes, descriptor: int, size_bytes: int) -> mmap.mmap:
    """A file of `size_bytes`, to be read, behind `first`, which are whole pages and stand in place of its own.

    Raises `OSError` where the file cannot be mapped, or is shorter than that.
    """
    if os.fstat(descriptor).st_size < size_bytes:
        raise OSError("the file is shorter by now")
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start, flags = len(first), mmap.MAP_SHARED | _MAP_FIXED
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + start
    if _map(address, size_bytes - start, mmap.PROT_READ, flags, descriptor, start) == _FAILED:
        raise OSError(ctypes.get_errno(), "the file cannot be mapped")
    memory[:start] = first
    return memory
