from __future__ import annotations

import errno
from typing import Any

import aiohttp
import pytest

from ingestor.files_api import faults
from ingestor.files_api.faults import wire_fault
from ingestor.files_api.sending import SendStalled
from ingestor.files_api.slots import SLOW_LINK

KEY = "al_live_SECRET"


def quoting(kind: type[BaseException]) -> BaseException:
    """An error whose own text quotes what nobody may see."""
    error = kind.__new__(kind)
    error.args = (f"X-Api-Key: {KEY}",)
    return error


def test_every_kind_has_its_sentence() -> None:
    kinds = {kind for _, kind in faults._KINDS} | {"refused"}
    assert kinds == set(faults._SENTENCES)


def test_the_faults_of_a_slow_link_are_among_the_kinds() -> None:
    assert set(faults._SENTENCES) >= SLOW_LINK


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SendStalled(), "send_timeout", "api stopped taking the body"),
        (aiohttp.ConnectionTimeoutError(KEY), "connect_timeout", "api does not accept a connection in time"),
        (aiohttp.SocketTimeoutError(KEY), "answer_timeout", "api does not answer in time"),
        (TimeoutError(KEY), "timeout", "the whole exchange with api takes too long"),
        (aiohttp.ServerDisconnectedError(KEY), "disconnected", "api closed the connection without an answer"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "reset", "the connection to api broke"),
        (aiohttp.ClientPayloadError(KEY), "truncated", "the answer of api broke off"),
        (aiohttp.ClientOSError(errno.EPIPE, "Broken pipe"), "reset", "the connection to api broke (Broken pipe)"),
        (aiohttp.InvalidURL("http://x y"), "address", "api is no address that can be called"),
        (aiohttp.ClientError(KEY), "reset", "the connection to api broke (ClientError)"),
        (ValueError(KEY), "reset", "the connection to api broke (ValueError)"),
    ],
)
def test_each_fault_has_its_word_and_its_sentence(error: BaseException, code: str, said: str) -> None:
    fault = wire_fault(error, "api")
    assert (fault.code, fault.error_type, fault.status) == (code, "network", None)
    assert str(fault).startswith(said)
    assert KEY not in str(fault)


@pytest.mark.parametrize("kind", [aiohttp.ClientResponseError, aiohttp.ClientHttpProxyError])
def test_a_librarys_own_text_is_never_told(kind: Any) -> None:
    assert KEY not in str(wire_fault(quoting(kind), "api"))
