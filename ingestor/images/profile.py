"""The name of the encoder and of all that shaped the bytes: part of the idempotency key.

Whatever may change the bytes that come out of the same bytes in is in it, so that a body and its key never part.
"""

from __future__ import annotations

import hashlib
import json

import PIL
import simplejpeg
from PIL import features

from ingestor.images.pixels import resample
from ingestor.policy.formats import Format
from ingestor.ports import NormaliseRules

RECIPE = 8
"""Counts up whenever this package would make other bytes with the same libraries and rules."""

_SHAPING = ("longest_side_px", "max_bytes", "orientation", "webp_quality", "metadata")
"""The rules that can change bytes; others only decide whether any are made."""

_ENCODERS = {"JPEG": "libjpeg_turbo", "PNG": "zlib", "WEBP": "webp"}


def profile(row: Format, written_as: str, rules: NormaliseRules) -> str:
    """Like `webp-1.6.0/jpeg-3.2.0/pillow-13.0.0/lcms-2.19/simplejpeg-1.9.0/vips-8.18.7/8/5f0c...`."""
    settings = {name: getattr(rules, name) for name in _SHAPING}
    if rules.light != "encoded":
        # Left out otherwise, so that keys from before there was a choice stay what they are.
        settings["light"] = rules.light
    parts = [
        f"{written_as.lower()}-{_version(_ENCODERS[written_as])}",
        f"{row.name.lower()}-{_version(row.library) if row.library else PIL.__version__}",
        f"pillow-{PIL.__version__}",
        f"lcms-{_version('littlecms2')}",
        f"simplejpeg-{simplejpeg.__version__}",
        f"vips-{resample.VERSION}",
        *([f"openjpeg-{_openjpeg_version()}"] if row.name == "JPEG2000" else []),
        str(RECIPE),
        hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12],
    ]
    return "/".join(parts)


def _version(library: str) -> str:
    return features.version(library) or PIL.__version__


def _openjpeg_version() -> str:
    from importlib import metadata  # late: 2 MB of each worker, of which few ever need it

    return metadata.version("pylibjpeg-openjpeg")
