"""What an answer of the API means for us: the error table of CONTRACT.md as rows, first match wins.

An answer that no row knows is never held against an image: only the API's own word (`invalid_request`), or a
status that can only mean the body (413), refuses one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Call(StrEnum):
    """The endpoints, as the rules tell them apart. CONTRACT.md, Endpoints."""

    UPLOAD = "upload"
    FETCH = "fetch"
    DELETE = "delete"


class Verdict(StrEnum):
    """What is at fault, and so what is to be done."""

    IMAGE_REFUSED = "image_refused"
    """This image: quarantine, never retry unchanged."""
    KEY_REFUSED = "key_refused"
    """The API key: pause, read it again, resume."""
    SCOPE_MISSING = "scope_missing"
    """What the key may do: pause until somebody grants it."""
    BALANCE_TOO_LOW = "balance_too_low"
    """The account: pause until somebody pays."""
    KEY_IN_USE = "key_in_use"
    """The idempotency key: in flight elsewhere, or used for another body."""
    FILE_GONE = "file_gone"
    """Nothing: this file id is no more."""
    BUCKET_EMPTY = "bucket_empty"
    """The team's quota: everyone waits."""
    TOO_MANY_AT_ONCE = "too_many_at_once"
    """Our concurrency: fewer at once."""
    SERVER_FAULT = "server_fault"
    """The API, or something before it: the same request may work later."""
    WRONG_ADDRESS = "wrong_address"
    """`base_url`: whatever answers there is not the Files API."""
    REDIRECTED = "redirected"
    """`base_url`: it points elsewhere, and the key is not taken there."""
    WRONG_SETTING = "wrong_setting"
    """A header that comes from our settings, such as the pinned version."""


_ANY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """One row. What is left out matches anything."""

    statuses: Collection[int]
    type: str | None = None
    code: str | None = None
    params: frozenset[str] = _ANY
    """Names of `error.param`, in lower case."""
    calls: frozenset[Call] = frozenset(Call)
    verdict: Verdict

    def matches(self, call: Call, status: int, kind: str | None, code: str | None, param: str | None) -> bool:
        return (
            status in self.statuses
            and call in self.calls
            and self.type in (None, kind)
            and self.code in (None, code)
            and (not self.params or (param or "").lower() in self.params)
        )


_4XX = range(400, 500)
_ABOUT_A_FILE = frozenset({Call.FETCH, Call.DELETE})
_OUR_HEADERS = frozenset({"aurous-version", "x-api-key", "idempotency-key", "content-type", "content-length"})

RULES: tuple[ErrorRule, ...] = (
    # never followed: the key would go along
    ErrorRule(statuses=range(300, 400), verdict=Verdict.REDIRECTED),
    # authentication: no image is at fault
    ErrorRule(statuses=(401,), verdict=Verdict.KEY_REFUSED),
    ErrorRule(statuses=(403,), code="missing_scope", verdict=Verdict.SCOPE_MISSING),
    ErrorRule(statuses=(403,), code="missing_api_key", verdict=Verdict.KEY_REFUSED),
    ErrorRule(statuses=(403,), code="invalid_api_key", verdict=Verdict.KEY_REFUSED),
    ErrorRule(statuses=(403,), code="revoked_api_key", verdict=Verdict.KEY_REFUSED),
    ErrorRule(statuses=(403,), type="authentication", verdict=Verdict.SCOPE_MISSING),
    # the account, although the type says invalid_request
    ErrorRule(statuses=(402,), verdict=Verdict.BALANCE_TOO_LOW),
    ErrorRule(statuses=_4XX, code="balance_too_low", verdict=Verdict.BALANCE_TOO_LOW),
    # the idempotency key
    ErrorRule(statuses=(409,), code="idempotency_key_in_use", verdict=Verdict.KEY_IN_USE),
    # the quota
    ErrorRule(statuses=(429,), code="concurrency_limit_exceeded", verdict=Verdict.TOO_MANY_AT_ONCE),
    ErrorRule(statuses=(429,), verdict=Verdict.BUCKET_EMPTY),
    ErrorRule(statuses=_4XX, type="rate_limit", verdict=Verdict.BUCKET_EMPTY),
    # a file id that is gone: only the API's own envelope says so, a proxy's 404 page says nothing about a
    # file
    ErrorRule(statuses=(404, 410), type="not_found", calls=_ABOUT_A_FILE, verdict=Verdict.FILE_GONE),
    ErrorRule(statuses=(404, 405, 410), verdict=Verdict.WRONG_ADDRESS),
    # a proxy that takes smaller bodies than the API: this image will not get through
    ErrorRule(statuses=(413,), calls=frozenset({Call.UPLOAD}), verdict=Verdict.IMAGE_REFUSED),
    # invalid_request about a header of ours would refuse every image alike
    ErrorRule(statuses=_4XX, type="invalid_request", params=_OUR_HEADERS, verdict=Verdict.WRONG_SETTING),
    ErrorRule(statuses=_4XX, type="invalid_request", verdict=Verdict.IMAGE_REFUSED),
    # a status we do not know, with a type that we do
    ErrorRule(statuses=_4XX, type="authentication", verdict=Verdict.KEY_REFUSED),
    ErrorRule(statuses=_4XX, type="not_found", calls=_ABOUT_A_FILE, verdict=Verdict.FILE_GONE),
    ErrorRule(statuses=_4XX, type="not_found", verdict=Verdict.WRONG_ADDRESS),
    # everything else: server_error, proxies, and what no page describes
    ErrorRule(statuses=range(100, 1000), verdict=Verdict.SERVER_FAULT),
)


def verdict_of(
    call: Call, status: int, *, type: str | None = None, code: str | None = None, param: str | None = None
) -> Verdict:
    """What a non-2xx answer means; the first matching row decides."""
    for rule in RULES:
        if rule.matches(call, status, type, code, param):
            return rule.verdict
    return Verdict.SERVER_FAULT
