import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.policy.verdicts import RULES, Call, Verdict, verdict_of

TYPES = ("invalid_request", "authentication", "not_found", "rate_limit", "server_error", None, "odd")

# CONTRACT.md, Errors, row by row: (call, status, type, code, param) and what it means for us
TABLE = [
    *((Call.UPLOAD, s, "invalid_request", c, None, Verdict.IMAGE_REFUSED)
      for s in (400, 422) for c in ("missing_field", "invalid_format", "value_out_of_range", "reference_blocked")),
    (Call.UPLOAD, 413, None, None, None, Verdict.IMAGE_REFUSED),
    (Call.UPLOAD, 413, "invalid_request", "odd", None, Verdict.IMAGE_REFUSED),
    (Call.UPLOAD, 402, "invalid_request", "balance_too_low", None, Verdict.BALANCE_TOO_LOW),
    (Call.UPLOAD, 402, None, None, None, Verdict.BALANCE_TOO_LOW),
    (Call.UPLOAD, 400, "invalid_request", "balance_too_low", None, Verdict.BALANCE_TOO_LOW),
    (Call.UPLOAD, 409, "invalid_request", "idempotency_key_in_use", None, Verdict.KEY_IN_USE),
    (Call.UPLOAD, 409, "invalid_request", "reference_blocked", None, Verdict.IMAGE_REFUSED),
    (Call.UPLOAD, 409, None, None, None, Verdict.SERVER_FAULT),
    *((Call.UPLOAD, 401, "authentication", c, None, Verdict.KEY_REFUSED)
      for c in ("missing_api_key", "invalid_api_key", "revoked_api_key", None)),
    (Call.UPLOAD, 401, None, None, None, Verdict.KEY_REFUSED),
    (Call.UPLOAD, 403, "authentication", "missing_scope", None, Verdict.SCOPE_MISSING),
    (Call.FETCH, 403, "authentication", "missing_scope", None, Verdict.SCOPE_MISSING),
    (Call.UPLOAD, 403, "authentication", "missing_api_key", None, Verdict.KEY_REFUSED),
    (Call.UPLOAD, 403, "authentication", "invalid_api_key", None, Verdict.KEY_REFUSED),
    (Call.UPLOAD, 403, "authentication", "revoked_api_key", None, Verdict.KEY_REFUSED),
    (Call.UPLOAD, 403, "authentication", "odd", None, Verdict.SCOPE_MISSING),
    (Call.UPLOAD, 403, None, None, None, Verdict.SERVER_FAULT),
    (Call.UPLOAD, 403, "invalid_request", "reference_blocked", None, Verdict.IMAGE_REFUSED),
    (Call.UPLOAD, 418, "authentication", None, None, Verdict.KEY_REFUSED),
    *((c, s, "not_found", "resource_not_found", None, Verdict.FILE_GONE)
      for c in (Call.FETCH, Call.DELETE) for s in (404, 410)),
    *((c, s, None, None, None, Verdict.WRONG_ADDRESS) for c in Call for s in (404, 405, 410)),
    (Call.UPLOAD, 404, "not_found", "resource_not_found", None, Verdict.WRONG_ADDRESS),
    (Call.UPLOAD, 418, "not_found", None, None, Verdict.WRONG_ADDRESS),
    (Call.FETCH, 418, "not_found", None, None, Verdict.FILE_GONE),
    (Call.UPLOAD, 429, "rate_limit", "too_many_requests", None, Verdict.BUCKET_EMPTY),
    (Call.UPLOAD, 429, "rate_limit", "concurrency_limit_exceeded", None, Verdict.TOO_MANY_AT_ONCE),
    (Call.UPLOAD, 429, None, None, None, Verdict.BUCKET_EMPTY),
    (Call.UPLOAD, 420, "rate_limit", None, None, Verdict.BUCKET_EMPTY),
    *((Call.UPLOAD, s, "server_error", c, None, Verdict.SERVER_FAULT)
      for s in (500, 502, 503, 504) for c in ("internal_error", "provider_unavailable", "provider_timeout")),
    *((Call.UPLOAD, s, None, None, None, Verdict.SERVER_FAULT) for s in (400, 408, 422, 425, 500, 502, 503, 504, 599)),
    *((Call.UPLOAD, s, None, None, None, Verdict.REDIRECTED) for s in (301, 302, 303, 307, 308)),
    (Call.UPLOAD, 400, "invalid_request", "invalid_format", "Aurous-Version", Verdict.WRONG_SETTING),
    (Call.UPLOAD, 400, "invalid_request", "invalid_format", "file", Verdict.IMAGE_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("call", "status", "type", "code", "param", "verdict"), TABLE)
def test_every_row_of_the_contract_has_its_verdict(call, status, type, code, param, verdict):
    assert verdict_of(call, status, type=type, code=code, param=param) is verdict


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.verdict}-{rule.type}-{rule.code}")
def test_every_rule_is_the_first_to_match_something(rule):
    questions = itertools.product(
        rule.calls,
        list(rule.statuses)[:20] + list(rule.statuses)[-1:],
        (rule.type,) if rule.type else TYPES,
        (rule.code,) if rule.code else (None, "odd"),
        rule.params or (None,),
    )
    assert any(next(r for r in RULES if r.matches(*question)) is rule for question in questions)


@given(
    st.sampled_from(Call),
    st.integers(100, 999),
    st.sampled_from(TYPES),
    st.one_of(st.none(), st.text(max_size=30)),
    st.one_of(st.none(), st.text(max_size=10)),
)
def test_only_the_apis_own_word_or_a_413_refuses_an_image(call, status, type, code, param):
    verdict = verdict_of(call, status, type=type, code=code, param=param)
    if verdict is Verdict.IMAGE_REFUSED:
        assert 400 <= status < 500
        assert type == "invalid_request" or (status == 413 and call is Call.UPLOAD)
    if verdict is Verdict.FILE_GONE:
        assert type == "not_found"
