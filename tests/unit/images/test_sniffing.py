from __future__ import annotations

import io
import struct
import zipfile

import pytest

from ingestor.errors import ImageRejected, SourceNotReady
from ingestor.images.sniffing import format_of
from ingestor.images.source import opened
from tests import image_kit as kit


def kind(write, data: bytes, name: str = "image") -> str:
    with opened(write(data, name), 300_000_000) as source:
        return format_of(source).name


@pytest.mark.parametrize("sample", kit.SAMPLES, ids=lambda sample: sample.id)
def test_the_content_tells_the_format(write, sample):
    assert kind(write, sample.make(), "image.tga" if sample.format == "TGA" else "image.xyz") == sample.format


def test_a_tga_without_a_signature_needs_its_suffix(write):
    with_signature = kit.saved(kit.quarters(), "TGA")
    data = with_signature[:-26] if b"TRUEVISION" in with_signature else with_signature
    assert kind(write, data, "image.TGA") == "TGA"
    with pytest.raises(ImageRejected):
        kind(write, data, "image.jpg")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"II\x1a\0\0\0HEAPCOPY", "no kind"),
        (b"FUJIFILMCCD-RAW ", "camera raw"),
        (b"8BPS\0\x02", "PSB"),
        (b"gimp xcf v011", "GIMP"),
        (b"\x1aE\xdf\xa3", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound"),
        (b"\0\0\0\x20ftypisom\0\0\0\0", "video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx ", "camera raw"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"PK\3\4", "ZIP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg>", "SVG"),
        (b"<!DOCTYPE html>", "web page"),
        (b'{"error": "not found"}', "text"),
    ],
)
def test_what_it_is_instead_is_told_with_a_cure(write, head, said):
    with pytest.raises(ImageRejected, match=said) as caught:
        kind(write, head + (b"\0\x03\x90" * 40 if said not in ("SVG", "web page", "text") else b" " * 40), "photo.jpg")
    assert caught.value.reason in ("unsupported", "not_an_image")
    assert ";" in str(caught.value) or "download" in str(caught.value)


def zipped(kind: bytes, *, extra: bytes = b"", name: str = "mimetype") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        first = zipfile.ZipInfo(name)
        first.extra = extra
        archive.writestr(first, kind)
        archive.writestr("mergedimage.png", kit.saved(kit.quarters(), "PNG"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SDPX\0\0\x20\0V1.0", "a DPX frame"),
        (b"XPDS\0\x20\0\0V1.0", "a DPX frame"),
        (b"\x80\x2a\x5f\xd7\0\0\x08\0", "a Cineon frame"),
        (b"\xd7\x5f\x2a\x80\0\x08\0\0", "a Cineon frame"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 48 +X 64\n", "a Radiance HDR"),
        (b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n-Y 48 +X 64\n", "a Radiance HDR"),
        (struct.pack("<2I", 1, 108) + bytes(range(1, 33)) + b" EMF", "a Windows metafile"),
        (b"\xd7\xcd\xc6\x9a\0\0" + bytes(16) + b"\1\0\x09\0\0\3", "a Windows metafile"),
        (struct.pack("<3HIHIH", 1, 9, 0x0300, 500, 3, 20, 0), "a Windows metafile"),
        (struct.pack("<3HIHIH", 2, 9, 0x0100, 500, 3, 20, 0), "a Windows metafile"),
        (b"\xabKTX 11\xbb\r\n\x1a\n\1\2\3\4", "a KTX texture"),
        (b"\xabKTX 20\xbb\r\n\x1a\n\0\0\0\0", "a KTX texture"),
        (b"\xab\1\1\3\2", "a VIFF file"),
        (b"\0\xffKA\x08\0\0\0nsrP#Inf", "an Affinity document"),
        (zipped(b"application/x-krita"), "a Krita document"),
        (zipped(b"image/openraster"), "an OpenRaster document"),
        (zipped(b"image/openraster", extra=b"UT\5\0\1\0\0\0\0"), "an OpenRaster document"),
    ],
)
@pytest.mark.parametrize("name", ["image", "image.tga", "image.dib", "image.jpg"])
def test_a_picture_of_a_kind_that_nothing_here_reads_is_named(write, data, said, name):
    with pytest.raises(ImageRejected, match=f"is {said}.* which is not read here; export it as PNG") as caught:
        kind(write, data + bytes(range(256)), name)
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(
    "data",
    [zipped(b"application/epub+zip"), zipped(b"image/openraster", name="notes.txt"), b"PK\3\4" + b"mimetype" * 9],
    ids=["another document", "another file", "cut off"],
)
def test_an_archive_of_anything_else_is_no_picture(write, data):
    with pytest.raises(ImageRejected, match="ZIP archive; unpack it") as caught:
        kind(write, data)
    assert caught.value.reason == "not_an_image"


def test_space_that_was_set_aside_is_not_refused_but_waited_for(write):
    with pytest.raises(SourceNotReady) as caught:
        kind(write, bytes(100))
    assert caught.value.reason == "truncated"


def test_a_riff_that_is_no_webp_is_no_picture(write):
    with pytest.raises(ImageRejected):
        kind(write, b"LIST\0\0\0\0WEBPVP8 " + bytes(range(1, 60)))


@pytest.mark.parametrize("before", [b"", kit.jpeg_segment(0xE8, b"SPIFF\0\2\0")])
def test_jpeg_ls_begins_like_a_jpeg_and_is_none(write, before):
    frame = kit.jpeg_segment(0xF7, bytes([8, 0, 48, 0, 64, 1, 1, 0x11, 0]))
    with pytest.raises(ImageRejected, match="JPEG-LS") as caught:
        kind(write, b"\xff\xd8" + before + frame + bytes(200), "photo.jpg")
    assert caught.value.reason == "unsupported"


def test_a_png_of_an_ios_app_is_named(write):
    data = kit.saved(kit.quarters(), "PNG")
    with pytest.raises(ImageRejected, match="iOS") as caught:
        kind(write, data[:8] + kit.png_chunk(b"CgBI", bytes(4)) + data[8:], "photo.png")
    assert caught.value.reason == "unsupported"


PICTURES = {
    "XPM": (b"/* XPM */\nstatic char *icon[] = {\n", "XPM"),
    "XPM, second version": (b"! XPM2\n16 16 2 1\n", "XPM"),
    "XBM": (b"#define a-b_width 8\n#define a-b_height 1\nstatic unsigned char a-b_bits[] = {\n0xff };\n", "XBM"),
    "XBM with a comment and a spot": (
        b"/* made by hand */\n#define width 8\n#define height 1\n#define x_hot 1\nstatic char bits[] = {0xff};",
        "XBM",
    ),
    "FITS": (b"SIMPLE  =                    T / file does conform to FITS standard", "FITS"),
    "DICOM": (bytes(128) + b"DICM", "DICOM"),
    "DICOM that is a TIFF too": (b"II*\0\x10\0\0\0".ljust(128, b"\0") + b"DICM", "DICOM"),
    "MNG": (b"\x8aMNG\r\n\x1a\n\0\0\0\x1cMHDR", "MNG"),
    "JNG": (b"\x8bJNG\r\n\x1a\n\0\0\0\x10JHDR", "JNG"),
    "ANI": (b"RIFF\xda\x73\0\0ACONLIST", "animated cursor"),
    "FLI": (b"\x42\x0e\0\0\x11\xaf\x02\0\x40\1\xc8\0\x08\0", "Autodesk"),
    "FLC": (b"\x42\x0e\0\0\x12\xaf\x02\0\x80\0\x80\0\x08\0", "Autodesk"),
    "DCX": (b"\xb1\x68\xde\x3a\x08\0\0\0", "DCX"),
    "BLP1": (b"BLP1\1\0\0\0", "BLP"),
    "BLP2": (b"BLP2\1\0\0\0", "BLP"),
    "MRW": (b"\0MRM\0\0\x10\0", "camera raw"),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0", "camera raw"),
    "CRW": (b"II\x1a\0\0\0HEAPCCDR", "camera raw"),
}


@pytest.mark.parametrize(("head", "said"), PICTURES.values(), ids=PICTURES)
def test_a_picture_of_a_kind_that_is_not_read_is_called_one(write, head, said):
    text = b"\n" * 100 if said in ("XPM", "XBM", "FITS") else bytes(range(200))
    with pytest.raises(ImageRejected, match=said) as caught:
        kind(write, head + text)
    assert caught.value.reason == "unsupported"
    assert "; " in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"#define bar_width 8\n#define bar_height 1\nint bar(void);\n",
        b"\x42\x0e\0\0\x11\xaf" + bytes(range(1, 100)),
        b"SIMPLE words\n",
    ],
)
def test_what_only_begins_like_one_is_none(write, data):
    with pytest.raises(ImageRejected) as caught:
        kind(write, data)
    assert caught.value.reason == "not_an_image"
