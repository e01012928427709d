"""The first page: how all of it stands, what it waits for, its folders, the last day, the latest images."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from ingestor.ledger.overview import Stand
from ingestor.observe.instants import parsed
from ingestor.page.chart import chart_of
from ingestor.page.site import Routes, Site
from ingestor.runtime.now import status_now
from ingestor.runtime.pulse import Phase

LATEST = 12
RATE_MINUTES = 5
_NOTHING_MORE: Mapping[str, None] = {"message": None, "file_id": None}


class Overview:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> Routes:
        return [web.get("/", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        return self._site.answer(request, "overview.html", title="Overview", **overview(self._site))


def overview(site: Site) -> dict[str, Any]:
    """All that the first page shows."""
    now, told, status = site.now(), site.recent.snapshot(), status_now(site.parts, site.recent)
    counted, quota = site.counting.latest, site.parts.upload_quota()
    return {
        "verdict": verdict(site, status),
        "standing": status,
        "quota": quota,
        "rate": rate_per_minute(told, now),
        "queue": site.counting.queue(),
        "counted": counted,
        "folders": _folders(site, status["folders"]),
        "chart": chart_of(told["minutes"], quota.capacity),
        "ends": [{**_NOTHING_MORE, **end, "at": parsed(end["at"])} for end in told["ends"][:LATEST]],
        "paths_by_state": _by_state(counted.stands),
    }


def verdict(site: Site, status: Mapping[str, Any]) -> tuple[str, str]:
    """How it goes in a word for the eye (`good`, `waiting`, `bad`), and in a sentence."""
    stalled = site.pulse.stalled()
    if stalled is not None:
        return "bad", f"Something is wrong: {stalled}."
    if site.pulse.phase is Phase.STARTING:
        return "waiting", "Starting: what the last run left is being finished."
    if site.pulse.phase is Phase.DRAINING:
        return "waiting", f"Stopping: {site.pulse.working} images are being finished."
    if status["api"]["is_open"]:
        return "bad", f"Waiting for the API: {status['api']['message']}"
    if status["waiting_for"]:
        return "waiting", f"Waiting for {status['waiting_for']}."
    gone = [name for name, folder in status["folders"].items() if not folder["present"]]
    if gone:
        return "bad", f"A folder is not there: {', '.join(gone)}. Nothing is concluded from that; it is waited for."
    queue = site.counting.queue()
    if queue["working"] or queue["waiting"]:
        return "good", "Working."
    return "good", "All is done; watching for new images."


def rate_per_minute(told: Mapping[str, Any], now: datetime) -> float:
    """Uploads a minute over the last few minutes, or since the start: the first one, of a daemon that was restarted."""
    uploads = told["minutes"]["uploads"][-(RATE_MINUTES + 1) :]
    seconds = RATE_MINUTES * 60.0 + now.second
    started_at = parsed(told["started_at"])
    if started_at is not None:
        since_first = next((back for back, value in zip(range(RATE_MINUTES, -1, -1), uploads, strict=True) if value), 0)
        known_seconds = max((now - started_at).total_seconds(), since_first * 60.0 + now.second)
        seconds = min(seconds, max(60.0, known_seconds))
    return float(sum(value or 0 for value in uploads)) * 60 / seconds


def _folders(site: Site, watches: Mapping[str, Any]) -> list[dict[str, Any]]:
    by_folder: dict[str, dict[str, int]] = {}
    for stand in site.counting.latest.stands:
        by_folder.setdefault(stand.folder, {})[stand.state] = stand.number
    return [
        {
            "name": folder.name,
            "path": str(folder.path),
            "numbers": by_folder.get(folder.name, {}),
            "watch": watches.get(folder.name),
        }
        for folder in site.parts.folders
    ]


def _by_state(stands: Any) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for stand in stands:
        assert isinstance(stand, Stand)
        numbers[stand.state] = numbers.get(stand.state, 0) + stand.number
    return numbers
