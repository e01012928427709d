"""The API key: from the environment or a file, never shown, read again when it stops working."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from ingestor.disk import others_may_use
from ingestor.errors import AccountRefused

ENVIRONMENT_VARIABLE = "AUROUS_API_KEY"
MAX_BYTES = 4096

_USUAL = re.compile(r"(al_live_|og_)[A-Za-z0-9_-]+")
_SENDABLE = re.compile(r"[!-~]+")


class ApiKey:
    """Where the key comes from: keys rotate with a 24 h overlap, so reading it again cures. CONTRACT.md, Errors.

    The file is read when its identity changes and after a 401. Raises `AccountRefused("key")` where there is
    no key that could be sent, with the cure in its text.
    """

    def __init__(
        self,
        *,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        hide: Callable[[str], None] | None = None,
    ) -> None:
        """`hide` is told each key before it is used, so that logs can leave it out."""
        self._file = file
        self._hide = hide
        self._environment = os.environ if environment is None else environment
        self._value: str | None = None
        self._seen: tuple[int, ...] | None = None
        self._refused: str | None = None

    def __repr__(self) -> str:
        return f"ApiKey(from {self.origin})"

    @property
    def origin(self) -> str:
        """`/path/of/key_file`, or the environment variable's name."""
        return str(self._file) if self._file is not None else f"${ENVIRONMENT_VARIABLE}"

    @staticmethod
    def looks_usual(value: str) -> bool:
        """Whether a key has a shape that CONTRACT.md names; others are sent all the same, with a warning."""
        return _USUAL.fullmatch(value) is not None

    def current(self) -> str:
        """The key to send now."""
        if self._file is None:
            return self._checked(self._environment.get(ENVIRONMENT_VARIABLE, ""))
        seen = self._identity(self._file)
        if seen is None:
            # somebody is replacing the file: the key that worked a moment ago still does
            if self._value is None or self._value == self._refused:
                raise self._unusable("is not there; make it, readable by this user alone")
            return self._value
        if self._value is None or seen != self._seen or self._value == self._refused:
            self._value, self._seen = self._checked(self._read(self._file)), seen
        return self._value

    def refused(self, value: str) -> None:
        """The API refused this key: until another one is found here, `is_refused` says so."""
        self._refused = value

    def accepted(self) -> None:
        """The API took the present key."""
        self._refused = None

    def is_refused(self) -> bool:
        """Whether what would be sent now is what the API refused, or nothing can be sent at all."""
        try:
            return self.current() == self._refused
        except AccountRefused:
            return True

    def _identity(self, file: Path) -> tuple[int, ...] | None:
        try:
            return self._usable(file, file.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror}); let this user read it") from None

    def _read(self, file: Path) -> str:
        """What is in the file, which is looked at once more when it is open: it may have been replaced."""
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                self._usable(file, os.fstat(handle))
                return stream.read(MAX_BYTES + 1).decode("ascii", "replace")
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror}); let this user read it") from None

    def _usable(self, file: Path, status: os.stat_result) -> tuple[int, ...]:
        """The identity of a file that may hold a key."""
        if not stat.S_ISREG(status.st_mode):
            raise self._unusable("is not a regular file; name the file that the key is in")
        if others_may_use(file, status.st_mode):
            raise self._unusable(f"may be used by others than its owner; chmod 600 {file}")
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _checked(self, text: str) -> str:
        value = text.strip()
        if not value:
            raise self._unusable(
                "is empty; write the key into it"
                if self._file is not None
                else "is not set; set it, or name a file that holds the key as api.key_file"
            )
        if len(value) > MAX_BYTES or not _SENDABLE.fullmatch(value):
            raise self._unusable("holds more than one line of plain characters; write the key alone")
        if self._hide is not None:
            self._hide(value)
        return value

    def _unusable(self, what: str) -> AccountRefused:
        subject = "the key file" if self._file is not None else "the environment variable"
        return AccountRefused("key", f"{subject} {self.origin.lstrip('$')} {what}", retry_seconds=5.0)
