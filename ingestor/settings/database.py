"""Where the ledger is: a file of ours, or a database that several machines share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ingestor.settings.kinds import JsonSchema, Kind, Location, plain_text
from ingestor.settings.wording import quoted

SCHEMES = ("postgresql://", "postgres://")
_SECRETS = ("password", "sslpassword")
_WRITE = "write one such as postgresql://user@host/ingestor (the password in it, in PGPASSWORD or in ~/.pgpass)"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Address of a PostgreSQL database. As text it has no password; `secret_text` is for the driver alone."""

    secret_text: str = field(repr=False)

    def __str__(self) -> str:
        parts = urlsplit(self.secret_text)
        who, at, where = parts.netloc.rpartition("@")
        user = f"{who.partition(':')[0]}@" if at else ""
        options = "&".join(
            one for one in parts.query.split("&") if one and one.partition("=")[0].lower() not in _SECRETS
        )
        shown = f"{where}{parts.path}{'?' + options if options else ''}"
        for secret in self.secrets:
            shown = shown.replace(secret, "…")
        return f"postgresql://{user}{shown}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Whatever in it must never be shown, as it is written and as it is meant."""
        parts = urlsplit(self.secret_text)
        found = [value for name, value in parse_qsl(parts.query) if name.lower() in _SECRETS]
        password = parts.netloc.rpartition("@")[0].partition(":")[2]
        if password:
            found += [password, unquote(password)]
        return tuple(dict.fromkeys(found))


class LedgerPlace(Location):
    """The path of an SQLite file, or the address of a PostgreSQL database."""

    def read(self, value: Any, root: Path) -> Path | DatabaseUrl:  # type: ignore[override]
        if isinstance(value, DatabaseUrl):
            return value
        if isinstance(value, str) and value.startswith(SCHEMES):
            return _database(value)
        if isinstance(value, str) and "://" in value:
            raise ValueError(f"is the address of something that is no PostgreSQL database; {_WRITE}")
        return super().read(value, root)

    def show(self, value: Path | DatabaseUrl) -> str:
        return str(value)


_ONE_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^\s:,\[\]@/]*)(?::[0-9]{0,5})?"
_HOSTS = re.compile(f"{_ONE_HOST}(?:,{_ONE_HOST})*")


def _database(value: str) -> DatabaseUrl:
    """Nothing of it is quoted in what is said of a mistake: it may be the password that is misspelt."""
    text = plain_text(value, most=2000)
    escapes = "a password's special letters are written %XX"
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f"is not an address of a database ({escapes}); {_WRITE}") from None
    hosts = parts.netloc.rpartition("@")[2]
    if re.search(r"\s", text) or parts.fragment or "@" in parts.path + parts.query or not _HOSTS.fullmatch(hosts):
        raise ValueError(f"is not an address of a database ({escapes}); {_WRITE}")
    if parts.path.strip("/") == "":
        raise ValueError(f"names no database; {_WRITE}")
    return DatabaseUrl(f"postgresql://{text.partition('://')[2]}")


class StationName(Kind):
    """What a machine is called among those that share a ledger."""

    def read(self, value: Any, root: Path) -> str:
        text = plain_text(value, most=STATION_CHARACTERS)
        if not STATION.fullmatch(text):
            raise ValueError(f"{quoted(text)} has other letters than a-z, A-Z, 0-9, dot, dash and underscore")
        return text

    def describe(self) -> JsonSchema:
        return {"type": "string", "pattern": f"^{STATION.pattern}$"}


STATION_CHARACTERS = 24
"""The name stands in those of queues, of which PostgreSQL takes 40 letters for a notification."""
STATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,23}")


def station_of_host(host: str) -> str:
    """A station's name made from a host's: the same for the same host, and as far as possible readable."""
    name = re.sub(r"[^A-Za-z0-9._\-]", "-", host).lstrip("._-") or "host"
    if len(name) <= STATION_CHARACTERS:
        return name
    return f"{name[: STATION_CHARACTERS - 7]}-{sha256(host.encode()).hexdigest()[:6]}"
