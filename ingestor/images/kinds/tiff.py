"""TIFFs of the kinds that Pillow refuses or reads wrongly.

Floats in colour, with alpha, of 16 or 64 bits; numbers of 8 bits with a sign; channels in planes, where they have 16
bits or are grey and alpha or Lab; Lab of 16 bits; channels beside colours that Pillow has no name for, such as the
alpha of inks and of grey of 16 bits; and files that begin with a thumbnail. Damage that Pillow's libtiff passes
silently is found, where that is asked for.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import IO, Any

import numpy as np
from PIL import Image, TiffImagePlugin

from ingestor.images.header import Header
from ingestor.images.kinds import KindNotRead, tiff_deep, tiff_jpeg, tiff_samples, tiff_strict
from ingestor.images.kinds.deflate import Ends
from ingestor.images.kinds.tiff_samples import (
    CMYK,
    LAB,
    RAW,
    RGB,
    SIGNED,
    UNSIGNED,
    Layout,
    is_float,
    number,
    sample_format,
    several,
)
from ingestor.images.pixels import colour
from ingestor.images.pixels.curves import STEPS_MAY_SHOW, Curves, of_profile

_BIG_TIFF_OF_BIG_ENDIANS = b"MM\x00\x2b"
_DNG_VERSION, _NEW_SUBFILE_TYPE, _REDUCED = 50706, 254, 1
_SUB_DIRECTORIES = 330
"""SubIFDs: where cameras have the picture whose previews are the pages."""
"""Tags; and of the second the bit of a smaller copy of another page."""
_MOST_THUMBNAILS = 16
_WEBP = 50001
"""A Compression that Pillow has a name for, and its libtiff no code."""
_PLANES = 2
"""Of PlanarConfiguration."""
_YCBCR, _NOT_SUBSAMPLED = 6, (1, 1)
"""Of PhotometricInterpretation and YCbCrSubSampling."""
_BIG_ENDIAN = b"MM"
_BAND_PIXELS = 4_000_000

TiffImagePlugin.OPEN_INFO.update(
    {
        (_BIG_ENDIAN, 1, (1,), 1, (12,), ()): ("I;16", "I;12"),
        (_BIG_ENDIAN, 0, (1,), 1, (16,), ()): ("I;16B", "I;16B"),
        (_BIG_ENDIAN, 1, (1,), 1, (32,), ()): ("I", "I;32B"),
    }
)
# Pillow names these kinds of grey in little-endian order alone, and reads them in both.


class TiffFile(TiffImagePlugin.TiffImageFile):
    """Pillow's TIFF, with a reader of our own (`tiff_samples`) for what Pillow does not read well."""

    odd: list[str]
    """Warnings, once it is loaded."""
    curves: Curves | None
    """Those by which the pixels became ones of the curve of sRGB."""
    _is_in_srgb: bool
    """Whether inks became colours, which have room for alpha."""
    _layout: Layout | None
    _raw_mode: str
    """How Pillow takes pixels from libtiff, once it is about to."""

    def __init__(self, file: IO[bytes], name: str = "", *, is_strict: bool = False) -> None:
        self._is_strict = is_strict
        super().__init__(file, name)

    def _open(self) -> None:
        assert self.fp is not None
        if self.fp.read(4) == _BIG_TIFF_OF_BIG_ENDIANS:
            raise KindNotRead("BigTIFF files in big-endian order")
        self.fp.seek(0)
        super()._open()
        self._pass_thumbnails()

    def _pass_thumbnails(self) -> None:
        """To the first page that is no smaller copy of another one; to the largest, where all say that they are."""
        passed: list[int] = []
        while number(self.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED:
            passed.append(self.width * self.height)
            try:
                if len(passed) == _MOST_THUMBNAILS:
                    raise EOFError
                self.seek(len(passed))
            except EOFError:
                if _SUB_DIRECTORIES in self.tag_v2:
                    raise KindNotRead("raw pictures of cameras") from None
                self.seek(passed.index(max(passed)))
                return

    def _setup(self) -> None:
        self._layout, self.curves, self._is_in_srgb, self.odd = None, None, False, []
        _check_kind(self.tag_v2)
        if number(self.tag_v2.get(277, 1)) == 1 and self.tag_v2.get(284) == _PLANES:
            # A single plane is no other than the whole, but Pillow would take the first letter for its raw mode.
            self.tag_v2[284] = 1
        try:
            super()._setup()
        except SyntaxError:
            # Pillow has no name for floats in colour, nor for most channels beside the colours, nor for Lab of 16 bits.
            if not is_float(self.tag_v2) and not _are_numbers_of_ours(self.tag_v2):
                raise
        except IndexError:
            # Pillow has no name for planes beyond those of the colours.
            if self.tag_v2.get(284) != _PLANES:
                raise
        else:
            # Pillow swaps the bytes of big-endian floats that libtiff has swapped already.
            swaps = self._mode == "F" and self.tag_v2.prefix == _BIG_ENDIAN and self._compression != "raw"
            self._swap_no_integers_twice()
            if not swaps and not _are_planes_of_ours(self.tag_v2) and not _has_signed_bytes(self.tag_v2):
                if not _are_deep_colours(self.tag_v2) or self._steep() is None:
                    return
                if not tiff_samples.are_read(self.tag_v2):
                    self.odd = [STEPS_MAY_SHOW]
                    return
        self._layout = tiff_samples.layout_of(self.tag_v2)
        self._mode = self._layout.mode
        self.tile = []
        if (icc := self.tag_v2.get(34675)) is not None:
            self.info["icc_profile"] = icc
        curves = self._steep() if self._layout.kind.itemsize > 1 and self._layout.photometric in (0, 1, RGB) else None
        self.curves = curves if curves is not None and curves.fit(self._layout.colours) else None

    def _swap_no_integers_twice(self) -> None:
        # Those that libtiff unpacks come in the order of this machine, which Pillow minds for 16 bits without a sign.
        if self._mode != "I" or self.tag_v2.prefix != _BIG_ENDIAN or self._compression == "raw":
            return
        for place, tile in enumerate(self.tile):
            raw_mode, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
            self.tile[place] = tile._replace(args=(str(raw_mode).replace("B", "N"), *others))

    def _steep(self) -> Curves | None:
        icc = self.tag_v2.get(34675)
        return of_profile(icc) if isinstance(icc, bytes) else None

    @property
    def stored_mode(self) -> str:
        return "CMYK" if self._layout is not None and self._layout.has_inks_and_alpha else self.mode

    def left(self, header: Header) -> Header:
        """What is still to be done with the colours of the pixels."""
        if self._is_in_srgb:
            return replace(header, attached=replace(header.attached, icc=None))
        return self.curves.left(header) if self.curves else header

    def load(self) -> Any:
        if self._layout is not None:
            if self._im is None:
                self._load_samples(self._layout)
            return Image.Image.load(self)
        if self._is_strict and self.tile:
            args = self.tile[0].args
            self._raw_mode = str(args[0] if isinstance(args, tuple) else args)
            if self._load_checked():
                return Image.Image.load(self)
        return super().load()

    def _load_samples(self, layout: Layout) -> None:
        assert self.fp is not None
        ends = Ends(math.prod(self.size) * layout.channels * layout.kind.itemsize) if self._is_strict else None
        pixels, self.odd = tiff_samples.pixels(self.fp, layout, self.curves, ends)
        self.odd += ends.odd if ends else []
        loaded = self._of_inks(pixels) if layout.has_inks_and_alpha else Image.fromarray(pixels, self.mode)
        del pixels
        self.im = loaded.im
        del loaded
        super().load_end()

    def _of_inks(self, pixels: np.ndarray) -> Image.Image:
        """CMYK and alpha, as RGBA."""
        self._is_in_srgb, told = True, dict.fromkeys(self.odd)
        height, width = pixels.shape[:2]
        shown, rows = Image.new("RGBA", (width, height)), max(1, _BAND_PIXELS // width)
        for top in range(0, height, rows):
            band = pixels[top : top + rows]
            colours, odd = colour.inks_in_srgb(Image.fromarray(band[..., :4], "CMYK"), self.info.get("icc_profile"))
            colours.putalpha(Image.fromarray(band[..., 4]))
            shown.paste(colours, (0, top))
            told |= dict.fromkeys(odd)
        self.odd = list(told)
        return shown

    def _load_checked(self) -> bool:
        """Whether pixels of libtiff's were read here: of a kind that would have to be decoded twice to be checked."""
        assert self.fp is not None
        layout = tiff_deep.layout_of(self.tag_v2, self._raw_mode)
        if layout is None and self.tag_v2.get(259) != tiff_jpeg.JPEG:
            return False
        self.load_prepare()
        if layout is not None:
            odd: list[str] | None = tiff_deep.read(self.fp, layout, self.im, self.mode, self._raw_mode)
        else:
            odd = tiff_jpeg.read(self.fp, self.tag_v2, self.im, self.mode, self._raw_mode)
        if odd is None:
            return False
        self.odd += odd
        self.tile = []
        super().load_end()
        return True

    def load_end(self) -> None:
        # Only here the pixels are decoded, and not turned yet.
        if self._is_strict:
            assert self.fp is not None
            self.odd += tiff_strict.check(self.fp, self.tag_v2, self.im, self.mode, self._raw_mode)
        super().load_end()


def _check_kind(tags: Any) -> None:
    """Raises `KindNotRead` for what Pillow would call damaged, or read wrongly."""
    if _DNG_VERSION in tags:
        raise KindNotRead("raw pictures of cameras (DNG)")
    compression, channels = tags.get(259, RAW), number(tags.get(277, 1))
    if compression not in TiffImagePlugin.COMPRESSION_INFO or compression == _WEBP:
        raise KindNotRead(f"files with compression {compression}")
    if channels > TiffImagePlugin.MAX_SAMPLESPERPIXEL and tags.get(284) != _PLANES and not is_float(tags):
        raise KindNotRead(f"pictures of {channels} channels")
    subsampling = tags.get(530, _NOT_SUBSAMPLED)
    if tags.get(262) == _YCBCR and compression == RAW and subsampling != _NOT_SUBSAMPLED:
        raise KindNotRead("uncompressed pictures with fewer samples of colour than of light (YCbCr)")


def _are_planes_of_ours(tags: Any) -> bool:
    """Planes of whole numbers that Pillow mixes up.

    It takes 16 bits for 8, and grey and alpha for one of them; has no place for alpha that colours were multiplied
    with, nor for planes behind alpha; and forgets that a and b of Lab have a sign.
    """
    channels, bits, photometric = number(tags.get(277, 1)), set(several(tags.get(258, 1))), tags.get(262)
    if tags.get(284) != _PLANES or channels < 2 or sample_format(tags) != 1:
        return False
    if photometric == CMYK:
        return bits == {16} and tags.get(259, RAW) == RAW
    extra = several(tags.get(338, ()))
    if photometric == RGB and bits == {8} and any(extra) and (len(extra) > 1 or extra == (1,)):
        return tiff_samples.are_read(tags)
    return photometric == LAB or (photometric in (0, 1, RGB) and (bits == {16} or (bits == {8} and photometric != RGB)))


def _are_numbers_of_ours(tags: Any) -> bool:
    """Lab of 16 bits, and whole numbers that have channels beside those of their colours."""
    photometric, bits = number(tags.get(262)), set(several(tags.get(258, 1)))
    if sample_format(tags) != UNSIGNED or bits not in ({8}, {16}):
        return False
    return (photometric, bits) == (LAB, {16}) or 0 < tiff_samples.COLOURS.get(photometric, 0) < number(tags.get(277, 1))


def _are_deep_colours(tags: Any) -> bool:
    """Red, green and blue of 16 bits, of which Pillow reads the upper eight."""
    return tags.get(262) == RGB and set(several(tags.get(258, 1))) == {16} and sample_format(tags) == 1


def _has_signed_bytes(tags: Any) -> bool:
    """Whether grey goes from -128 to 127, of which Pillow takes what is below 0 for the lightest."""
    return sample_format(tags) == SIGNED and set(several(tags.get(258, 1))) == {8}
