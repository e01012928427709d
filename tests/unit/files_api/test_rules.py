"""CONTRACT.md, Errors: each row as the error that the flow meets."""

from __future__ import annotations

from typing import Any

import pytest

from ingestor.errors import (
    AccountRefused,
    ApiError,
    ApiRefusedImage,
    ApiUnavailable,
    EnvironmentFault,
    FileGone,
    KeyInFlight,
    RateLimited,
    ServerFault,
)
from ingestor.files_api.rules import Refusal, error_of
from ingestor.files_api.wire import ErrorEnvelope
from ingestor.policy.verdicts import Call, Verdict


def refusal(status: int, type: str | None = None, code: str | None = None, **more: Any) -> Refusal:
    message = f"about {code}" if code else None
    param = more.pop("param", None)
    fields: dict[str, Any] = {
        "call": Call.UPLOAD,
        "request_id": "req_1",
        "retry_after_seconds": None,
        "base_url": "https://api.example.com",
        **more,
    }
    return Refusal(status=status, envelope=ErrorEnvelope(type=type, code=code, message=message, param=param), **fields)


ROWS = [
    (400, "invalid_request", "missing_field", ApiRefusedImage),
    (400, "invalid_request", "invalid_format", ApiRefusedImage),
    (400, "invalid_request", "reference_blocked", ApiRefusedImage),
    (422, "invalid_request", "value_out_of_range", ApiRefusedImage),
    (413, None, None, ApiRefusedImage),
    (409, "invalid_request", "idempotency_key_in_use", KeyInFlight),
    (429, "rate_limit", "too_many_requests", RateLimited),
    (429, "rate_limit", "concurrency_limit_exceeded", RateLimited),
    (429, None, None, RateLimited),
    (500, "server_error", "internal_error", ServerFault),
    (502, "server_error", "provider_unavailable", ServerFault),
    (503, "server_error", "provider_unavailable", ServerFault),
    (504, "server_error", "provider_timeout", ServerFault),
    (502, None, None, ServerFault),
    (418, None, None, ServerFault),
]


@pytest.mark.parametrize(("status", "type", "code", "kind"), ROWS)
def test_what_the_api_says_of_a_request_carries_all_facts(
    status: int, type: str | None, code: str | None, kind: type[ApiError]
) -> None:
    error = error_of(refusal(status, type, code, retry_after_seconds=7.0))
    assert error.__class__ is kind
    assert isinstance(error, ApiError)
    assert (error.status, error.error_type, error.code) == (status, type, code)
    assert (error.request_id, error.retry_after_seconds) == ("req_1", 7.0)
    assert str(status) in str(error)
    assert f"about {code}" in str(error) if code else True


@pytest.mark.parametrize(
    ("status", "type", "code", "reason"),
    [
        (401, "authentication", "missing_api_key", "key"),
        (401, "authentication", "invalid_api_key", "key"),
        (401, "authentication", "revoked_api_key", "key"),
        (401, None, None, "key"),
        (403, "authentication", "missing_scope", "scope"),
        (402, "invalid_request", "balance_too_low", "balance"),
        (402, None, None, "balance"),
    ],
)
def test_the_account_is_at_fault_and_no_image(status: int, type: str | None, code: str | None, reason: str) -> None:
    error = error_of(refusal(status, type, code))
    assert isinstance(error, AccountRefused)
    assert (error.reason, error.request_id) == (reason, "req_1")
    assert error.retry_seconds > 0


@pytest.mark.parametrize(
    ("status", "more", "reason", "said"),
    [
        (404, {}, "route", "no Files API answers at https://api.example.com; check api.base_url (404)"),
        (405, {}, "route", "no Files API answers at https://api.example.com; check api.base_url (405)"),
        (
            307,
            {"location_host": "elsewhere.example"},
            "redirect",
            "https://api.example.com redirects to elsewhere.example, where our key is not sent; check",
        ),
        (302, {}, "redirect", "https://api.example.com redirects to another place, where our key is not sent;"),
        (
            400,
            {"type": "invalid_request", "code": "invalid_format", "param": "Aurous-Version"},
            "settings",
            "https://api.example.com refuses a header of ours; check api.version (400 invalid_format: about",
        ),
    ],
)
def test_a_wrong_address_or_setting_is_told_as_such(status: int, more: Any, reason: str, said: str) -> None:
    error = error_of(refusal(status, **more))
    assert isinstance(error, ApiUnavailable)
    assert isinstance(error, EnvironmentFault)
    assert error.reason == reason
    assert str(error).startswith(said)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("call", [Call.FETCH, Call.DELETE])
def test_a_file_that_is_gone_is_told_as_such(status: int, call: Call) -> None:
    error = error_of(refusal(status, "not_found", "resource_not_found", call=call))
    assert isinstance(error, FileGone)


def test_every_verdict_has_its_error() -> None:
    from ingestor.files_api import rules

    assert set(rules._MAKERS) == set(Verdict)
