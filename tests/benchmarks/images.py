"""Images against their peers: the same format, quality and size, in turns, as ratios of medians.

Every figure is measured in one run, since machines differ and only the ratios are worth keeping. Ours is a warm worker
of the real pool, as it is in a daemon, asked through its socket, with integrity `strict` and the result read back.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import simplejpeg
from PIL import Image

from ingestor.images.attached import Attached
from ingestor.images.fitting import Limits, as_webp
from ingestor.images.kinds import jpeg
from ingestor.images.kinds.jpeg_markers import Walk
from ingestor.images.pixels import resample
from ingestor.images.workers.pool import ImagePool
from ingestor.ports import NormaliseRules
from tests import image_kit as kit
from tests.benchmarks.peers import Cost, Sharp, Vips

ROUNDS = 5
WEBP_WORKER = "tests.benchmarks.webp_worker"
REAL_WORKER = "ingestor.images.workers.worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One task for all: `quality` is what the peers are told; `wanted` what gives the same here."""

    name: str
    source: str
    suffix: str
    quality: int
    wanted: int
    entry: str
    goal: str


def _work(name: str, source: str, suffix: str, quality: int, wanted: int, entry: str, goal: str) -> Work:
    return Work(name=name, source=source, suffix=suffix, quality=quality, wanted=wanted, entry=entry, goal=goal)


WORKS = (
    _work("48 MP JPEG → WebP", "48.jpg", ".webp", 90, 90, WEBP_WORKER, "≤ 1.0"),
    _work("108 MP JPEG → WebP", "108.jpg", ".webp", 90, 90, WEBP_WORKER, "≤ 1.0"),
    _work("24 MP PNG → WebP", "24.png", ".webp", 90, 90, REAL_WORKER, "≤ 0.9"),
    _work("108 MP JPEG → JPEG", "108.jpg", ".jpg", 85, 70, REAL_WORKER, "≤ 1.0"),
    _work("48 MP JPEG → JPEG, as it is sent", "48.jpg", ".jpg", 95, 90, REAL_WORKER, ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the report."""

    what: str
    figures: tuple[str, ...]
    goal: str


def make_sources(folder: Path) -> None:
    """Large pictures with shapes, edges, texture and grain, as cameras give them."""
    base = kit.photograph(6000, 4500, 3)
    for name, size in (("48.jpg", (8064, 6048)), ("108.jpg", (12000, 9000)), ("24.png", (5657, 4243))):
        image = base.resize(size, Image.Resampling.BICUBIC)
        image.save(folder / name, **({"quality": 92} if name.endswith("jpg") else {"compress_level": 6}))


async def measure_ours(work: Work, source: Path, spool: Path, pool: ImagePool) -> Cost:
    began = time.perf_counter()
    payload = await pool.normalise(source, spool)
    seconds = time.perf_counter() - began
    assert payload.file.suffix == work.suffix, payload
    payload.file.unlink()
    return Cost(seconds, peak_bytes(pool.worker_pids[0]))


def peak_bytes(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def compare(work: Work, folder: Path, peers: list[Vips | Sharp]) -> Row:
    """Ours and the peers in turns."""

    async def turns() -> dict[str, list[Cost]]:
        costs: dict[str, list[Cost]] = {"ours": [], **{peer.name: [] for peer in peers}}
        rules = NormaliseRules(webp_quality=work.wanted)
        pool = ImagePool(rules, workers=1, entry=work.entry)
        try:
            await pool.warm_up()
            for _ in range(ROUNDS):
                costs["ours"].append(await measure_ours(work, folder / work.source, folder, pool))
                for peer in peers:
                    target = folder / f"peer{work.suffix}"
                    costs[peer.name].append(
                        await asyncio.to_thread(peer.shrink, folder / work.source, target, work.quality)
                    )
        finally:
            await pool.close()
        return costs

    costs = asyncio.run(turns())
    seconds = {name: statistics.median(cost.seconds for cost in of_one) for name, of_one in costs.items()}
    peaks = {name: max(cost.peak_bytes for cost in of_one) for name, of_one in costs.items()}
    figures = [f"{seconds['ours']:.2f} s", f"{peaks['ours'] / 1e6:.0f} MB"]
    for peer in peers:
        figures.append(f"{seconds['ours'] / seconds[peer.name]:.2f}")
        figures.append(f"{peaks['ours'] / peaks[peer.name]:.2f}")
    return Row(what=work.name, figures=tuple(figures), goal=work.goal)


# -- figures of our own ----------------------------------------------------------------------------


def best_seconds(work: Callable[[], object]) -> float:
    """The shortest of some runs: what others on the machine do only ever adds."""
    shortest = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest


def integrity_ratio() -> float:
    data = kit.jpeg(kit.photograph(4000, 3000, 4), quality=92)
    plain = best_seconds(lambda: simplejpeg.decode_jpeg(data, "RGB", strict=False))
    return best_seconds(lambda: jpeg.check(Walk(data))) / plain


def hard_pictures() -> list[Image.Image]:
    photo = kit.photograph(3600, 2700, 5)
    return [
        *(
            Image.blend(photo, kit.noise(3600, 2700, seed=seed), share)
            for seed, share in ((1, 0.3), (2, 0.5), (3, 0.8))
        ),
        kit.noise(4000, 3000),
    ]


def fitting_figures() -> tuple[float, float]:
    """Full encodes on average, and the least share of the limit that was used, where quality had to go down."""
    limits = Limits(max_bytes=5_000_000, quality=90)
    fitted = [as_webp(picture, limits, Attached(), "bench") for picture in hard_pictures()]
    encodes = statistics.mean(one.full_encodes for one in fitted)
    return encodes, min(len(one.data) for one in fitted) / limits.max_bytes


def longest_stall_seconds(folder: Path) -> float:
    """For how long the daemon's loop did nothing else while workers started and images went through."""

    async def watched() -> float:
        stalls = [0.0]
        stop = asyncio.Event()

        async def tick() -> None:
            while not stop.is_set():
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                stalls.append(time.perf_counter() - began - 0.001)

        ticking = asyncio.create_task(tick())
        pool = ImagePool(NormaliseRules())
        try:
            payloads = await asyncio.gather(*(pool.normalise(folder / "24.png", folder) for _ in range(4)))
        finally:
            stop.set()
            await ticking
            await pool.close()
        for payload in payloads:
            payload.file.unlink()
        return max(stalls)

    return asyncio.run(watched())


def likeness(folder: Path, vips: Vips) -> tuple[float, float]:
    """SSIM of the 24 MP picture as WebP against Lanczos in floating point: ours, and the peer's."""

    async def ours() -> Path:
        pool = ImagePool(NormaliseRules(), workers=1)
        try:
            return (await pool.normalise(folder / "24.png", folder)).file
        finally:
            await pool.close()

    sent, peers = asyncio.run(ours()), folder / "peer.webp"
    vips.shrink(folder / "24.png", peers, 90)
    with Image.open(folder / "24.png") as source, Image.open(sent) as one, Image.open(peers) as other:
        middle = (1000, 600, 3000, 2000)
        meant = kit.luma(kit.lanczos_in_float(source, one.size))[middle[1] : middle[3], middle[0] : middle[2]]
        found = [kit.ssim(kit.luma(np.asarray(image.convert("RGB").crop(middle))), meant) for image in (one, other)]
    sent.unlink()
    return found[0], found[1]


def run() -> tuple[list[str], list[Row], list[Row]]:
    """The names of the peers, the comparisons, and the figures of our own."""
    folder = Path(tempfile.mkdtemp(prefix="bench-images-"))
    try:
        peers: list[Vips | Sharp] = [vips := Vips(), Sharp(folder / "sharp")]
        make_sources(folder)
        compared = [compare(work, folder, peers) for work in WORKS]
        encodes, used = fitting_figures()
        like, peers_like = likeness(folder, vips)
        stall = longest_stall_seconds(folder)
        own = [
            Row(what="strict check of a JPEG / its decode", figures=(f"{integrity_ratio():.2f}",), goal="≤ 1.3"),
            Row(what="full encodes of a hard picture, on average", figures=(f"{encodes:.2f}",), goal="≤ 1.2"),
            Row(what="share of the limit used, at least", figures=(f"{used:.2f}",), goal="≥ 0.90"),
            Row(what="SSIM, 24 MP PNG → WebP (peer's)", figures=(f"{like:.4f} ({peers_like:.4f})",), goal="≥ 0.98"),
            Row(what="longest stall of the daemon's loop", figures=(f"{stall * 1e3:.0f} ms",), goal="≤ 50 ms"),
        ]
        return [peer.name for peer in peers], compared, own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pillow_in_use() -> str:
    """pillow-simd installs itself under the same name, and tells itself by a version that ends in .postN."""
    return f"Pillow{'-SIMD' if '.post' in PIL.__version__ else ''} {PIL.__version__}"


def main() -> None:
    """Print the report as Markdown."""
    names, compared, own = run()
    libraries = f"{pillow_in_use()}, simplejpeg {simplejpeg.__version__}, libvips {resample.VERSION}"
    print(f"## Images\n\n{libraries}; longest side to 4096 px.")
    print("Goal of the peak, where there is one of the time: ≤ 1.5 x vipsthumbnail's.\n")
    heads = [
        "work",
        "ours",
        "peak",
        *(f"{word} / {name}" for name in names for word in ("time", "peak")),
        "goal (time)",
    ]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in compared:
        print("| " + " | ".join([row.what, *row.figures, row.goal]) + " |")
    print("\n| figure | measured | goal |\n|---|---|---|")
    for row in own:
        print(f"| {row.what} | {row.figures[0]} | {row.goal} |")


if __name__ == "__main__":
    main()
