from urllib.parse import parse_qs, urlsplit

import pytest

from ingestor.sandbox.signing import URL_SECONDS, Signer

NOW = 1_800_000_000
SIGNER = Signer(b"secret")


def taken_apart(url):
    query = parse_qs(urlsplit(url).query)
    return urlsplit(url).path, query["expires"][0], query["token"][0]


def test_a_url_ends_an_hour_after_it_was_minted():
    path, expires, token = taken_apart(SIGNER.url("http://here", "file_A", NOW + 0.9, NOW + 86_400))
    assert (path, int(expires)) == ("/signed/file_A", NOW + URL_SECONDS)
    assert SIGNER.is_genuine("file_A", expires, token)


def test_a_url_does_not_outlive_its_file():
    _, expires, _ = taken_apart(SIGNER.url("http://here", "file_A", NOW, NOW + 60))
    assert int(expires) == NOW + 60


def test_a_token_is_good_for_one_file_one_end_and_one_secret():
    _, expires, token = taken_apart(SIGNER.url("http://here", "file_A", NOW, NOW + 86_400))
    assert not SIGNER.is_genuine("file_B", expires, token)
    assert not SIGNER.is_genuine("file_A", str(int(expires) + 1), token)
    assert not Signer(b"another").is_genuine("file_A", expires, token)


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "٣", "9" * 16, "0x1", " 1"])
def test_an_end_that_is_no_number_is_not_genuine(expires):
    assert not SIGNER.is_genuine("file_A", expires, "f" * 64)


@pytest.mark.parametrize("token", ["", "é", "\udc80", "f" * 64])
def test_any_text_may_come_as_a_token(token):
    assert not SIGNER.is_genuine("file_A", str(NOW), token)
