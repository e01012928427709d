"""A (folder, path) as one word that a URL or a form can carry: names may hold any byte, URLs and forms may not."""

from __future__ import annotations

import base64
import os

from markupsafe import Markup

from ingestor.ledger.browsing import Place


def word_of(place: Place) -> Markup:
    """The place as letters, digits, `-` and `_`."""
    folder, path = place
    raw = base64.urlsafe_b64encode(folder.encode() + b"\0" + os.fsencode(path))
    # Safe as it is, and not to be cleaned: some letters might look like a secret.
    return Markup(raw.decode().rstrip("="))  # noqa: S704 - see above


def place_of(word: str) -> Place:
    """What `word_of` was given. Raises `ValueError` for any other word."""
    try:
        raw = base64.b64decode(word + "=" * (-len(word) % 4), altchars="-_", validate=True)
    except ValueError as error:  # binascii.Error is one
        raise ValueError("names no image") from error
    folder, nul, path = raw.partition(b"\0")
    if not nul or b"\0" in path:
        raise ValueError("names no image")
    return folder.decode(), os.fsdecode(path)
