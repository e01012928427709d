"""A verdict as the error that it is for the flow: each carries what a caller acts on. CONTRACT.md, Errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingestor.errors import (
    AccountRefused,
    ApiError,
    ApiRefusedImage,
    ApiUnavailable,
    FileGone,
    IngestorError,
    KeyInFlight,
    RateLimited,
    ServerFault,
)
from ingestor.files_api.wire import ErrorEnvelope
from ingestor.policy.verdicts import Call, Verdict, verdict_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A non-2xx answer, as far as an error needs it."""

    call: Call
    status: int
    envelope: ErrorEnvelope
    request_id: str | None
    retry_after_seconds: float | None
    base_url: str
    location_host: str | None = None
    """Of a redirect."""

    @property
    def verdict(self) -> Verdict:
        told = self.envelope
        return verdict_of(self.call, self.status, type=told.type, code=told.code, param=told.param)

    @property
    def said(self) -> str:
        """`422 value_out_of_range: longest side is over 4096`, as much of it as came."""
        told = self.envelope
        head = " ".join(str(part) for part in (self.status, told.code or told.type) if part)
        return f"{head}: {told.message}" if told.message else head


def error_of(refusal: Refusal) -> IngestorError:
    """The error to raise for an answer that is not 2xx."""
    return _MAKERS[refusal.verdict](refusal)


def _api_error(kind: type[ApiError], sentence: str) -> Callable[[Refusal], IngestorError]:
    def make(refusal: Refusal) -> IngestorError:
        return kind(
            f"{sentence} ({refusal.said})",
            status=refusal.status,
            error_type=refusal.envelope.type,
            code=refusal.envelope.code,
            request_id=refusal.request_id,
            retry_after_seconds=refusal.retry_after_seconds,
        )

    return make


def _account(reason: str, sentence: str, retry_seconds: float) -> Callable[[Refusal], IngestorError]:
    def make(refusal: Refusal) -> IngestorError:
        return AccountRefused(
            reason,
            f"{sentence} ({refusal.said})",
            retry_seconds=retry_seconds,
            request_id=refusal.request_id,
        )

    return make


def _elsewhere(reason: str, sentence: str) -> Callable[[Refusal], IngestorError]:
    def make(refusal: Refusal) -> IngestorError:
        text = sentence.format(base_url=refusal.base_url, host=refusal.location_host or "another place")
        return ApiUnavailable(reason, f"{text} ({refusal.said})", retry_seconds=60.0, request_id=refusal.request_id)

    return make


_MAKERS: Mapping[Verdict, Callable[[Refusal], IngestorError]] = {
    Verdict.IMAGE_REFUSED: _api_error(ApiRefusedImage, "the API refuses this image"),
    Verdict.KEY_REFUSED: _account("key", "the API refuses our API key", 5.0),
    Verdict.SCOPE_MISSING: _account("scope", "our API key may not do this", 60.0),
    Verdict.BALANCE_TOO_LOW: _account("balance", "the account's balance is too low", 60.0),
    Verdict.KEY_IN_USE: _api_error(KeyInFlight, "the API holds this idempotency key for another request"),
    Verdict.FILE_GONE: _api_error(FileGone, "the API does not know this file id"),
    Verdict.BUCKET_EMPTY: _api_error(RateLimited, "the team's quota is used up"),
    Verdict.TOO_MANY_AT_ONCE: _api_error(RateLimited, "too many requests at once"),
    Verdict.SERVER_FAULT: _api_error(ServerFault, "the API failed"),
    Verdict.WRONG_ADDRESS: _elsewhere("route", "no Files API answers at {base_url}; check api.base_url"),
    Verdict.REDIRECTED: _elsewhere(
        "redirect", "{base_url} redirects to {host}, where our key is not sent; check api.base_url"
    ),
    Verdict.WRONG_SETTING: _elsewhere("settings", "{base_url} refuses a header of ours; check api.version"),
}
