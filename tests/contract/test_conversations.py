"""The recorded exchanges themselves: complete, and true to what they say of the images in them."""

import io
from collections import Counter

import pytest
from PIL import Image

from tests.contract.conversations import BOTH, conversations, everything, images

ERROR_TABLE = {
    (400, "invalid_request", "missing_field"),
    (400, "invalid_request", "invalid_format"),
    (400, "invalid_request", "value_out_of_range"),
    (400, "invalid_request", "reference_blocked"),
    (402, "invalid_request", "balance_too_low"),
    (409, "invalid_request", "idempotency_key_in_use"),
    (422, "invalid_request", "value_out_of_range"),
    (401, "authentication", "missing_api_key"),
    (401, "authentication", "invalid_api_key"),
    (401, "authentication", "revoked_api_key"),
    (403, "authentication", "missing_scope"),
    (404, "not_found", "resource_not_found"),
    (410, "not_found", "resource_not_found"),
    (429, "rate_limit", "too_many_requests"),
    (429, "rate_limit", "concurrency_limit_exceeded"),
    (500, "server_error", "internal_error"),
    (502, "server_error", "provider_unavailable"),
    (503, "server_error", "provider_unavailable"),
    (504, "server_error", "provider_timeout"),
}
STEPS = [(conversation, step) for conversation in everything() for step in conversation.steps]


def test_every_row_of_the_error_table_is_recorded():
    recorded = {
        (step.answer.status, step.answer.json["error"]["type"], step.answer.json["error"]["code"])
        for _, step in STEPS
        if step.answer.json and "error" in step.answer.json
    }
    assert recorded == ERROR_TABLE


def test_every_name_is_given_once_and_every_source_is_named():
    assert set(Counter(conversation.name for conversation in everything()).values()) == {1}
    assert all(conversation.source for conversation in everything())


def test_every_judge_is_known_and_the_client_is_asked_wherever_it_is_to_be_judged():
    assert all(set(conversation.judges) <= set(BOTH) for conversation in everything())
    for conversation in conversations("client"):
        assert all(("returns" in step.client) != ("raises" in step.client) for step in conversation.steps)
    for conversation in everything():
        if "client" not in conversation.judges:
            assert not any(step.client for step in conversation.steps)


@pytest.mark.parametrize(("name", "mime_type"), [("jpeg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")])
def test_file_objects_tell_the_truth_about_the_images(name, mime_type):
    picture = Image.open(io.BytesIO(images()[name]))
    picture.load()
    told = [
        step.answer.json for _, step in STEPS if step.answer.json and step.answer.json.get("mime_type") == mime_type
    ]
    assert told
    for file in told:
        assert (file["width_px"], file["height_px"]) == picture.size
        assert file["size_bytes"] == len(images()[name])
