"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import itertools
import re
import struct
from dataclasses import dataclass

from ingestor.errors import ImageRejected, IngestorError, SourceNotReady
from ingestor.images.kinds import dib, jpeg_markers
from ingestor.images.source import Source
from ingestor.policy.formats import BY_NAME, Format

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"\0\0\x02\0", "CUR"),
    (0, b"icns", "ICNS"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (0, b"8BPS\0\x01", "PSD"),
    (0, b"qoif", "QOI"),
    (0, b"\x01\xda", "SGI"),
    (0, b"DDS ", "DDS"),
    (0, b"\x59\xa6\x6a\x95", "SUN"),
)

_DICOM_AT, _DICOM = 128, b"DICM"
"""Behind a preamble, which may be the header of a TIFF for those who read one."""

_WMF = tuple(itertools.product((b"\1", b"\2"), (b"\0\1", b"\0\3")))
"""In memory or on a disk, and the version, in a metafile without a head for placing it."""

_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"%PDF", "a PDF", "export its page as PNG or JPEG"),
    (0, b"%!PS", "PostScript", "export it as PNG or JPEG"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript", "export it as PNG or JPEG"),
    (0, b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI", "a PNG crushed for an app of iOS", "export it anew as PNG"),
    (0, b"\xff\x0a", "a JPEG XL", "export it as PNG, JPEG or WebP"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL", "export it as PNG, JPEG or WebP"),
    (0, b"II\xbc", "a JPEG XR", "export it as PNG, JPEG or WebP"),
    (0, b"FUJIFILMCCD-RAW", "a camera raw file", "develop it and export a JPEG"),
    (0, b"IIRO", "a camera raw file", "develop it and export a JPEG"),
    (0, b"IIRS", "a camera raw file", "develop it and export a JPEG"),
    (0, b"IIU\0", "a camera raw file", "develop it and export a JPEG"),
    (0, b"8BPS\0\x02", "a large Photoshop document (PSB)", "export it as PNG, JPEG or TIFF"),
    (0, b"gimp xcf", "a GIMP document", "export it as PNG, JPEG or WebP"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file", "export it as PNG or TIFF"),
    (0, b"#?RADIANCE", "a Radiance HDR file", "export it as PNG or TIFF"),
    (0, b"#?RGBE", "a Radiance HDR file", "export it as PNG or TIFF"),
    (0, b"SDPX", "a DPX frame of a film", "export it as PNG or TIFF"),
    (0, b"XPDS", "a DPX frame of a film", "export it as PNG or TIFF"),
    (0, b"\x80\x2a\x5f\xd7", "a Cineon frame of a film", "export it as PNG or TIFF"),
    (0, b"\xd7\x5f\x2a\x80", "a Cineon frame of a film", "export it as PNG or TIFF"),
    (40, b" EMF", "a Windows metafile", "export it as PNG"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile", "export it as PNG"),
    *((0, kind + b"\0\x09\0" + version, "a Windows metafile", "export it as PNG") for kind, version in _WMF),
    (0, b"\xabKTX 11\xbb\r\n\x1a\n", "a KTX texture", "export it as PNG"),
    (0, b"\xabKTX 20\xbb\r\n\x1a\n", "a KTX texture", "export it as PNG"),
    (0, b"\xab\x01\x01", "a VIFF file", "export it as PNG or TIFF"),
    (0, b"\0\xffKA", "an Affinity document", "export it as PNG, JPEG or TIFF"),
    (0, b"P7\n", "a PAM file", "export it as PNG or PPM"),
    (0, b"AT&TFORM", "a DjVu document", "export its page as PNG"),
    (0, b"BPG\xfb", "a BPG file", "export it as PNG, JPEG or WebP"),
    (0, b"FLIF", "a FLIF file", "export it as PNG, JPEG or WebP"),
    (6, b"HEAPCCDR", "a camera raw file", "develop it and export a JPEG"),
    (0, b"\0MRM", "a camera raw file", "develop it and export a JPEG"),
    (8, b"CR\x02", "a camera raw file", "develop it and export a JPEG"),
    (0, b"/* XPM */", "an XPM icon", "export it as PNG"),
    (0, b"! XPM2", "an XPM icon", "export it as PNG"),
    (0, b"SIMPLE  =", "a FITS file", "export its picture as PNG or TIFF"),
    (_DICOM_AT, _DICOM, "a DICOM file", "export its picture as PNG or JPEG"),
    (0, b"\x8aMNG\r\n\x1a\n", "an MNG animation", "export one frame as PNG, or all as animated PNG"),
    (0, b"\x8bJNG\r\n\x1a\n", "a JNG", "export it as PNG, JPEG or WebP"),
    (8, b"ACON", "an animated cursor", "export one frame as PNG"),
    (0, b"\xb1\x68\xde\x3a", "a DCX fax of several pages", "export its page as PNG"),
    (0, b"BLP1", "a BLP texture", "export it as PNG"),
    (0, b"BLP2", "a BLP texture", "export it as PNG"),
    (0, b"\x1aE\xdf\xa3", "a video", "export one frame as PNG or JPEG"),
    (8, b"AVI ", "a video", "export one frame as PNG or JPEG"),
    (8, b"WAVE", "a sound file", "put images in the folder"),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
)
_DOCUMENTS = {b"application/x-krita": "a Krita document", b"image/openraster": "an OpenRaster document"}
"""What stands in the first file of an archive that is a document."""
_MARKED_OTHERWISE = frozenset(
    {*_DOCUMENTS.values(), "an SVG drawing", "a JPEG-LS", "an XBM icon", "an animation of Autodesk"}
)
_PICTURES = _MARKED_OTHERWISE | {row[2] for row in _FOREIGN if "archive" not in row[2] and "sound" not in row[2]}

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
_FRAME_OF_JPEG_LS = 0xF7
_ZIP_HEAD_BYTES = 30
_XBM = re.compile(rb"#define\s+\S*width\s+\d+\s+#define\s+\S*height\s+\d+\s.*bits\s*\[", re.DOTALL)
_FLIC_KINDS, _FLIC_BITS = frozenset({0xAF11, 0xAF12}), frozenset({0, 8})
_TGA_KINDS = frozenset({1, 2, 3, 9, 10, 11})


@dataclass(frozen=True, slots=True)
class _Foreign:
    what: str
    cure: str


def format_of(source: Source) -> Format:
    """The row of `FORMATS` that the content belongs to.

    Raises `ImageRejected` (`not_an_image`, `unsupported`) and `SourceNotReady` for a file that so far holds zeros only,
    as space does that a copy has set aside.
    """
    head = source.head
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset) and _agrees(name, head):
            return BY_NAME[name]
    if head[4:8] == b"ftyp":
        return _iso_media(source)
    if (weakly := _weakly_marked(source)) is not None:
        return BY_NAME[weakly]
    raise _refusal(source)


def _agrees(name: str, head: bytes) -> bool:
    """Whether what stands beside a mark fits it: a TGA may begin like a cursor, but then has no pictures in it."""
    match name:
        case "WEBP":
            return head.startswith(b"RIFF")
        case "PNG":
            return head[12:16] != b"CgBI"
        case "JPEG":
            return not _is_jpeg_ls(head)
        case "TIFF":
            return not head.startswith(_DICOM, _DICOM_AT) and not head.startswith(b"CR\x02", 8)
        case "ICO" | "CUR":
            return head[4:6] not in (b"\0\0", b"")
        case _:
            return True


def _is_jpeg_ls(head: bytes) -> bool:
    """Whether the first frame is one of JPEG-LS (ITU-T T.87), which begins like a JPEG."""
    for segment in jpeg_markers.segments(head):
        if segment.marker in (*jpeg_markers.FRAMES, _FRAME_OF_JPEG_LS):
            return segment.marker == _FRAME_OF_JPEG_LS
    return False


def _iso_media(source: Source) -> Format:
    head = source.head
    (length,) = struct.unpack(">I", head[:4])
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head), 256), 4))}
    if brands & _AVIF_BRANDS:
        return BY_NAME["AVIF"]
    if b"crx " in brands:
        raise _unsupported(source, _Foreign("a camera raw file", "develop it and export a JPEG"))
    if brands & _HEIF_BRANDS:
        return BY_NAME["HEIF"]
    raise _unsupported(source, _Foreign("a video", "export one frame as PNG or JPEG"))


def _weakly_marked(source: Source) -> str | None:
    """Formats whose mark is a byte or two, so that more than the mark has to agree."""
    head = source.head
    if head[:1] == b"P" and head[1:2] in b"123456fF" and head[2:3] in (b" ", b"\t", b"\r", b"\n"):
        return "PPM"
    if len(head) >= 128 and head[0] == 10 and head[1] in (0, 2, 3, 4, 5) and head[2] <= 1 and head[3] in (1, 2, 4, 8):
        return "PCX"
    if _is_tga(source):
        return "TGA"
    if dib.is_whole(head, source.size_bytes) or (source.path.suffix.lower() == ".dib" and dib.is_plausible(head)):
        return "BMP"
    return None


def _is_tga(source: Source) -> bool:
    head = source.head
    if len(head) < 18 or head[1] > 1 or head[2] not in _TGA_KINDS or head[16] not in (1, 8, 15, 16, 24, 32):
        return False
    if 0 in struct.unpack("<HH", head[12:16]):
        return False
    return source.tail(18).startswith(b"TRUEVISION-XFILE") or source.path.suffix.lower() in BY_NAME["TGA"].suffixes


def _refusal(source: Source) -> IngestorError:
    head = source.head
    if (document := _document_in_zip(head)) is not None:
        return _unsupported(source, _Foreign(document, "export it as PNG, JPEG or WebP"))
    if not head.strip(b"\0"):
        return SourceNotReady("truncated", f"{source.name}: holds only zeros so far, like a copy that has just begun")
    for offset, magic, what, cure in _FOREIGN:
        if head.startswith(magic, offset):
            return _unsupported(source, _Foreign(what, cure))
    if head.startswith(b"\xff\xd8") and _is_jpeg_ls(head):
        return _unsupported(source, _Foreign("a JPEG-LS", "export it as PNG, JPEG or WebP"))
    if _is_flic(head):
        return _unsupported(source, _Foreign("an animation of Autodesk", "export one frame as PNG, or all as GIF"))
    if _is_text(head) and _XBM.search(head):
        return _unsupported(source, _Foreign("an XBM icon", "export it as PNG"))
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in head.lower()):
        return _unsupported(source, _Foreign("an SVG drawing", "export it as PNG"))
    if text.startswith((b"<!doctype html", b"<html")):
        return _not_an_image(source, "a web page, as is saved when a download fails; download the image again")
    if _is_text(head):
        return _not_an_image(source, "text; put images in the folder, or exclude such files")
    return _not_an_image(source, "of no kind that is known here; open it in an image program and export it as PNG")


def _document_in_zip(head: bytes) -> str | None:
    """By its first file, which is not packed and says what the whole is (OpenRaster 0.0.6, and Krita)."""
    if not head.startswith(b"PK\x03\x04") or len(head) < _ZIP_HEAD_BYTES:
        return None
    name_bytes, extra_bytes = struct.unpack_from("<HH", head, _ZIP_HEAD_BYTES - 4)
    name, content = head[_ZIP_HEAD_BYTES:][:name_bytes], head[_ZIP_HEAD_BYTES + name_bytes + extra_bytes :]
    found = (what for told, what in _DOCUMENTS.items() if name == b"mimetype" and content.startswith(told))
    return next(found, None)


def _is_flic(head: bytes) -> bool:
    if len(head) < 14:
        return False
    kind, frames, width, height, bits = struct.unpack_from("<5H", head, 4)
    return kind in _FLIC_KINDS and bits in _FLIC_BITS and 0 not in (frames, width, height)


def _unsupported(source: Source, foreign: _Foreign) -> ImageRejected:
    if foreign.what in _PICTURES:
        return ImageRejected("unsupported", f"{source.name}: is {foreign.what}, which is not read here; {foreign.cure}")
    return _not_an_image(source, f"{foreign.what}; {foreign.cure}")


def _not_an_image(source: Source, what: str) -> ImageRejected:
    return ImageRejected("not_an_image", f"{source.name}: is not an image but {what}")


def _is_text(head: bytes) -> bool:
    try:
        head[:1024].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < min(len(head), 1024) - 4:
            return False
    return not any(byte < 9 or 13 < byte < 27 for byte in head[:1024])
