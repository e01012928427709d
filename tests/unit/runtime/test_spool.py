from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ingestor.runtime.spool import own_spool

HOLD = """
import sys, time
from pathlib import Path
from ingestor.runtime.spool import own_spool
with own_spool(Path(sys.argv[1])) as own:
    (own / "image").write_bytes(b"x")
    print(own, flush=True)
    time.sleep(60)
"""


def test_each_process_has_a_folder_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    with own_spool(tmp_path / "spool") as one, own_spool(tmp_path / "spool") as two:
        assert one != two
        assert one.is_dir()
        assert two.is_dir()
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_live_one_has_is_not(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        with own_spool(tmp_path):
            assert (held / "image").exists()
    finally:
        process.kill()
        process.communicate()
    with own_spool(tmp_path):
        assert not held.exists()
