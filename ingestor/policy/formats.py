"""The image formats that can be made fit, as rows, and the closed list of reasons why an image may not be.

The README's tables are printed from these rows; `tests/unit/policy/test_formats.py` tries each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Pictures = Literal["one", "animation", "pages", "extras"]
"""What a file's further pictures are: none, later frames, other pages, or by-products of the same picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: how it is told from others, who reads it, and whether the API takes it as it is."""

    name: str
    """Pillow's own name of it."""
    title: str
    suffixes: tuple[str, ...]
    plugin: str
    """The only module that is imported to read it."""
    library: str | None = None
    """The library below Pillow, by the name that `PIL.features` has for it: part of the profile."""
    accepted_as: str | None = None
    """The MIME type under which the API takes it (CONTRACT.md, Accepted input); None: it becomes WebP."""
    never_as_found: str | None = None
    """What becomes of kinds of it that few services read."""
    pictures: Pictures = "one"
    extra: str | None = None
    """The extra of this package without which it cannot be read."""


FORMATS = (
    Format(
        name="JPEG",
        title="JPEG: baseline, progressive, arithmetic, lossless; grey, RGB, CMYK, YCCK; "
        "MPO and Ultra HDR (first picture)",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        plugin="PIL.JpegImagePlugin",
        library="libjpeg_turbo",
        accepted_as="image/jpeg",
        never_as_found="arithmetic and lossless ones written anew",
        pictures="extras",
    ),
    Format(
        name="PNG",
        title="PNG: 1 to 16 bits, palette, transparency, interlaced, animated (APNG)",
        suffixes=(".png", ".apng"),
        plugin="PIL.PngImagePlugin",
        library="zlib",
        accepted_as="image/png",
        pictures="animation",
    ),
    Format(
        name="WEBP",
        title="WebP: lossy, lossless, transparency, animated",
        suffixes=(".webp",),
        plugin="PIL.WebPImagePlugin",
        library="webp",
        accepted_as="image/webp",
        pictures="animation",
    ),
    Format(name="GIF", title="GIF", suffixes=(".gif",), plugin="PIL.GifImagePlugin", pictures="animation"),
    Format(
        name="BMP",
        title="BMP: with any masks, runs; DIB without a file header",
        suffixes=(".bmp", ".dib"),
        plugin="PIL.BmpImagePlugin",
    ),
    Format(
        name="TIFF",
        title="TIFF, BigTIFF (little-endian): 1 to 8, 16 bits, grey also 12 and 32; floats; CMYK, Lab; "
        "transparency; LZW, Deflate, JPEG, fax; pages",
        suffixes=(".tif", ".tiff"),
        plugin="PIL.TiffImagePlugin",
        library="libtiff",
        pictures="pages",
    ),
    Format(
        name="AVIF",
        title="AVIF",
        suffixes=(".avif", ".avifs"),
        plugin="PIL.AvifImagePlugin",
        library="avif",
        pictures="animation",
    ),
    Format(
        name="HEIF",
        title="HEIC / HEIF",
        suffixes=(".heic", ".heif", ".hif"),
        plugin="pillow_heif.HeifImagePlugin",
        pictures="extras",
        extra="heif",
    ),
    Format(
        name="ICO",
        title="Windows icon (largest picture)",
        suffixes=(".ico",),
        plugin="PIL.IcoImagePlugin",
        pictures="extras",
    ),
    Format(
        name="CUR",
        title="Windows cursor (largest picture)",
        suffixes=(".cur",),
        plugin="PIL.IcoImagePlugin",
        pictures="extras",
    ),
    Format(
        name="ICNS",
        title="Apple icon (largest picture)",
        suffixes=(".icns",),
        plugin="PIL.IcnsImagePlugin",
        pictures="extras",
    ),
    Format(name="TGA", title="TGA", suffixes=(".tga", ".icb", ".vda", ".vst"), plugin="PIL.TgaImagePlugin"),
    Format(
        name="PPM",
        title="Netpbm: PBM, PGM, PPM, PFM of grey",
        suffixes=(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
        plugin="PIL.PpmImagePlugin",
    ),
    Format(
        name="JPEG2000",
        title="JPEG 2000: up to 16 bits",
        suffixes=(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        plugin="PIL.Jpeg2KImagePlugin",
        library="jpg_2000",
    ),
    Format(
        name="PSD",
        title="Photoshop (merged picture): 1, 8, 16 bits; grey, palette, RGB, CMYK, Lab; transparency",
        suffixes=(".psd",),
        plugin="PIL.PsdImagePlugin",
        pictures="extras",
    ),
    Format(name="QOI", title="QOI", suffixes=(".qoi",), plugin="PIL.QoiImagePlugin"),
    Format(name="PCX", title="PCX", suffixes=(".pcx",), plugin="PIL.PcxImagePlugin"),
    Format(name="SGI", title="SGI", suffixes=(".sgi", ".rgb", ".rgba", ".bw"), plugin="PIL.SgiImagePlugin"),
    Format(name="DDS", title="DDS", suffixes=(".dds",), plugin="PIL.DdsImagePlugin"),
    Format(name="SUN", title="Sun raster", suffixes=(".ras",), plugin="PIL.SunImagePlugin"),
)

BY_NAME: Mapping[str, Format] = MappingProxyType({row.name: row for row in FORMATS})

SUFFIXES = frozenset(suffix for row in FORMATS for suffix in row.suffixes)
"""Every suffix that an image may have, lower case, with its dot: what a folder without `include` takes."""

MIME_TYPES: Mapping[str, str] = MappingProxyType(
    {row.name: row.accepted_as for row in FORMATS if row.accepted_as is not None}
)
FILE_SUFFIX: Mapping[str, str] = MappingProxyType({"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"})
"""The suffix of a file that we write."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "not_an_image": "The content is not an image, whatever the name says.",
        "unsupported": "It is a picture, but of a kind that is not read here; the message names a kind that is.",
        "truncated": "The end of the file is missing, and has been for longer than a copy takes.",
        "corrupt": "The file is whole in length but damaged inside.",
        "too_many_pixels": "It has more pixels than `normalise.max_pixels` (ten times as many: an animation to keep).",
        "too_many_bytes": "The file is larger than any picture of `normalise.max_pixels` can be.",
        "decompression_bomb": "A small part of the file unpacks to more than any honest file holds.",
        "animated": "It has several frames or pages, and `normalise.animation` is `reject`.",
        "cannot_fit": "Not even the lowest quality and a tiny size come below `normalise.max_bytes`.",
        "timeout": "Working on it took longer than `normalise.image_timeout`.",
        "memory": "Working on it needs more memory than a worker may have.",
        "crashed": "A worker died of it twice, the second time with nothing else running.",
        "unverified": "What was written did not read back as what was meant; nothing was sent.",
        "not_a_file": "It is a folder, a socket, a device or a pipe.",
    }
)
"""Why an image is quarantined: the words of `ImageRejected.reason`, each with its meaning."""

NOT_READY: Mapping[str, str] = MappingProxyType(
    {
        "empty": "The file has no bytes yet.",
        "truncated": "The end of the image is missing: it may still be on its way.",
        "vanished": "The file is not there any more.",
        "unreadable": "The file may not be read by this user.",
        "busy": "Another program holds the file, or the medium gave an error.",
    }
)
"""Why a file is looked at again later: the words of `SourceNotReady.reason`, each with its meaning."""


def format_table() -> str:
    """The README's table of formats, in Markdown."""
    lines = ["| format | suffixes | sent as |", "|---|---|---|"]
    for row in FORMATS:
        sent = "as found, where it complies" if row.accepted_as else "WebP"
        sent += f"; {row.never_as_found}" if row.never_as_found else ""
        needs = f" (needs the extra `[{row.extra}]`)" if row.extra else ""
        lines.append(f"| {row.title}{needs} | {' '.join(f'`{s}`' for s in row.suffixes)} | {sent} |")
    return "\n".join(lines) + "\n"


def reason_table() -> str:
    """The README's table of reasons for quarantine, in Markdown."""
    lines = ["| reason | meaning |", "|---|---|"]
    lines += [f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items()]
    return "\n".join(lines) + "\n"
