"""Sun rasters of four bytes a pixel, of which Pillow takes the wrong one for padding."""

from __future__ import annotations

from PIL import SunImagePlugin

_PADDED_FIRST = {"BGRX": "XBGR", "RGBX": "XRGB"}


class SunFile(SunImagePlugin.SunImageFile):
    """Pillow's Sun raster; of four bytes the first means nothing, as Netpbm and FFmpeg have it too."""

    def _open(self) -> None:
        super()._open()
        for place, tile in enumerate(self.tile):
            # The mode alone, or the first of several, by the codec.
            raw_mode, *others = tile.args if isinstance(tile.args, tuple) else (tile.args,)
            padded_first = _PADDED_FIRST.get(str(raw_mode), raw_mode)
            self.tile[place] = tile._replace(args=(padded_first, *others) if others else padded_first)
