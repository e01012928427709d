"""A browser, and daemons for it to look at. What the browser complains about fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from ingestor.sandbox import Bucket, Sandbox, SandboxOptions
from tests.home import Home, Running

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 20_000
"""Of patience, in ms: a loaded machine is slow, and nothing here is measured."""

OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is. Without it these tests are left out, except in CI, where it is an error."""
    path = shutil.which("chromium")
    if path is None:
        words = "no chromium: run tests/install.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        yield browser
        await browser.close()


class Daemon:
    """`ingestor watch` as a process, and where its page is."""

    def __init__(self, home: Home, running: Running, url: str) -> None:
        self.home = home
        self.running = running
        self.url = url.rstrip("/")

    def drop(self, name: str, content: bytes) -> None:
        path = self.home.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def start_daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callable[..., Awaitable[Daemon]]]:
    """Starts a daemon with these `status` settings; it ends with the module."""
    async with AsyncExitStack() as stack:

        async def start(**status: Any) -> Daemon:
            folder = tmp_path_factory.mktemp("home")
            options = SandboxOptions(data_dir=folder / "api", upload_bucket=Bucket(1000, 60000))
            sandbox = await stack.enter_async_context(Sandbox(options))
            home = Home(folder, sandbox, status={"listen": "127.0.0.1:0", **status})
            running = await stack.enter_async_context(home.watching())
            ready = await running.until_logged("page_ready")
            return Daemon(home, running, ready["url"])

        yield start


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(start_daemon: Callable[..., Awaitable[Daemon]]) -> Daemon:
    return await start_daemon()


class Watched:
    """Pages whose complaints and requests are remembered."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.expected: list[str] = []
        """Parts of complaints that a test provokes."""

    def watch(self, page: Page) -> Page:
        page.set_default_timeout(SECONDS)
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on(
            "response", lambda answer: answer.status >= 500 and self.complaints.append(f"{answer.status} {answer.url}")
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        return page

    def unexpected(self) -> list[str]:
        return [said for said in self.complaints if not any(part in said for part in self.expected)]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, watched: Watched) -> AsyncIterator[OpenPage]:
    """Opens a URL in a browser of its own: `open_page(url, width=400, dark=True, scripts=False)`."""
    contexts: list[BrowserContext] = []

    async def open_(url: str, *, width: int = 1280, dark: bool = False, scripts: bool = True) -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = watched.watch(await context.new_page())
        await page.goto(url)
        return page

    yield open_
    for context in contexts:
        await context.close()
    assert watched.unexpected() == []


def token_in(folder: Path, token: str) -> Path:
    file = folder / "page-token"
    file.write_text(token)
    file.chmod(0o600)
    return file
