"""Signed URLs of a private bucket: who holds one may read one file for a while."""

from __future__ import annotations

import hashlib
import hmac

URL_SECONDS = 3600


class Signer:
    """Mints and checks signed URLs."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def url(self, origin: str, file_id: str, now: float, file_ends_at: int) -> str:
        """A URL that serves the file for an hour, or as long as the file lives."""
        ends_at = min(int(now) + URL_SECONDS, file_ends_at)
        return f"{origin}/signed/{file_id}?expires={ends_at}&token={self._token(file_id, ends_at)}"

    def is_genuine(self, file_id: str, expires: str, token: str) -> bool:
        """The token was minted here for this file and this end."""
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
            return False
        return hmac.compare_digest(self._token(file_id, int(expires)).encode(), token.encode("utf-8", "replace"))

    def _token(self, file_id: str, ends_at: int) -> str:
        return hmac.new(self._secret, f"{file_id}\n{ends_at}".encode(), hashlib.sha256).hexdigest()
