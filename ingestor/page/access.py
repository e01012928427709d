"""Who may look: a token from a file, sessions for browsers that showed it once, and proof that a form is ours."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from ingestor.disk import others_may_use
from ingestor.observe.cleaning import redact
from ingestor.ports import Clock

SESSION_SECONDS = 12 * 3600.0
MOST_SESSIONS = 100
"""The oldest goes when one more comes."""
MOST_BYTES = 4096
TOKEN_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class _Session:
    until: float
    token: bytes
    """Digest of the token that was shown: another token in the file ends the session."""


class Access:
    """Decides who may look. Without a token file everybody may: the page listens to this machine alone then."""

    def __init__(self, token_file: Path | None, clock: Clock) -> None:
        self._file = token_file
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._sessions: dict[str, _Session] = {}

    @property
    def is_open(self) -> bool:
        """Nobody is asked for a token."""
        return self._file is None

    def admits(self, token: str) -> bool:
        """Whether this is the token, by a comparison that takes as long for any other."""
        expected = self._expected()
        return expected is not None and hmac.compare_digest(_digest(_bytes(token.strip())), expected)

    def _expected(self) -> bytes | None:
        """Digest of the token in the file, read each time: who puts another one there need not restart anything.

        None, and nobody is admitted, where there is none that only its owner knows.
        """
        assert self._file is not None
        try:
            handle = os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                mode = os.fstat(handle).st_mode
                if not stat.S_ISREG(mode) or others_may_use(self._file, mode):
                    return None
                token = stream.read(MOST_BYTES).strip()
        except OSError:
            return None
        if len(token) < TOKEN_CHARACTERS:
            return None
        redact(token.decode("utf-8", "replace"))
        return _digest(token)

    # -- sessions

    def begin_session(self) -> str:
        """A session for a browser that has just shown the token: a word for its cookie."""
        token = self._expected()
        assert token is not None
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(32)
        self._sessions[session] = _Session(self._clock.monotonic() + SESSION_SECONDS, token)
        return session

    def has_session(self, session: str | None) -> bool:
        found = self._sessions.get(session or "")
        if found is None:
            return False
        if self._clock.monotonic() >= found.until or found.token != self._expected():
            self.end_session(session)
            return False
        return True

    def end_session(self, session: str | None) -> None:
        self._sessions.pop(session or "", None)

    # -- forms

    def form_proof(self, session: str | None) -> str:
        """What a form of ours carries: another site can make a browser send a form, but cannot know this."""
        return hmac.new(self._secret, _bytes(session or ""), hashlib.sha256).hexdigest()

    def is_form_proof(self, given: object, session: str | None) -> bool:
        return isinstance(given, str) and hmac.compare_digest(_bytes(given), self.form_proof(session).encode())


def _bytes(text: str) -> bytes:
    """Headers and forms may hold any byte, which then stands as a surrogate."""
    return text.encode("utf-8", "surrogatepass")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
