"""Refusals of the API, as values that become its error envelope. CONTRACT.md, Errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DOCS = "https://docs.aurous-labs.com/errors#"


class ApiError(Exception):
    """A call is answered with an error envelope."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.message = message
        self.param = param
        self.headers = dict(headers or {})

    def envelope(self, request_id: str) -> dict[str, Any]:
        """The JSON body."""
        return {
            "error": {
                "type": self.kind,
                "code": self.code,
                "message": self.message,
                "param": self.param,
                "doc_url": _DOCS + self.code,
                "request_id": request_id,
            }
        }


class SandboxHeld(Exception):
    """Another process serves this data folder; `base_url` says where, if it has said so."""

    def __init__(self, data_dir: object, base_url: str | None) -> None:
        super().__init__(f"another sandbox serves {data_dir}" + (f" at {base_url}" if base_url else ""))
        self.base_url = base_url


def missing_field(param: str) -> ApiError:
    """400: a required part is not there."""
    return ApiError(400, "invalid_request", "missing_field", f"{param} is required.", param=param)


def invalid_format(param: str | None, message: str) -> ApiError:
    """400: what came is not of the kind that is asked for."""
    return ApiError(400, "invalid_request", "invalid_format", message, param=param)


def out_of_range(param: str, message: str) -> ApiError:
    """400: the kind is right, the size or value is not."""
    return ApiError(400, "invalid_request", "value_out_of_range", message, param=param)


def unauthorized(code: str, message: str) -> ApiError:
    """401."""
    return ApiError(401, "authentication", code, message)


def missing_scope(scope: str) -> ApiError:
    """403: the key is good, but not for this."""
    return ApiError(403, "authentication", "missing_scope", f"This key lacks the scope {scope}.")


def not_found(message: str) -> ApiError:
    """404."""
    return ApiError(404, "not_found", "resource_not_found", message)


def key_in_use(message: str) -> ApiError:
    """409, in flight or for good: the API tells them apart by its message alone."""
    return ApiError(409, "invalid_request", "idempotency_key_in_use", message, param="Idempotency-Key")


def rate_limited(retry_after: str | None, code: str = "too_many_requests") -> ApiError:
    """429, with what `Retry-After` says."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return ApiError(429, "rate_limit", code, "Too many requests.", headers=headers)


def server_error(status: int, code: str = "internal_error") -> ApiError:
    """5xx."""
    return ApiError(status, "server_error", code, "Something went wrong on our side.")
