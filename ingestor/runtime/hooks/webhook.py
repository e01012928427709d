"""A hook that is an address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from ingestor import __version__
from ingestor.disk import others_may_use
from ingestor.runtime.hooks.message import HookFailed, Message

SIGNATURE_HEADER = "X-Ingestor-Signature"
EVENT_HEADER = "X-Ingestor-Event"
EVENT_ID_HEADER = "X-Ingestor-Event-Id"

_MOST_SECRET_BYTES = 4096


class Webhook:
    """Sends the message by POST, signed where there is a secret. Done when the answer is a 2xx."""

    at_once = 4

    def __init__(self, url: str, *, secret_file: Path | None, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        what = f"{url}\n{'' if secret_file is None else secret_file}"
        self.target = f"webhook-{hashlib.sha256(what.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
        # Some services have their secret in the path or the query: neither is for logs.
        self.name = f"{parts.scheme}://{parts.netloc}"
        self._url = url
        self._secret_file = secret_file
        self._timeout_seconds = timeout_seconds

    async def tell(self, message: Message) -> None:
        """Raises `HookFailed`."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"ingestor/{__version__}",
            EVENT_HEADER: message.event,
            EVENT_ID_HEADER: message.event_id,
        }
        if self._secret_file is not None:
            headers[SIGNATURE_HEADER] = signature(_secret_in(self._secret_file), message.body)
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                aiohttp.ClientSession() as session,
                # A redirect would take the message to somebody whom the settings do not name.
                session.post(self._url, data=message.body, headers=headers, allow_redirects=False) as answer,
            ):
                if not 200 <= answer.status < 300:
                    raise HookFailed(f"answered {answer.status}")
        except TimeoutError:
            raise HookFailed(f"did not answer within {self._timeout_seconds:g} s") from None
        except aiohttp.ClientError as error:
            # Other errors have the whole address in their text, and with it perhaps a secret.
            why = str(error) if isinstance(error, aiohttp.ClientConnectionError) else type(error).__name__
            raise HookFailed(f"cannot be reached: {why}") from error


def signature(secret: bytes, body: bytes) -> str:
    """What the signature header says: whoever has the secret can tell that the body is ours, and whole."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _secret_in(file: Path) -> bytes:
    """Read each time: who puts another secret there need not restart anything. Raises `HookFailed`."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            mode = os.fstat(handle).st_mode
            if not stat.S_ISREG(mode) or others_may_use(file, mode):
                raise HookFailed(f"its secret file {file} may be used by others than its owner; chmod 600 {file}")
            secret = stream.read(_MOST_SECRET_BYTES).strip()
    except OSError as error:
        raise HookFailed(f"its secret file {file} cannot be read: {error.strerror}") from error
    if not secret:
        raise HookFailed(f"its secret file {file} is empty")
    return secret
