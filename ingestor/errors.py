"""What can go wrong, and what a caller may do about it.

    IngestorError
    |- SettingsError            the user's settings or arguments: all mistakes at once     exit 2
    |- LedgerError              the ledger cannot be used as it is                         exit 1
    |  |- LedgerHeld            another ingestor holds it                                  exit 6
    |  |- LedgerUnreadable      corrupt, newer than the program, or not writable
    |- SourceNotReady           the file is not whole, not there, or busy: settle again
    |- ImageRejected            this image cannot be made fit: quarantine
    |- ImageWorkerLost          a worker died or was killed; `solitary` says whether the image was alone in it
    |- MetadataRejected         sidecar or metadata that cannot be used: quarantine
    |- EnvironmentFault         disk, network, account: nobody's image is at fault; wait
    |  |- DiskFault             ENOSPC, EIO, EROFS, EDQUOT on a file of ours
    |  |- AccountRefused        key, scope or balance                                      exit 4
    |  |- ApiUnavailable        no answer, or a server error, for longer than one retries  exit 5
    |- ApiRefusedImage          the API finds fault with this image: quarantine
    |- KeyConflict              the idempotency key was used for another body: next generation
    |- FileGone                 the API does not know this file id (any more)
    |- ApiAnswerInvalid         an answer that is not what CONTRACT.md promises

`RateLimited`, `KeyInFlight` and `ServerFault` end inside `files_api.resilient`: nobody above it meets them.
"""

from __future__ import annotations

from dataclasses import dataclass


class IngestorError(Exception):
    """Base of all errors that this program raises on purpose. Its text is fit for a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in the settings: where, what, and what would be right."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class SettingsError(IngestorError):
    """The settings cannot be used; `problems` has every mistake found in one run."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UsageError(IngestorError):
    """Wrong arguments on the command line."""


class LedgerError(IngestorError):
    """The ledger cannot be used as it is."""


class LedgerHeld(LedgerError):
    """Another ingestor holds this ledger."""


class LedgerUnreadable(LedgerError):
    """Corrupt, newer than this program, or not readable or writable."""


class SourceNotReady(IngestorError):
    """The file is busy, incomplete, changed while it was read, or gone. Never the image's fault."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImageRejected(IngestorError):
    """This image cannot be made fit. `reason` is one of the closed list in `policy.formats.REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type[ImageRejected], tuple[str, str]]:
        return type(self), (self.reason, self.message)


class ImageWorkerLost(IngestorError):
    """A worker process died under an image. `solitary`: no other image was being worked on."""

    def __init__(self, message: str, *, solitary: bool) -> None:
        super().__init__(message)
        self.solitary = solitary


class MetadataRejected(IngestorError):
    """A sidecar that is no JSON object, or metadata over its limits."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class EnvironmentFault(IngestorError):
    """Nobody's image is at fault. `reason` is a word for tables, `retry_seconds` when to look again."""

    def __init__(self, reason: str, message: str, *, retry_seconds: float = 5.0, request_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_seconds = retry_seconds
        self.request_id = request_id


class DiskFault(EnvironmentFault):
    """A disk that is full, broken or read-only, met on a file of ours."""


class AccountRefused(EnvironmentFault):
    """The API refuses us, not the image: `reason` is `key`, `scope` or `balance`."""


class ApiUnavailable(EnvironmentFault):
    """The API cannot be reached or answers with server errors only."""


class ApiError(IngestorError):
    """What the API said: status, code and the request id that support asks for."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error_type: str | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.code = code
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


class ApiRefusedImage(ApiError):
    """`invalid_request` for this image: never retried unchanged."""


class KeyConflict(ApiError):
    """409 `idempotency_key_in_use` for good: the key was used with another body or route."""


class KeyInFlight(ApiError):
    """409 `idempotency_key_in_use` while the first request with the key is still running."""


class FileGone(ApiError):
    """404 or 410 for a file id."""


class RateLimited(ApiError):
    """429: the team's bucket is empty, or (`code`) too many requests are in flight."""


class ServerFault(ApiError):
    """5xx, no answer, or a connection that broke: the same request may work later."""


class ApiAnswerInvalid(ServerFault):
    """A 2xx answer that is not the object CONTRACT.md promises, or is for another file."""
