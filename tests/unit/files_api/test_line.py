"""Real sockets, and everything that can go wrong on them."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from ingestor.errors import ServerFault
from ingestor.files_api.form import Form, form_of
from ingestor.files_api.line import Answer, Line
from ingestor.files_api.timeouts import Timeouts
from ingestor.files_api.wire import MAX_ANSWER_BYTES
from tests.api_kit import CONTENT, KEY, PATIENT, an_upload
from tests.raw_server import FILE, Request, answer, drip, hang, raw, raw_server, reset

LARGE = b"x" * 16_000_000
"""More than the system's buffers take without anybody reading."""


class Call:
    """One exchange on a line of its own."""

    def __init__(self, base_url: str, timeouts: Timeouts = PATIENT, ssl: Any = True) -> None:
        self.base_url = base_url
        self.timeouts = timeouts
        self.ssl = ssl
        self.heard: list[Mapping[str, str]] = []

    async def get(self, path: str = "/v1/files/file_1") -> Answer:
        return await self._exchange("GET", path, None, b"")

    async def post(self, folder: Path, content: bytes = CONTENT) -> Answer:
        form = form_of(an_upload(folder, content))
        return await self._exchange("POST", "/v1/files", form, content)

    async def _exchange(self, method: str, path: str, form: Form | None, content: bytes) -> Answer:
        headers = {"X-Api-Key": KEY}
        if form is not None:
            headers |= {"Content-Type": form.content_type, "Content-Length": str(form.size_bytes)}
        line = Line(base_url=self.base_url, timeouts=self.timeouts, ssl=self.ssl)
        try:
            return await line.exchange(method, path, headers, self.heard.append, form=form, content=content)
        finally:
            await line.close()

    async def fault(self, folder: Path | None = None, content: bytes = CONTENT) -> ServerFault:
        with pytest.raises(ServerFault) as caught:
            await (self.get() if folder is None else self.post(folder, content))
        assert KEY not in str(caught.value)
        assert caught.value.error_type == "network"
        # a library's own error holds the request's headers
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        return caught.value


# -- what goes out and comes back ------------------------------------------------------------------


async def test_the_request_is_these_very_lines(tmp_path: Path) -> None:
    async with raw_server(answer(201, FILE)) as server:
        await Call(server.base_url + "/prefix").post(tmp_path)
        (request,) = server.requests
    form = form_of(an_upload(tmp_path))
    assert (request.method, request.path) == ("POST", "/prefix/v1/files")
    assert request.body == form.head + CONTENT + form.tail
    assert request.headers["content-length"] == str(len(request.body))
    assert "transfer-encoding" not in request.headers
    assert "cookie" not in request.headers
    assert "expect" not in request.headers


async def test_a_large_body_arrives_byte_for_byte(tmp_path: Path) -> None:
    content = bytes(range(256)) * 30_000
    async with raw_server(answer(201, FILE)) as server:
        await Call(server.base_url, Timeouts()).post(tmp_path, content)
        assert server.requests[0].parts()["file"][1] == content


async def test_the_answer_comes_back_whole_whatever_its_status() -> None:
    for status in (200, 201, 299, 304, 400, 418, 503):
        body = b"" if status == 304 else b"body"
        async with raw_server(answer(status, body, {"X-RateLimit-Limit": "60"})) as server:
            call = Call(server.base_url)
            got = await call.get()
        assert (got.status, got.body, got.headers["x-ratelimit-limit"]) == (status, body, "60")
        assert call.heard == [got.headers]


async def test_one_connection_serves_many_requests() -> None:
    async with raw_server(answer(200, b"1"), answer(200, b"2"), answer(200, b"3")) as server:
        line = Line(base_url=server.base_url, timeouts=PATIENT, ssl=True)
        bodies = [(await line.exchange("GET", "/x", {}, lambda told: None)).body for _ in range(3)]
        await line.close()
    assert bodies == [b"1", b"2", b"3"]


async def test_cookies_are_not_kept() -> None:
    async with raw_server(answer(200, b"1", {"Set-Cookie": "a=b"}), answer(200, b"2")) as server:
        line = Line(base_url=server.base_url, timeouts=PATIENT, ssl=True)
        for _ in range(2):
            await line.exchange("GET", "/x", {}, lambda told: None)
        await line.close()
        assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(tmp_path: Path, status: int) -> None:
    async with raw_server(answer(200, FILE)) as elsewhere:
        async with raw_server(answer(status, b"", {"Location": elsewhere.base_url})) as server:
            assert (await Call(server.base_url).post(tmp_path)).status == status
        assert elsewhere.requests == []


async def test_an_error_that_quotes_our_key_comes_without_it() -> None:
    quoting = answer(401, f"no key {KEY}".encode(), {"Aurous-Request-Id": f"req_{KEY}"})
    async with raw_server(quoting) as server:
        got = await Call(server.base_url).get()
    assert got.body.decode() == "no key …"
    assert KEY not in str(got.headers)


async def test_an_answer_before_the_body_was_taken_ends_the_sending(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def early(request: Request, writer: asyncio.StreamWriter) -> None:
        await answer(400, b"no")(request, writer)
        await writer.drain()
        await released.wait()

    async with raw_server(early, read_body=False) as server:
        got = await Call(server.base_url, Timeouts()).post(tmp_path, LARGE)
        released.set()
    assert (got.status, got.body) == (400, b"no")


# -- sizes -----------------------------------------------------------------------------------------


async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    sent = []

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(15_000):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent.append(65_536)

    async with raw_server(behave) as server:
        assert (await Call(server.base_url, Timeouts()).get()).body == b""
    assert sum(sent) < 40 * MAX_ANSWER_BYTES


@pytest.mark.parametrize(("extra", "whole"), [(0, True), (1, False)])
async def test_the_limit_of_an_answer_is_exact(extra: int, whole: bool) -> None:
    size = MAX_ANSWER_BYTES + extra
    async with raw_server(answer(200, b"x" * size)) as server:
        got = await Call(server.base_url, Timeouts()).get()
    assert len(got.body) == (size if whole else 0)


async def test_a_compressed_answer_counts_by_what_it_holds() -> None:
    bomb = gzip.compress(b"x" * 100_000_000)
    async with raw_server(answer(200, bomb, {"Content-Encoding": "gzip"})) as server:
        assert (await Call(server.base_url, Timeouts()).get()).body == b""
    async with raw_server(answer(200, gzip.compress(b"small"), {"Content-Encoding": "gzip"})) as server:
        assert (await Call(server.base_url).get()).body == b"small"


async def test_a_header_without_end_is_no_answer() -> None:
    async with raw_server(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000)) as server:
        assert (await Call(server.base_url).fault()).code in ("garbled", "reset", "disconnected")


# -- connections that break ------------------------------------------------------------------------


async def test_a_port_where_nobody_listens_refuses() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        fault = await Call(f"http://127.0.0.1:{port}").fault()
    assert fault.code == "refused"
    assert str(fault).startswith(f"127.0.0.1:{port} refuses the connection")


async def test_a_reset_before_the_body_is_read(tmp_path: Path) -> None:
    async with raw_server(reset, read_body=False) as server:
        assert (await Call(server.base_url).fault(tmp_path)).code in ("reset", "disconnected")


async def test_a_reset_in_the_middle_of_the_body(tmp_path: Path) -> None:
    async with raw_server(reset, read_body=False) as server:
        fault = await Call(server.base_url, Timeouts()).fault(tmp_path, LARGE)
    assert fault.code in ("reset", "disconnected")


async def test_a_reset_after_the_body(tmp_path: Path) -> None:
    async with raw_server(reset) as server:
        fault = await Call(server.base_url).fault(tmp_path)
        assert len(server.requests[0].body) > len(CONTENT)
    assert fault.code in ("reset", "disconnected")


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (b"", {"disconnected"}),
        (b"HTTP/1.1 200 OK\r\n", {"disconnected", "garbled"}),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this", {"truncated"}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", {"truncated"}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", {"truncated", "garbled"}),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", {"truncated", "garbled"}),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", {"garbled", "disconnected"}),
        (b"HTTP/1.1 OK\r\n\r\n", {"garbled"}),
        (b"HTTP/1.1 999999 OK\r\n\r\n", {"garbled"}),
        (b"\x00\x01\x02\x03\r\n\r\n", {"garbled", "disconnected"}),
    ],
)
async def test_answers_that_break_off_or_are_no_http(sent: bytes, codes: set[str]) -> None:
    async with raw_server(raw(sent)) as server:
        assert (await Call(server.base_url).fault()).code in codes


async def test_rate_headers_are_heard_even_if_the_body_breaks_off() -> None:
    async with raw_server(raw(b"HTTP/1.1 200 OK\r\nX-RateLimit-Limit: 60\r\nContent-Length: 50\r\n\r\nx")) as server:
        call = Call(server.base_url)
        await call.fault()
    assert call.heard[0]["X-RateLimit-Limit"] == "60"


# -- too slow --------------------------------------------------------------------------------------


@contextmanager
def full_backlog() -> Iterator[str]:
    """An address that accepts no more connections, and does not say so."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
                waiting.append(client)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for client in waiting:
                client.close()


async def test_a_connection_that_is_not_accepted_in_time() -> None:
    with full_backlog() as base_url:
        fault = await Call(base_url, Timeouts(connect=0.2)).fault()
    assert fault.code == "connect_timeout"
    assert str(fault).endswith("does not accept a connection in time")


async def test_a_body_that_nobody_takes(tmp_path: Path) -> None:
    async with raw_server(hang, read_body=False) as server:
        fault = await Call(server.base_url, Timeouts(stall=0.2)).fault(tmp_path, LARGE)
    assert fault.code == "send_timeout"


async def test_an_answer_that_does_not_come(tmp_path: Path) -> None:
    async with raw_server(hang) as server:
        call = Call(server.base_url, Timeouts(answer=0.2))
        assert (await call.fault(tmp_path)).code == "answer_timeout"
        assert (await call.fault()).code == "answer_timeout"


async def test_an_answer_that_stops_in_the_middle() -> None:
    async def stop(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this")
        await hang(request, writer)

    async with raw_server(stop) as server:
        assert (await Call(server.base_url, Timeouts(answer=0.2)).fault()).code == "answer_timeout"


async def test_an_answer_that_trickles() -> None:
    async with raw_server(drip(0.03)) as server:
        assert (await Call(server.base_url, Timeouts(answer=5.0, total=0.3)).fault()).code == "timeout"


async def test_a_slow_answer_that_keeps_coming_is_waited_for() -> None:
    async with raw_server(drip(0.001)) as server:
        assert (await Call(server.base_url, Timeouts(answer=10.0)).get()).status == 201


# -- names and certificates ------------------------------------------------------------------------


async def test_a_name_that_cannot_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fault = await Call("https://api.example.com").fault()
    assert fault.code == "dns"
    assert str(fault) == "the name api.example.com cannot be resolved (Name or service not known)"


async def test_a_name_server_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        released.wait(5.0)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        assert (await Call("https://api.example.com", Timeouts(connect=0.1)).fault()).code == "connect_timeout"
    finally:
        released.set()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_trusted_certificate_for_the_right_name(authority: trustme.CA) -> None:
    async with raw_server(answer(200, b"safe"), ssl=server_side(authority, "127.0.0.1")) as server:
        assert (await Call(server.base_url, ssl=client_side(authority)).get()).body == b"safe"


async def test_a_certificate_of_an_authority_that_nobody_trusts(authority: trustme.CA) -> None:
    async with raw_server(answer(200, b"evil"), ssl=server_side(authority, "127.0.0.1")) as server:
        fault = await Call(server.base_url).fault()
        assert server.requests == []
    assert fault.code == "tls"
    assert str(fault).startswith("no trusted TLS connection to 127.0.0.1")


async def test_a_certificate_for_another_name(authority: trustme.CA) -> None:
    async with raw_server(answer(200, b"evil"), ssl=server_side(authority, "api.example.com")) as server:
        fault = await Call(server.base_url, ssl=client_side(authority)).fault()
        assert server.requests == []
    assert fault.code == "tls"


async def test_plain_http_where_tls_was_meant() -> None:
    async def puzzled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(puzzled, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert (await Call(f"https://127.0.0.1:{port}").fault()).code == "tls"


async def test_tls_where_plain_http_was_meant(authority: trustme.CA) -> None:
    async with raw_server(answer(200, b"x"), ssl=server_side(authority, "127.0.0.1")) as server:
        fault = await Call(server.base_url.replace("https:", "http:")).fault()
    assert fault.code in ("reset", "disconnected", "garbled")


# -- proxies ---------------------------------------------------------------------------------------


async def test_the_environments_proxy_is_used_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(answer(200, b"by proxy")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base_url.replace("http://", "http://user:hunter2@"))
        monkeypatch.delenv("no_proxy", raising=False)
        got = await Call("http://api.example.com").get()
        assert got.body == b"by proxy"
        assert proxy.requests[0].path == "http://api.example.com/v1/files/file_1"


async def test_no_proxy_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with raw_server(answer(200, b"direct")) as server:
        assert (await Call(server.base_url).get()).body == b"direct"


async def test_a_proxy_that_is_down_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:hunter2@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    fault = await Call("https://api.example.com").fault()
    assert fault.code == "proxy"
    assert "hunter2" not in str(fault)


async def test_a_proxy_that_does_not_let_us_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(answer(407, b"who are you")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.base_url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await Call("https://api.example.com").fault()).code == "proxy"
        assert KEY not in str(proxy.requests[0].headers)
