"""What a confined process can no longer do, tried in one that is really confined."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ingestor.images import confine

TRY = """
import os, sys
from ingestor.images.confine import confine
refused = confine(parent=os.getppid(), memory_bytes=500_000_000, file_bytes=1000, nice=5)
print(refused)
{what}
"""


def confined(what: str) -> subprocess.CompletedProcess[str]:
    # Unbuffered: what is printed before `os._exit` is told whatever the environment says.
    command = [sys.executable, "-u", "-c", TRY.format(what=what)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def lines(what: str) -> list[str]:
    done = confined(what)
    assert done.returncode == 0, done.stderr
    refused, *told = done.stdout.splitlines()
    if "no network" in refused and "seccomp" in what:
        pytest.skip("this kernel takes no filter")
    return told


def test_memory_is_limited():
    assert lines("try:\n    bytearray(600_000_000)\nexcept MemoryError:\n    print('limited')") == ["limited"]


def test_files_are_limited():
    told = lines(
        "import signal, tempfile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with tempfile.TemporaryFile() as file:\n"
        "    try:\n"
        "        file.write(bytes(5000)); file.flush()\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
        "        os._exit(0)"
    )
    assert told == ["File too large"]


def test_nothing_is_dumped_and_others_go_first():
    told = lines("import resource\nprint(resource.getrlimit(resource.RLIMIT_CORE), os.nice(0))")
    assert told == [f"(0, 0) {min(19, os.nice(0) + 5)}"]


@pytest.mark.parametrize(
    "what",
    [
        "import socket; socket.socket()",
        "import socket; socket.socketpair()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_the_filter_refuses(what):
    told = lines(f"# seccomp\ntry:\n    {what}\nexcept OSError as error:\n    print(error.strerror)")
    assert told == ["Operation not permitted"]


def test_threads_and_files_still_work():
    told = lines(
        "# seccomp\nimport threading\n"
        "thread = threading.Thread(target=print, args=(len(open('/proc/self/stat').read()) > 0,))\n"
        "thread.start(); thread.join()"
    )
    assert told == ["True"]


def test_an_orphan_ends_at_once():
    orphan = TRY.replace("os.getppid()", "1 << 22").format(what="print('alive')")
    done = subprocess.run([sys.executable, "-c", orphan], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_filter_is_a_program_of_whole_instructions():
    program = confine._program(0xC000003E, (41, 42))
    assert len(program) % 8 == 0
    assert len(program) // 8 == 4 + 2 + 2
