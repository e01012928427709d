from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import ingestor

START = """
import asyncio
from ingestor.images.workers.process import WorkerProcess
from ingestor.ports import NormaliseRules

async def start():
    worker = await WorkerProcess.start(NormaliseRules(), 8 << 30, "ingestor.only_here")
    await worker.end()

asyncio.run(start())
"""


def test_a_worker_runs_the_package_that_started_it(tmp_path):
    """Not another one that is installed: here, a copy has a module which that lacks."""
    package = Path(ingestor.__file__).parent
    shutil.copytree(package, tmp_path / "ingestor")
    (tmp_path / "ingestor" / "only_here.py").write_text("from ingestor.images.workers.worker import main\n")
    done = subprocess.run([sys.executable, "-c", START], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_worker_is_spared_what_the_pool_needs():
    """Asyncio and TLS would be a tenth of its memory."""
    told = "import sys, ingestor.images.workers.worker; print({'asyncio', 'ssl'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr
