"""Sample images for `make run`: python tests/samples.py FOLDER. All are drawn here; none is stored anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

MEGAPIXELS_24 = (6000, 4000)


def photograph(width: int, height: int, seed: int = 1) -> Image.Image:
    """Something like a photograph: soft light, a few edges, a little grain."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (max(2, height // 200), max(2, width // 200), 3), dtype=np.uint8)
    soft = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.integers(0, 13, (height, width, 1), dtype=np.int16) - 6
    light = np.asarray(soft.filter(ImageFilter.GaussianBlur(2)), dtype=np.int16) + grain
    return Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))


def noise(width: int, height: int, seed: int = 2) -> Image.Image:
    """What compresses worst."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def write_samples(folder: Path) -> list[Path]:
    """A folder such as people have: large, turned, over the limit, fine as it is, twice, and damaged."""
    (folder / "copies").mkdir(parents=True, exist_ok=True)
    small = folder / "compliant.jpg"
    photograph(1600, 1200, 3).save(small, quality=88)
    (folder / "copies" / "compliant-copy.jpg").write_bytes(small.read_bytes())
    photograph(*MEGAPIXELS_24, 4).save(folder / "camera-24mp.jpg", quality=92)
    noise(2400, 2000).save(folder / "noise-over-10mb.png", compress_level=1)
    turned = Image.Exif()
    turned[0x0112] = 6
    photograph(2000, 1500, 5).save(folder / "turned-by-exif.jpg", quality=90, exif=turned)
    whole = small.read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    return sorted(path for path in folder.rglob("*") if path.is_file())


def main() -> None:
    folder = Path(sys.argv[1])
    if any(folder.glob("*.jpg")):
        return  # a second `make run` shows that nothing is sent twice
    for path in write_samples(folder):
        sys.stdout.write(f"sample: {path} ({path.stat().st_size / 1e6:.1f} MB)\n")


if __name__ == "__main__":
    main()
