"""What a confined process can no longer do, tried in one that is really confined."""

from __future__ import annotations

import os
import platform
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ingestor.images.workers import system_calls

TRY = """
import ctypes, os, sys
from pathlib import Path
from ingestor.images.workers.confine import confine
from ingestor.images.workers.system_calls import BY_ARGUMENT, FORBIDDEN, ON_ITSELF_ALONE
spool = {spool}
refused = confine(parent=os.getppid(), memory_bytes=500_000_000, file_bytes=1000, nice=5, spool=spool)
print(refused)
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *(ctypes.c_long(argument) for argument in arguments))
    return os.strerror(ctypes.get_errno()) if result < 0 else "done"
def tried(do, *arguments):
    try:
        do(*arguments)
        return "done"
    except OSError as error:
        return error.strerror
{what}
"""

COLUMN = ["x86_64", "aarch64"].index(platform.machine()) if platform.machine() in ("x86_64", "aarch64") else 0


def confined(what: str, spool: Path | None = None) -> subprocess.CompletedProcess[str]:
    # Unbuffered: what is printed before `os._exit` is told whatever the environment says.
    place = "None" if spool is None else f"Path({str(spool)!r})"
    command = [sys.executable, "-u", "-c", TRY.format(what=what, spool=place)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def lines(what: str, spool: Path | None = None) -> list[str]:
    done = confined(what, spool)
    assert done.returncode == 0, done.stderr
    refused, *told = done.stdout.splitlines()
    if "no network" in refused and "seccomp" in what:
        pytest.skip("this kernel takes no filter")
    if "no writing outside the spool" in refused and "landlock" in what:
        pytest.skip("this kernel has no Landlock")
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
    orphan = TRY.replace("os.getppid()", "1 << 22").format(what="print('alive')", spool="None")
    done = subprocess.run([sys.executable, "-c", orphan], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_of_whole_instructions_that_go_on_within_it(machine):
    program = system_calls.program(machine, 4711)
    assert len(program) % 8 == 0
    count = len(program) // 8
    for place, (code, so, not_so, _) in enumerate(struct.iter_unpack("HBBI", program)):
        assert place + 1 + max(so, not_so) < count or code == system_calls._END


def test_every_forbidden_call_is_refused():
    told = lines(
        "# seccomp\n"
        f"for name, numbers in FORBIDDEN.items():\n"
        f"    if (number := numbers[{COLUMN}]) is not None:\n"
        "        print(name, call(number, *[-1] * 6))"
    )
    assert len(told) > 70
    assert {line.partition(" ")[2] for line in told} == {"Operation not permitted"}


def test_no_signal_reaches_the_parent_and_its_limits_stay_its_own():
    told = lines(
        "# seccomp\n"
        "import resource\n"
        "parent = os.getppid()\n"
        "for name, numbers in ON_ITSELF_ALONE.items():\n"
        f"    print(call(numbers[{COLUMN}], parent, parent if name.startswith(('tg', 'rt_tg')) else 0, 0, 0))\n"
        "    print(call(numbers[%d], -1, 0, 0, 0))\n"
        % COLUMN
        + "print(tried(resource.prlimit, parent, resource.RLIMIT_NOFILE))\n"
        "print(tried(os.setpriority, os.PRIO_PROCESS, parent, 19), tried(os.setpriority, os.PRIO_USER, 0, 19))\n"
        "print(tried(resource.prlimit, 0, resource.RLIMIT_NOFILE), tried(os.setpriority, os.PRIO_PROCESS, 0, 19))"
    )
    assert told == [
        *["Operation not permitted"] * 11,
        "Operation not permitted Operation not permitted",
        "done done",
    ]


def test_a_process_still_ends_itself():
    done = confined("# seccomp\nimport signal\nsignal.raise_signal(0)\nos.abort()")
    assert done.returncode == -signal.SIGABRT


def test_no_process_is_started():
    told = lines(
        "# seccomp\n"
        f"print(tried(os.fork), call(BY_ARGUMENT['clone'][{COLUMN}], 17, 0, 0, 0, 0), call(435, 0, 0), sep=', ')"
    )
    assert told == ["Operation not permitted, Operation not permitted, Function not implemented"]


def test_no_descriptor_sends_signals_and_no_terminal_is_typed_into():
    told = lines(
        "# seccomp\n"
        "import fcntl\n"
        "file = open('/dev/null')\n"
        "for what in (8, 10, 15):\n"
        "    print(tried(fcntl.fcntl, file, what, 0))\n"
        "for what in (0x5412, 0x541C, 0x8901, 0x8902):\n"
        "    print(tried(fcntl.ioctl, file, what, b'xxxx'))\n"
        "print(tried(fcntl.fcntl, file, fcntl.F_GETFL), tried(fcntl.ioctl, file, 0x5401, bytes(60)))"
    )
    assert told == ["Operation not permitted"] * 7 + ["done Inappropriate ioctl for device"]


@pytest.mark.parametrize(("header", "column"), [("x86_64-linux-gnu/asm/unistd_64.h", 0), ("asm-generic/unistd.h", 1)])
def test_the_numbers_are_the_kernels(header, column):
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip(f"no {path} here")
    text = re.sub(r"\b__NR3264_(?=\w+ \d)", "__NR_", path.read_text())
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}
    ours = {**system_calls.FORBIDDEN, **system_calls.ON_ITSELF_ALONE, **system_calls.BY_ARGUMENT}
    # Headers may be older than the newest calls.
    wrong = {name: row for name, row in ours.items() if name in known and row[column] != known[name]}
    missing = {name for name, row in ours.items() if row[column] and row[column] < 430 and name not in known}
    assert (wrong, missing) == ({}, set())


def test_files_are_made_and_removed_in_the_spool_alone(tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "other").write_text("kept")
    told = lines(
        "# landlock\n"
        f"other = Path({str(tmp_path / 'other')!r})\n"
        "def made(path):\n"
        "    path.write_text('x'); path.unlink()\n"
        "print(tried(made, spool / 'a'), other.read_text())\n"
        "(spool / 'b').touch()\n"
        "for do, *arguments in (\n"
        "    (Path.write_text, other, 'y'), (open, other, 'a'), (open, other, 'r+'), (os.unlink, other),\n"
        "    (made, other.with_name('new')), (os.mkdir, other.with_name('new')), (os.rmdir, spool),\n"
        "    (os.symlink, '/', other.with_name('new')), (os.symlink, '/', spool / 'new'), (os.mkdir, spool / 'new'),\n"
        "    (os.mkfifo, spool / 'new'),\n"
        "):\n"
        "    print(tried(do, *arguments))\n"
        "for do, *arguments in (\n"
        "    (os.rename, other, spool / 'c'), (os.rename, spool / 'b', other), (os.link, other, spool / 'c'),\n"
        "    (os.truncate, other, 0), (os.chmod, other, 0), (os.utime, other), (os.chown, other, -1, -1),\n"
        "):\n"
        "    print(tried(do, *arguments) != 'done')",
        tmp_path / "spool",
    )
    assert told == ["done kept"] + ["Permission denied"] * 11 + ["True"] * 7
    assert (tmp_path / "other").read_text() == "kept"


def test_where_the_spool_is_not_there_nothing_is_written(tmp_path):
    told = lines(f"# landlock\nprint(tried(Path({str(tmp_path / 'a')!r}).touch))", tmp_path / "spool")
    assert told == ["Permission denied"]


def test_other_processes_are_not_looked_into():
    told = lines(
        "# landlock\n"
        "for pid in (os.getppid(), 'self'):\n"
        "    for file in ('environ', 'mem', 'maps', 'root/etc'):\n"
        "        print(tried(os.open, f'/proc/{pid}/{file}', os.O_RDONLY))\n"
        "    print(tried(os.readlink, f'/proc/{pid}/fd/1'))"
    )
    assert told == ["Permission denied"] * 5 + ["done"] * 5


def test_privileges_are_given_up_but_for_reading_the_images_of_others(tmp_path):
    told = lines("print(*[line.split()[1] for line in open('/proc/self/status') if line[:3] in ('Cap', 'NoN')])")
    *sets, no_new = told[0].split()
    inheritable, permitted, effective, bounding, ambient = (int(held, 16) for held in sets)
    assert no_new == "1"
    assert inheritable == ambient == 0
    assert (permitted | effective) & ~0b110 == 0
    if os.geteuid() != 0:
        return
    assert bounding & ~0b110 == 0
    theirs = tmp_path / "theirs"
    theirs.write_text("readable")
    theirs.chmod(0o600)
    os.chown(theirs, 65534, 65534)
    assert lines(f"print(Path({str(theirs)!r}).read_text())") == ["readable"]


@pytest.mark.parametrize(("hide", "seen"), [("hide_from_workers()", "Permission denied"), ("", "done")])
def test_the_environment_of_the_daemon_is_hidden_where_there_is_no_landlock_too(hide, seen):
    script = f"""
import ctypes, os, sys
from ingestor.images.workers.confine import _drop_privileges, hide_from_workers
_drop_privileges(ctypes.CDLL(None))  # root, too, is then a user like others
{hide}
open('/proc/self/mountinfo').read(), os.listdir('/proc/self/fd'), open('/dev/stderr', 'w').close()
if not os.fork():
    for file, how in (('environ', os.O_RDONLY), ('mem', os.O_RDWR)):
        try:
            os.open(f'/proc/{{os.getppid()}}/{{file}}', how)
            print('done')
        except OSError as error:
            print(error.strerror)
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-u", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout.splitlines(), done.stderr) == ([seen] * 2, "")
