"""The tools that people would use instead, installed by the benchmark itself, and how long they take."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ingestor.images.workers.worker import NICE

SHARP = """
const sharp = require('sharp');
const [, , source, target, quality] = process.argv;
let work = sharp(source, {limitInputPixels: false}).rotate().resize(4096, 4096, {fit: 'inside'});
work = target.endsWith('webp') ? work.webp({quality: +quality}) : work.jpeg({quality: +quality});
work.toFile(target).catch(error => { console.error(error); process.exit(1); });
"""

_MEASURE = f"""
import os, sys, time
os.nice({NICE})
began = time.perf_counter()
pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command: wall seconds, and the most memory it held."""

    seconds: float
    peak_bytes: int


def run(*command: str) -> Cost:
    """Run a command to its end, as low in priority as our workers are. Raises `RuntimeError` where it fails."""
    # Started by a process of its own: what a large parent holds would be counted as the child's memory.
    done = subprocess.run([sys.executable, "-S", "-c", _MEASURE, *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr}")
    seconds, kilobytes = done.stdout.split()[-2:]
    return Cost(float(seconds), int(kilobytes) * 1024)


class Vips:
    """Debian's `vipsthumbnail`."""

    def __init__(self) -> None:
        if shutil.which("vipsthumbnail") is None:
            subprocess.run(["apt-get", "install", "-y", "-qq", "libvips-tools"], check=True, capture_output=True)
        told = subprocess.run(["vipsthumbnail", "--version"], capture_output=True, text=True, check=True).stdout
        self.name = told.strip().replace("vips-", "vipsthumbnail ")

    def shrink(self, source: Path, target: Path, quality: int) -> Cost:
        return run("vipsthumbnail", str(source), "--size", "4096x4096>", "-o", f"{target}[Q={quality}]")


class Rclone:
    """Debian's `rclone copy`, of files that are there already."""

    def __init__(self) -> None:
        if shutil.which("rclone") is None:
            subprocess.run(["apt-get", "install", "-y", "-qq", "rclone"], check=True, capture_output=True)
        told = subprocess.run(["rclone", "version"], capture_output=True, text=True, check=True).stdout
        self.name = told.split("\n")[0].replace("rclone ", "rclone copy ")

    def copy(self, source: Path, target: Path) -> Cost:
        return run("rclone", "copy", "--config", "/dev/null", str(source), str(target))


class Sharp:
    """npm's sharp, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "sharp"], cwd=folder, check=True, capture_output=True)
        self._script = folder / "shrink.js"
        self._script.write_text(SHARP)
        asked = "console.log(require('sharp').versions.sharp)"
        told = subprocess.run(["node", "-e", asked], cwd=folder, capture_output=True, text=True, check=True).stdout
        self.name = f"sharp {told.strip()}"

    def shrink(self, source: Path, target: Path, quality: int) -> Cost:
        return run("node", str(self._script), str(source), str(target), str(quality))
