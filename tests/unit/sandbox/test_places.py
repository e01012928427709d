import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from ingestor.sandbox.errors import SandboxHeld
from ingestor.sandbox.places import HeldFolder, listening_socket


def test_a_folder_is_held_by_one_and_free_when_it_is_released(tmp_path):
    held = HeldFolder(tmp_path / "data")
    held.tell("127.0.0.1", 7, "http://127.0.0.1:7")
    with pytest.raises(SandboxHeld) as refused:
        HeldFolder(tmp_path / "data")
    assert refused.value.base_url == "http://127.0.0.1:7"
    held.release()
    HeldFolder(tmp_path / "data").release()


def test_the_port_of_the_last_time_is_remembered_for_its_host_alone(tmp_path):
    held = HeldFolder(tmp_path)
    assert held.last_port("127.0.0.1") == 0
    held.tell("127.0.0.1", 7, "http://127.0.0.1:7")
    held.release()
    again = HeldFolder(tmp_path)
    assert (again.last_port("127.0.0.1"), again.last_port("::1")) == (7, 0)
    again.release()


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"port": "x", "host": "127.0.0.1"}'])
def test_an_address_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "address.json").write_text(text)
    held = HeldFolder(tmp_path)
    assert held.last_port("127.0.0.1") == 0
    held.release()


def test_the_first_free_port_is_taken():
    with contextlib.closing(listening_socket("127.0.0.1", [0])) as taken:
        taken.listen()
        busy = taken.getsockname()[1]
        with contextlib.closing(listening_socket("127.0.0.1", [busy, 0])) as other:
            assert other.getsockname()[1] not in (0, busy)
        with pytest.raises(OSError, match="in use"):
            listening_socket("127.0.0.1", [busy])


HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from ingestor.sandbox.places import HeldFolder, listening_socket
held = HeldFolder(Path(sys.argv[1]))
bound = listening_socket("127.0.0.1", [0])
bound.listen()
child = os.fork()
if child == 0:
    os.close(1)
    time.sleep(60)
    os._exit(0)
print(child, bound.getsockname()[1], flush=True)
os._exit(0)
"""


def test_a_forked_child_that_outlives_its_parent_keeps_neither_folder_nor_port(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", HOLD_AND_FORK, str(tmp_path)], stdout=subprocess.PIPE, check=True, timeout=20
    )
    child, port = map(int, run.stdout.split())
    try:
        os.kill(child, 0)
        HeldFolder(tmp_path).release()
        with contextlib.closing(listening_socket("127.0.0.1", [port])) as bound:
            assert isinstance(bound, socket.socket)
    finally:
        os.kill(child, signal.SIGKILL)
