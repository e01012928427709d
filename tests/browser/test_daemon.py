"""The daemon's page in a browser: the real daemon as a process, the bundled API, a folder to drop files into."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessibility import faults_of, overflow_px
from tests.browser.conftest import SECONDS, Daemon, OpenPage, Watched, token_in
from tests.samples import photograph

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=SECONDS)

BROKEN = b"this is no picture at all"


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    photograph(320, 240, seed).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stocked(daemon: Daemon) -> Daemon:
    """A daemon that has uploaded a few images and quarantined one."""
    for number in range(3):
        daemon.drop(f"shoot/stock-{number}.jpg", picture(number))
    daemon.drop("stock-broken.png", BROKEN)
    await daemon.home.until_listed({"shoot/stock-0.jpg", "shoot/stock-1.jpg", "shoot/stock-2.jpg", "stock-broken.png"})
    return daemon


def row(page: Page, path: str) -> object:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=path))


async def test_a_file_that_is_dropped_arrives_on_the_page_without_a_reload(daemon: Daemon, open_page: OpenPage) -> None:
    page = await open_page(daemon.url)
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.evaluate("() => { window.isTheSame = true; document.querySelector('details').open = true; }")
    daemon.drop("dropped.jpg", picture(100))
    arrived = page.locator("#latest tr").filter(has_text="dropped.jpg")
    await expect(arrived).to_contain_text("uploaded")
    await expect(arrived).to_contain_text("file_")
    await expect(page.locator("#numbers")).to_contain_text(re.compile(r"Live ids\s*[1-9]"))
    await expect(page.locator("#folders td[data-label='Last event']")).to_contain_text(re.compile("now|ago"))
    assert await page.evaluate("() => window.isTheSame"), "it was loaded anew"
    assert await page.evaluate("() => document.querySelector('details').open"), "what was opened was closed"


async def test_an_image_in_quarantine_is_told_put_back_and_tried_again(daemon: Daemon, open_page: OpenPage) -> None:
    page = await open_page(f"{daemon.url}/quarantine")
    await expect(page.locator("#live-state")).to_have_text("Live")
    daemon.drop("broken.png", BROKEN)
    listed = page.locator("#list tr").filter(has_text="broken.png").first
    await expect(listed).to_contain_text("not_an_image")
    await expect(page.locator("#nav-quarantined")).to_contain_text(re.compile(r"\d"))

    await page.get_by_role("button", name="Put back broken.png", exact=True).click()
    await expect(page.locator("#retried")).to_contain_text("inbox/broken.png")
    await expect(listed).to_contain_text("not_an_image"), "it is no picture this time either"
    await listed.get_by_role("link", name="broken.png").click()
    story = page.locator("#story")
    await expect(story).to_contain_text("put back in line")
    await expect(story.get_by_role("listitem").filter(has_text="quarantined, not_an_image")).to_have_count(2)

    await page.goto(f"{daemon.url}/quarantine")
    await page.get_by_role("button", name="Put everything back in line").click()
    await expect(page.locator("#retried")).to_contain_text("all that are quarantined")


async def test_search_and_filters_find_an_image(stocked: Daemon, open_page: OpenPage) -> None:
    page = await open_page(f"{stocked.url}/images")
    await page.get_by_label("Search").fill("STOCK-1")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#found tbody tr")).to_have_count(1)
    await expect(page.locator("#found")).to_contain_text("shoot/stock-1.jpg")
    await expect(page.get_by_label("Search")).to_have_value("STOCK-1")
    file_id = await page.locator("#found code").inner_text()

    await page.get_by_label("Search").fill(file_id)
    await page.get_by_label("Search").press("Enter")
    await expect(page.locator("#found tbody tr")).to_have_count(1)

    await page.get_by_label("Search").fill("stock")
    await page.get_by_label("State").select_option("quarantined")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#found tbody tr")).to_have_count(1)
    await expect(page.locator("#found")).to_contain_text("stock-broken.png")


async def test_an_image_has_its_picture_its_ids_and_a_fresh_url(stocked: Daemon, open_page: OpenPage) -> None:
    page = await open_page(f"{stocked.url}/images?q=stock-0")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("link", name="shoot/stock-0.jpg").click()
    await page.wait_for_function("() => document.querySelector('.thumbnail img').naturalWidth === 320")

    countdown = page.locator("#standing time[data-relative]").first
    await expect(countdown).to_have_text(re.compile(r"^in 23 h 5\d min$"))
    await page.get_by_role("button", name="Copy File id").click()
    await expect(page.get_by_role("button", name="Copy File id")).to_have_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == await page.locator("#file-id").inner_text()

    await page.get_by_role("button", name="Fresh URL").click()
    url = await page.get_by_label("Signed URL").input_value()
    assert "/image?at=" in page.url, "loading it again asks for no URL again"
    answer = await page.request.get(url)
    assert answer.status == 200
    assert await answer.body() == (stocked.home.inbox / "shoot/stock-0.jpg").read_bytes()


PAGES = ["/", "/images", "/images?q=stock-0", "/quarantine", "/nothing-here", "image", "broken image"]


async def visit(page: Page, stocked: Daemon, where: str) -> None:
    """A path, or the page of an image."""
    if where.startswith("/"):
        await page.goto(stocked.url + where)
        return
    await page.goto(f"{stocked.url}/images?q={'stock-broken' if where == 'broken image' else 'stock-0'}")
    await page.locator("#found .path").first.click()
    await page.locator("#story").wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_pages_can_be_used_by_keyboard_screen_reader_and_weak_eyes(
    stocked: Daemon, open_page: OpenPage, watched: Watched, dark: bool
) -> None:
    watched.expected += ["status of 404"]
    page = await open_page(stocked.url, dark=dark)
    for where in PAGES:
        await visit(page, stocked, where)
        assert await faults_of(page) == [], where


async def test_pages_fit_a_window_of_400_pixels(stocked: Daemon, open_page: OpenPage, watched: Watched) -> None:
    watched.expected += ["status of 404"]
    page = await open_page(stocked.url, width=400)
    for where in PAGES:
        await visit(page, stocked, where)
        assert await overflow_px(page) == 0, where
        assert await faults_of(page) == [], where


async def test_a_narrow_window_shows_the_end_of_the_chart_which_is_now(stocked: Daemon, open_page: OpenPage) -> None:
    page = await open_page(stocked.url, width=400)
    right = "document.querySelector('.newest-first').getBoundingClientRect().right"
    assert await page.evaluate(f"document.querySelector('.chart').getBoundingClientRect().right - {right}") <= 1


async def test_the_keyboard_reaches_the_content_first_and_keeps_its_place(stocked: Daemon, open_page: OpenPage) -> None:
    page = await open_page(stocked.url)
    await expect(page.locator("#live-state")).to_have_text("Live")
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
    await page.keyboard.press("Enter")
    assert await page.evaluate("() => document.activeElement.id") == "main"
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    before = await page.evaluate("() => document.activeElement.textContent")
    stocked.drop("while-focused.jpg", picture(200))
    await expect(page.locator("#latest")).to_contain_text("while-focused.jpg")
    after = await page.evaluate("() => document.activeElement.closest('#numbers') !== null")
    assert after, f"focus was on {before!r} among the numbers, and is lost"


async def test_everything_works_without_scripts(stocked: Daemon, open_page: OpenPage) -> None:
    page = await open_page(stocked.url, scripts=False)
    await expect(page.locator("noscript meta[http-equiv=refresh]")).to_have_count(1)
    await page.get_by_role("link", name="Quarantine").first.click()
    await page.get_by_role("button", name="Put back stock-broken.png", exact=True).click()
    await expect(page.locator("#retried")).to_contain_text("inbox/stock-broken.png")
    await page.get_by_role("link", name="Images", exact=True).click()
    await page.get_by_label("Search").fill("stock-2")
    await page.get_by_role("button", name="Show").click()
    await page.get_by_role("link", name="shoot/stock-2.jpg").click()
    await page.get_by_role("button", name="Fresh URL").click()
    assert "/signed/" in await page.get_by_label("Signed URL").input_value()
    await expect(page.get_by_role("button", name="Copy File id")).to_be_hidden()


async def test_nothing_is_fetched_from_anywhere_else(stocked: Daemon, open_page: OpenPage, watched: Watched) -> None:
    page = await open_page(stocked.url)
    for where in ("/", "/images", "/quarantine", "image"):
        await visit(page, stocked, where)
        await page.wait_for_load_state("load")
    assert watched.hosts == {stocked.url.removeprefix("http://")}


async def test_a_token_is_asked_for_once_and_a_daemon_that_goes_is_told(
    start_daemon: Callable[..., Awaitable[Daemon]], open_page: OpenPage, watched: Watched, tmp_path: Path
) -> None:
    watched.expected += ["status of 403", "ERR_CONNECTION", "ERR_INCOMPLETE"]
    daemon = await start_daemon(token_file=str(token_in(tmp_path, "a-token-of-some-length")))
    page = await open_page(f"{daemon.url}/images?q=x")
    assert await faults_of(page) == []
    await page.get_by_label("The token of this page").fill("a-guess-of-some-length")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("That is not the token.")
    await page.get_by_label("The token of this page").fill("a-token-of-some-length")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/images?q=x")
    await expect(page.locator("#live-state")).to_have_text("Live")

    other = await page.context.new_page()
    await other.goto(daemon.url)
    await other.get_by_role("button", name="Sign out").click()
    await expect(other.get_by_label("The token of this page")).to_be_visible()

    await page.goto(daemon.url)
    await page.get_by_label("The token of this page").fill("a-token-of-some-length")
    await page.keyboard.press("Enter")
    await expect(page.locator("#live-state")).to_have_text("Live")
    assert await daemon.running.stop(signal.SIGTERM) == 0
    await expect(page.locator("#live-state")).to_have_text("Not connected; trying again")
