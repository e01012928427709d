import pytest

from ingestor.sandbox import errors
from ingestor.sandbox.errors import SandboxHeld


def test_an_envelope_has_every_field_of_the_contract():
    envelope = errors.missing_field("purpose").envelope("req_1")
    assert envelope == {
        "error": {
            "type": "invalid_request",
            "code": "missing_field",
            "message": "purpose is required.",
            "param": "purpose",
            "doc_url": "https://docs.aurous-labs.com/errors#missing_field",
            "request_id": "req_1",
        }
    }


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (errors.missing_field("file"), 400, "invalid_request", "missing_field"),
        (errors.invalid_format("file", "m"), 400, "invalid_request", "invalid_format"),
        (errors.out_of_range("file", "m"), 400, "invalid_request", "value_out_of_range"),
        (errors.unauthorized("revoked_api_key", "m"), 401, "authentication", "revoked_api_key"),
        (errors.missing_scope("write"), 403, "authentication", "missing_scope"),
        (errors.not_found("m"), 404, "not_found", "resource_not_found"),
        (errors.key_in_use("m"), 409, "invalid_request", "idempotency_key_in_use"),
        (errors.rate_limited("1"), 429, "rate_limit", "too_many_requests"),
        (errors.server_error(503), 503, "server_error", "internal_error"),
    ],
)
def test_each_refusal_has_the_type_and_code_of_the_error_table(error, status, kind, code):
    assert (error.status, error.kind, error.code) == (status, kind, code)


def test_only_a_rate_limit_that_knows_when_says_when():
    assert errors.rate_limited("7").headers == {"Retry-After": "7"}
    assert errors.rate_limited(None).headers == {}
    assert errors.key_in_use("m").headers == {}


def test_a_held_folder_says_where_it_is_served_if_that_is_known():
    assert str(SandboxHeld("/data", "http://127.0.0.1:9")) == "another sandbox serves /data at http://127.0.0.1:9"
    assert str(SandboxHeld("/data", None)) == "another sandbox serves /data"
