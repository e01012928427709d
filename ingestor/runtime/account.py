"""Whether the API, and the team whose key it is, are still those that the ledger's ids are at.

Who tries the sandbox first and then names the real API, or takes another team's key, has a ledger of ids that are
worth nothing there, while all of its images count as uploaded. So ids are asked for where either has changed.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from ingestor.errors import AccountRefused, FileGone, IngestorError, UsageError
from ingestor.files_api import ApiKey
from ingestor.ports import FilesApi, Ledger
from ingestor.settings import Settings

ACCOUNT_FACT = "api.account"
"""The ledger's name for the address, and a hash that tells one key from another."""

ASKED_FOR = 3
"""Ids: somebody may have deleted one of them."""

ANSWER_SECONDS = 15.0
"""How long answers are waited for: without one nothing is decided, and the next start asks again."""


async def check_account(settings: Settings, key: ApiKey, *, ledger: Ledger, files: FilesApi) -> None:
    """Raises `UsageError` where another address, or another key, finds none of the ids that are live."""
    try:
        present = {"base_url": settings.api.base_url, "key": _told_apart(key.current())}
    except AccountRefused:
        return  # who needs the key will say so
    former: Any = await ledger.fact(ACCOUNT_FACT)
    if former == present:
        return
    if isinstance(former, dict):
        are_there = await _are_there(ledger, files)
        if are_there is None:
            return
        if not are_there:
            raise UsageError(_refusal(settings, former))
    await ledger.set_fact(ACCOUNT_FACT, present)


def _told_apart(key: str) -> str:
    return hashlib.blake2b(key.encode(), digest_size=8, person=b"ingestor").hexdigest()


async def _are_there(ledger: Ledger, files: FilesApi) -> bool | None:
    """Whether any live id is there, or there is none to ask for; None: nobody says."""
    entries = await ledger.entries(has_live_id=True, limit=ASKED_FOR)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            for entry in entries:
                assert entry.file_id is not None
                try:
                    await files.fetch(entry.file_id)
                except FileGone:
                    continue
                return True
    except (IngestorError, TimeoutError):
        return None
    return not entries


def _refusal(settings: Settings, former: dict[str, Any]) -> str:
    if former.get("base_url") == settings.api.base_url:
        what = "with the present API key: it is of another team than the key that uploaded them"
    else:
        what = f"at {settings.api.base_url}: they were uploaded to {former.get('base_url')}"
    return (
        f"{settings.source_file}: the ids that the ledger has as live are not there {what}; give this API and key a "
        "`ledger` and a `manifest` of their own, or `ingestor verify --renew`, which has all that is gone uploaded anew"
    )
