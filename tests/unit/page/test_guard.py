from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import hdrs
from yarl import URL

from ingestor.errors import DiskFault
from ingestor.page.guard import HEADERS, host_of
from tests.unit.page.kit import TOKEN, Page

PAGES = ["/", "/images", "/quarantine", "/metrics", "/healthz", "/readyz", "/static/page.css", "/nothing"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_has_the_headers_that_keep_others_out(page: Page, path: str) -> None:
    answer = await page.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers[hdrs.CACHE_CONTROL]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_pages_have_nothing_that_the_policy_forbids_and_nothing_from_outside(page: Page) -> None:
    for path in ("/", "/images", "/quarantine", "/nothing"):
        text = await page.text(path, 404 if path == "/nothing" else 200)
        for forbidden in (" style=", "<style", "javascript:", " onclick", " onload", "http://", "https://"):
            assert forbidden not in text, (path, forbidden)
        assert text.count("<script") == text.count('<script src="/static/') == 1


# -- names


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "10.0.0.5", "[2001:db8::1]:80", "", "localhost."],
)
async def test_a_name_that_is_not_this_machines_is_refused(page: Page, host: str) -> None:
    for path in PAGES:
        answer = await page.get(path, headers={"Host": host})
        assert answer.status == 421, path


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1", "127.9.9.9:1", "[::1]:8787"])
async def test_this_machine_may_be_called_as_it_is_called(page: Page, host: str) -> None:
    assert (await page.get("/", headers={"Host": host})).status == 200


def test_a_host_is_read_without_its_port() -> None:
    assert [host_of(host) for host in ("a:1", "a", "[::1]:5", "[::1]", "")] == ["a", "a", "::1", "::1", ""]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_sites_page_may_lead_here_but_fetch_nothing(page: Page, site: str) -> None:
    for path in ("/", "/events", "/thumbnail?at=x", "/metrics", "/static/page.css"):
        answer = await page.get(path, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
        assert answer.status == 403, path
    led = await page.get("/", headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"})
    assert led.status == 200


# -- forms


async def test_a_form_without_proof_changes_nothing(page: Page) -> None:
    for proof in (None, "", "0" * 64):
        form = {"all": "yes"} if proof is None else {"all": "yes", "proof": proof}
        assert (await page.post("/retry", form, page=None)).status == 403
    assert page.site.retrying.latest is None


async def test_a_form_from_another_site_is_refused_although_its_proof_is_right(page: Page) -> None:
    text = await page.text("/quarantine")
    del text
    proof = page.site.access.form_proof(None)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        answer = await page.client.post("/retry", data={"all": "yes", "proof": proof}, headers={"Origin": origin})
        assert answer.status == 403
    assert page.site.retrying.latest is None


async def test_what_changes_something_is_never_a_get(page: Page) -> None:
    for path in ("/retry", "/url", "/logout"):
        assert (await page.get(path)).status == 405


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/json", "text/plain"])
async def test_forms_of_other_kinds_are_refused_unread(page: Page, kind: str) -> None:
    answer = await page.client.post("/retry", data=b"all=yes", headers={"Content-Type": kind})
    assert answer.status == 415
    assert page.world.observer.of("internal_fault") == []


async def test_a_form_that_is_far_too_long_is_refused(page: Page) -> None:
    answer = await page.client.post("/retry", data={"proof": "x" * 100_000})
    assert answer.status == 413


# -- faults


async def test_a_fault_of_ours_is_told_in_the_log_and_not_on_the_page(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page.site.counting, "queue", lambda: 1 / 0)
    text = await page.text("/", 500)
    assert "ZeroDivisionError" not in text
    (told,) = page.world.observer.of("internal_fault")
    assert isinstance(told["error"], ZeroDivisionError)
    assert (await page.get("/healthz")).status == 200


async def test_a_ledger_that_cannot_be_read_is_said(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise DiskFault("disk", "ledger.db: cannot be read (Input/output error)")

    monkeypatch.setattr(page.site.browser, "browse", broken)
    assert "cannot be read (Input/output error)" in await page.text("/images", 503)
    assert "Internal" not in await page.text("/images", 503)


# -- token


class TestWithToken:
    """A page that asks for the token."""

    @pytest.fixture
    def token_file(self, tmp_path: Path) -> Path:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        file.chmod(0o600)
        return file

    @pytest.mark.parametrize("path", ["/", "/images", "/quarantine", "/image", "/thumbnail", "/nothing"])
    async def test_a_browser_is_led_to_the_form(self, page: Page, path: str) -> None:
        answer = await page.get(f"{path}?q=1&r=a%26b")
        assert answer.status == 303
        location = URL(answer.headers["Location"])
        assert (location.path, dict(location.query)) == ("/login", {"next": f"{path}?q=1&r=a%26b"})

    @pytest.mark.parametrize("path", ["/metrics", "/events"])
    async def test_a_program_is_told(self, page: Page, path: str) -> None:
        answer = await page.get(path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    async def test_a_post_without_token_is_refused(self, page: Page) -> None:
        for path in ("/retry", "/url", "/logout"):
            assert (await page.post(path, {"all": "yes"}, page=None)).status == 401

    @pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN, "Bearer " + TOKEN[:-1]])
    async def test_a_wrong_token_is_refused(self, page: Page, header: str) -> None:
        assert (await page.get("/metrics", headers={"Authorization": header})).status == 401

    async def test_the_token_opens_all_under_any_name(self, page: Page) -> None:
        headers = {"Authorization": f"bearer {TOKEN}", "Host": "ingestor.example:8787"}
        for path in ("/", "/images", "/quarantine", "/metrics"):
            assert (await page.get(path, headers=headers)).status == 200

    async def test_a_program_with_the_token_needs_no_form(self, page: Page) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = await page.client.post("/retry", data={"all": "yes"}, headers=headers, allow_redirects=False)
        assert answer.status == 303
        assert page.site.retrying.latest is not None

    async def test_health_is_told_to_all_and_why_not_to_those_who_know(self, page: Page) -> None:
        page.world.engine.stands_since = page.world.clock.monotonic() - 1000
        answer = await page.get("/healthz")
        assert (answer.status, await answer.text()) == (503, "no\n")
        answer = await page.get("/healthz", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status, await answer.text()) == (
            503,
            "the engine has begun nothing and looked at nothing for 1000 s\n",
        )

    async def test_a_browser_shows_it_once_and_goes_where_it_wanted(self, page: Page) -> None:
        answer = await page.post("/login", {"token": TOKEN, "next": "/images?q=a%26b"}, page=None)
        assert (answer.status, answer.headers["Location"]) == (303, "/images?q=a%26b")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        text = await page.text("/")
        assert "Sign out" in text
        assert (await page.post("/logout", {}, page="/")).status == 303
        assert (await page.get("/")).status == 303

    async def test_a_session_needs_the_proof_for_what_it_changes(self, page: Page) -> None:
        await page.post("/login", {"token": TOKEN}, page=None)
        assert (await page.post("/retry", {"all": "yes", "proof": "0" * 64}, page=None)).status == 403
        assert (await page.post("/retry", {"all": "yes"}, page="/")).status == 303

    async def test_a_wrong_token_is_asked_for_again(self, page: Page) -> None:
        answer = await page.post("/login", {"token": "no", "next": "/images"}, page=None)
        assert answer.status == 403
        text = await answer.text()
        assert "That is not the token" in text
        assert 'name="next" value="/images"' in text
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("way", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\nb"])
    async def test_nobody_is_led_to_another_site(self, page: Page, way: str) -> None:
        answer = await page.post("/login", {"token": TOKEN, "next": way}, page=None)
        assert (answer.status, answer.headers["Location"]) == (303, "/")

    async def test_what_the_form_needs_is_there_for_all(self, page: Page) -> None:
        text = await page.text("/login")
        assert "<nav" not in text
        assert (await page.get("/static/page.css")).status == 200
