"""A folder of mixed photographs through the whole of `ingestor backfill`, against the best shell pipeline for it.

Both send the same pictures at the same size, in the same format and quality, to the same plain server. The shell is
told the format and the quality, and has to find out by itself only which photographs comply. What it does not do
counts for nothing: strict checks, the result read back, a durable ledger, keys, a manifest.
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from ingestor.images.workers.worker import NICE
from tests import image_kit as kit
from tests.benchmarks.peers import Vips
from tests.benchmarks.plain_server import Running, running

ROUNDS = 3
CONCURRENCY = 8
_TICKS = os.sysconf("SC_CLK_TCK")
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Some photographs of one kind, and how vipsthumbnail is told to write what we write."""

    count: int
    size: tuple[int, int]
    format: str
    options: dict[str, object]
    orientation: int = 1
    sent_as: str


_RESIZED_JPEG = ".jpg[Q=95,subsample_mode=on]"
_WEBP = ".webp[Q=90]"
_JPEG = ".jpg[Q=90,subsample_mode=on]"

KINDS = (
    # Phones: half of their pictures lie on the side.
    Kind(count=20, size=(4032, 3024), format="JPEG", options={"quality": 90}, sent_as=_JPEG),
    Kind(count=20, size=(4032, 3024), format="JPEG", options={"quality": 90}, orientation=6, sent_as=_JPEG),
    Kind(count=16, size=(8064, 6048), format="JPEG", options={"quality": 90}, sent_as=_RESIZED_JPEG),
    # Cameras.
    Kind(count=30, size=(6000, 4000), format="JPEG", options={"quality": 92}, sent_as=_RESIZED_JPEG),
    Kind(count=6, size=(6000, 4000), format="PNG", options={"compress_level": 6}, sent_as=_WEBP),
    Kind(count=4, size=(6000, 4000), format="TIFF", options={"compression": "tiff_lzw"}, sent_as=_WEBP),
    # Exports.
    Kind(count=4, size=(5000, 4000), format="WEBP", options={"quality": 90, "method": 2}, sent_as=_WEBP),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    path: Path
    sent_as: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Once through the folder. CPU seconds count all processes that had a part in it, the server too."""

    seconds: float
    cpu_seconds: float
    busy: float
    """Share of all cores' time in which anything at all ran."""

    @property
    def own_share(self) -> float:
        return self.cpu_seconds / self.seconds / _CORES


def make_photographs(folder: Path) -> list[Photograph]:
    """A hundred, each of its own content, their kinds mixed."""
    base = kit.photograph(6000, 4500, 3)
    pictures: dict[tuple[int, int], Image.Image] = {}
    found: list[Photograph] = []
    for kind in KINDS:
        if kind.size not in pictures:
            pictures[kind.size] = base.resize(kind.size, Image.Resampling.BICUBIC)
        for number in range(kind.count):
            # Kinds take turns in the order of names, as they do in a folder that grew over time.
            path = folder / f"{number / kind.count:.3f}-{kind.size[0]}.{kind.format.lower()}"
            options = dict(kind.options)
            if kind.orientation != 1:
                path = path.with_name(f"turned-{path.name}")
                options["exif"] = b"Exif\0\0" + kit.exif(kind.orientation)
            picture = pictures[kind.size].copy()
            # Another corner is enough: what follows, in the file and in the work, is as much as before.
            picture.paste(kit.noise(64, 64, seed=len(found)), (0, 0))
            buffer = io.BytesIO()
            picture.save(buffer, kind.format, **options)
            path.write_bytes(buffer.getvalue())
            found.append(Photograph(path=path, sent_as=kind.sent_as))
    return sorted(found, key=lambda photograph: photograph.path)


# -- the two of them -------------------------------------------------------------------------------


LOOK_AND_SEND = f"""
source=$1 target=$2 options=$3 url=$4
while read -r name value; do
  case $name in width:) width=$value ;; height:) height=$value ;; orientation:) orientation=$value ;; esac
done <<END
$(vipsheader -a "$source")
END
if [ "$width" -gt 4096 ] || [ "$height" -gt 4096 ] || [ "${{orientation:-1}}" -ne 1 ]; then
  nice -n {NICE} vipsthumbnail "$source" --size '4096x4096>' -o "$target$options" && source=$target
fi
curl -sS --fail -H Expect: -F "file=@$source" -F purpose=reference "$url/v1/files"
"""
"""For one photograph. What complies is sent as found, or it would lose quality. Without `Expect:` curl asks first."""


def shell(photographs: list[Photograph], home: Path, server: Running, *, at_once: int, threads: int) -> Pass:
    """`xargs -P`."""
    home.mkdir()
    words: list[str] = []
    for photograph in photographs:
        suffix, bracket, options = photograph.sent_as.partition("[")
        target = home / photograph.path.with_suffix(suffix).name
        words += [str(photograph.path), str(target), bracket + options, server.url]
    xargs = ["xargs", "-0", "-n", "4", "-P", str(at_once), "sh", "-c", LOOK_AND_SEND, "sh"]
    environment = {**os.environ, "VIPS_CONCURRENCY": str(threads)}
    return _measured(xargs, home, server, "\0".join(words).encode(), environment, len(photographs))


def ours(photographs: list[Photograph], home: Path, server: Running) -> Pass:
    """The command itself, with its start and its end."""
    home.mkdir()
    config = home / "ingestor.yaml"
    document = {
        "api": {
            "base_url": server.url,
            "quota": {"burst": 1_000_000, "per_minute": 1_000_000},
            "concurrency": CONCURRENCY,
        },
        "folders": [{"path": str(photographs[0].path.parent), "purpose": "reference", "settle": "0s"}],
    }
    config.write_text(yaml.safe_dump(document))
    command = [sys.executable, "-m", "ingestor", "backfill", "--config", str(config)]
    return _measured(command, home, server, b"", dict(os.environ), len(photographs))


def _measured(
    command: list[str], home: Path, server: Running, stdin: bytes, environment: dict[str, str], expected: int
) -> Pass:
    given = home / "stdin"
    given.write_bytes(stdin)
    server_before, machine_before, began = _cpu_seconds(server.pid), _machine(), time.perf_counter()
    with given.open() as into, (home / "stdout").open("w") as out, (home / "stderr").open("w") as errors:
        process = subprocess.Popen(command, stdin=into, stdout=out, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    idle, total = (after - before for before, after in zip(machine_before, _machine(), strict=True))
    taken = server.uploads()
    if process.returncode or taken != expected:
        raise RuntimeError(f"{command[0]}: {taken} of {expected} uploads\n{(home / 'stderr').read_text()[-2000:]}")
    cpu_seconds = usage.ru_utime + usage.ru_stime + _cpu_seconds(server.pid) - server_before
    return Pass(seconds=seconds, cpu_seconds=cpu_seconds, busy=1 - idle / total)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _machine() -> tuple[int, int]:
    """Ticks in which the cores were idle, and all ticks."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


# -- the comparison --------------------------------------------------------------------------------

Way = Callable[[list[Photograph], Path, Running], Pass]


def shells() -> dict[str, Way]:
    """What people try: as many at once as cores, or twice as many, each with as many threads as it likes, or one."""

    def way(at_once: int, threads: int) -> Way:
        return lambda photographs, home, server: shell(photographs, home, server, at_once=at_once, threads=threads)

    return {
        f"xargs -P {at_once}, {threads} thread{'s' * (threads > 1)} each": way(at_once, threads)
        for at_once in (_CORES, 2 * _CORES)
        for threads in (1, _CORES)
    }


def compare() -> tuple[str, list[Pass], list[Pass]]:
    """The best shell pipeline by name, its passes, and ours, in turns."""
    Vips()
    with tempfile.TemporaryDirectory(prefix="bench-folder-") as place, running() as server:
        root = Path(place)
        inbox = root / "inbox"
        inbox.mkdir()
        photographs = make_photographs(inbox)
        candidates = shells()
        first = {
            name: run(photographs, root / f"try-{number}", server)
            for number, (name, run) in enumerate(candidates.items())
        }
        best = min(first, key=lambda name: first[name].seconds)
        theirs, own = [first[best]], [ours(photographs, root / "ours-0", server)]
        for number in range(1, ROUNDS):
            theirs.append(candidates[best](photographs, root / f"theirs-{number}", server))
            own.append(ours(photographs, root / f"ours-{number}", server))
    return best, theirs, own


def main() -> None:
    """Print the report as Markdown."""
    best, theirs, own = compare()
    print("## A folder of 100 mixed photographs\n")
    print(
        f"`ingestor backfill` against the best of {len(shells())} shell pipelines ({best}); medians of runs in turn.\n"
    )
    seconds = [statistics.median(one.seconds for one in passes) for passes in (own, theirs)]
    cpu = [statistics.median(one.cpu_seconds for one in passes) for passes in (own, theirs)]
    share, busy = statistics.median(one.own_share for one in own), statistics.median(one.busy for one in own)
    print("| figure | ingestor | shell | ratio | goal |\n|---|---|---|---|---|")
    print(f"| wall | {seconds[0]:.1f} s | {seconds[1]:.1f} s | {seconds[0] / seconds[1]:.2f} | ≤ 0.8 |")
    print(f"| CPU, the server's too | {cpu[0]:.1f} s | {cpu[1]:.1f} s | {cpu[0] / cpu[1]:.2f} | |")
    print(f"| cores busy: with this; with anything | {share:.0%}; {busy:.0%} | | | ≥ 90 % |")


if __name__ == "__main__":
    main()
