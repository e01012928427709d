"""What went wrong on the wire, as a sentence and a word, never in the library's text: it may quote headers."""

from __future__ import annotations

import errno

import aiohttp

from ingestor.errors import ServerFault
from ingestor.files_api.sending import SendStalled

_SENTENCES = {
    "dns": "the name {host} cannot be resolved",
    "tls": "no trusted TLS connection to {host}",
    "proxy": "the proxy before {host} does not let us through",
    "refused": "{host} refuses the connection",
    "connect": "{host} cannot be reached",
    "connect_timeout": "{host} does not accept a connection in time",
    "send_timeout": "{host} stopped taking the body",
    "answer_timeout": "{host} does not answer in time",
    "timeout": "the whole exchange with {host} takes too long",
    "disconnected": "{host} closed the connection without an answer",
    "reset": "the connection to {host} broke",
    "truncated": "the answer of {host} broke off",
    "garbled": "what {host} answers is not HTTP",
    "address": "{host} is no address that can be called",
}

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (SendStalled, "send_timeout"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
    (aiohttp.SocketTimeoutError, "answer_timeout"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.ClientPayloadError, "truncated"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ClientResponseError, "garbled"),
    (aiohttp.InvalidURL, "address"),
    (TimeoutError, "timeout"),
    (OSError, "reset"),
    (aiohttp.ClientError, "reset"),
)


def wire_fault(error: BaseException, host: str) -> ServerFault:
    """A `ServerFault` whose `code` says which kind of fault it was: `dns`, `tls`, `refused`, `reset`, …"""
    kind = _kind(error)
    detail = _detail(error)
    sentence = _SENTENCES[kind].format(host=host)
    return ServerFault(f"{sentence} ({detail})" if detail else sentence, error_type="network", code=kind)


def _kind(error: BaseException) -> str:
    kind = next((kind for known, kind in _KINDS if isinstance(error, known)), "reset")
    if kind == "connect" and getattr(error, "errno", None) == errno.ECONNREFUSED:
        return "refused"
    return kind


def _detail(error: BaseException) -> str:
    """The system's own words for it, which hold no secrets; else the name of the error."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(getattr(error.certificate_error, "verify_message", "") or "certificate")
    if isinstance(error, OSError) and not isinstance(error, TimeoutError) and error.errno:
        return error.strerror or errno.errorcode.get(error.errno, "")
    return "" if isinstance(error, TimeoutError) else type(error).__name__
