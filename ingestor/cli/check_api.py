"""Checks of the key, of the way to the API, and of this machine's clock."""

from __future__ import annotations

from typing import Any

from ingestor import __version__
from ingestor.cli.exits import Exit
from ingestor.cli.finding import Finding, good, warning, wrong
from ingestor.errors import (
    AccountRefused,
    ApiError,
    ApiUnavailable,
    EnvironmentFault,
    FileGone,
    RateLimited,
    ServerFault,
)
from ingestor.files_api import ApiKey, HttpFilesApi, Timeouts
from ingestor.model import FileId
from ingestor.observe.wording import in_words
from ingestor.runtime.system_clock import SystemClock
from ingestor.settings import Settings

NEVER = FileId("file_00000000000000000000000000")
"""An id that the API never gives: its answer to it shows that address and key are right."""

LONGEST_SECONDS = 15.0
"""Until an API that does not answer counts as not to be reached."""

SKEW_SECONDS = 5.0
"""The API's `Date` has whole seconds, and an answer takes its time; more than this is the clock."""


async def api_findings(settings: Settings, *, offline: bool) -> list[Finding]:
    if settings.api.is_sandbox:
        return [good("api", "the bundled sandbox, which is started with each run and takes no key of yours")]
    key = ApiKey(file=settings.api.key_file)
    found = _key(key)
    if offline or any(finding.code is not None for finding in found):
        return [*found, good("api", f"{settings.api.base_url} was not asked")]
    return [*found, *await _asked(settings, key)]


def _key(key: ApiKey) -> list[Finding]:
    try:
        value = key.current()
    except AccountRefused as error:
        return [wrong("key", str(error), Exit.REFUSED)]
    if not ApiKey.looks_usual(value):
        return [
            warning("key", f"the one in {key.origin} does not start like a key of this API (al_live_); it is tried")
        ]
    return [good("key", f"there is one in {key.origin}")]


async def _asked(settings: Settings, key: ApiKey) -> list[Finding]:
    """One GET, of a file that cannot be."""
    heard = _Heard()
    api = HttpFilesApi(
        base_url=settings.api.base_url,
        version=settings.api.version,
        key=key,
        clock=SystemClock(),
        observer=heard,
        timeouts=Timeouts.of(min(settings.api.timeout, LONGEST_SECONDS)),
        user_agent=f"ingestor/{__version__}",
    )
    try:
        finding = await _answer(api)
        return [finding, *heard.findings, *_clock(api.clock_offset_seconds)]
    finally:
        await api.close()


class _Heard:
    """An observer that keeps what the API announces."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def notice(self, event: str, **facts: Any) -> None:
        if event == "api_deprecated":
            ends = f", and ends on {facts['sunset']}" if facts.get("sunset") else ""
            said = f"the API says that this version of it is going away{ends}; look for a newer ingestor"
            self.findings.append(warning("api", said))


async def _answer(api: HttpFilesApi) -> Finding:
    try:
        await api.fetch(NEVER)
    except FileGone:
        return good("api", f"{api.base_url} answers and takes the key")
    except RateLimited:
        return warning(
            "api", f"{api.base_url} answers, but the team's quota is used up just now; the key was not tried"
        )
    except AccountRefused as error:
        if error.reason == "scope":
            said = f"{error}: reading is not granted, so `url` and `verify` will not work; uploads may"
            return warning("api", said)
        return wrong("api", str(error), Exit.REFUSED)
    except (ApiUnavailable, ServerFault) as error:
        return wrong("api", str(error), Exit.UNREACHABLE)
    except (ApiError, EnvironmentFault) as error:
        return warning("api", f"{api.base_url} answers in a way that no page describes: {error}")
    return warning("api", f"{api.base_url} knows a file that cannot be: is it the Files API?")


def _clock(offset_seconds: float | None) -> list[Finding]:
    if offset_seconds is None or abs(offset_seconds) <= SKEW_SECONDS:
        return []
    way = "behind" if offset_seconds > 0 else "ahead of"
    off = in_words(abs(offset_seconds))
    return [
        warning(
            "api", f"this machine's clock is {off} {way} the API's: ids end at another time than it shows; set it right"
        )
    ]
