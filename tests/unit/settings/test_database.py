from __future__ import annotations

from pathlib import Path

import pytest

from ingestor.policy.jobs import MOST_LETTERS, SUFFIXES, queue_of_station
from ingestor.settings.database import STATION_CHARACTERS, DatabaseUrl, LedgerPlace, StationName, station_of_host

ROOT = Path("/settings")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://u:pw@host/db", "postgresql://u@host/db"),
        ("postgres://host/db", "postgresql://host/db"),
        ("postgresql://u:p%40w@host:5433/db?sslmode=require", "postgresql://u@host:5433/db?sslmode=require"),
        ("postgresql:///db?host=/run/pg&password=pw", "postgresql:///db?host=/run/pg"),
        ("postgresql://u@h1:5432,h2:5433/db?target_session_attrs=read-write",) * 2,
        ("postgresql://u@[::1]:5432/db",) * 2,
    ],
)
def test_an_address_is_read_whole_and_shown_without_its_password(written: str, shown: str) -> None:
    url = LedgerPlace().read(written, ROOT)
    assert isinstance(url, DatabaseUrl)
    assert (str(url), LedgerPlace().show(url)) == (shown, shown)
    assert "pw" not in repr(url)
    assert url.secret_text == written.replace("postgres://", "postgresql://")


def test_secrets_are_known_as_they_are_written_and_as_they_are_meant() -> None:
    url = DatabaseUrl("postgresql://u:p%2Fw@host/db?sslpassword=other")
    assert set(url.secrets) == {"p%2Fw", "p/w", "other"}


@pytest.mark.parametrize(
    "written",
    [
        "postgresql+psycopg://u:s3cret@host/db",
        "mysql://u:s3cret@host/db",
        "postgresql://u:s3cret@host",
        "postgresql://u:s3cret@host/",
        "postgresql://u:s3cret/x@host/db",
        "postgresql://u:s3cret#x@host/db",
        "postgresql://u:s3cret?x@host/db",
        "postgresql://u:s3cret x@host/db",
        "postgresql://u:s3cret@ho:st:1/db",
        "postgresql://u:s3cret@[::1/db",
    ],
)
def test_what_is_no_address_is_refused_and_nothing_of_it_is_said(written: str) -> None:
    with pytest.raises(ValueError, match=r"postgresql://user@host/ingestor") as caught:
        LedgerPlace().read(written, ROOT)
    assert "s3cret" not in str(caught.value)


def test_a_path_is_a_path_as_before() -> None:
    assert LedgerPlace().read("var/ledger.db", ROOT) == ROOT / "var/ledger.db"


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a@b", "a/b", "x" * (STATION_CHARACTERS + 1)])
def test_names_of_stations_fit_into_those_of_queues(name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StationName().read(name, ROOT)


@pytest.mark.parametrize("host", ["web1", "web1.example.org", "Ünï cödé", "", "." * 70, "h" * 64])
def test_every_host_name_makes_a_name_for_a_station(host: str) -> None:
    name = station_of_host(host)
    assert StationName().read(name, ROOT) == name
    assert station_of_host(host) == name
    assert all(len(queue_of_station(name) + suffix) <= MOST_LETTERS for suffix in SUFFIXES.values())


def test_long_host_names_that_begin_alike_are_told_apart() -> None:
    assert station_of_host("h" * 64 + "1") != station_of_host("h" * 64 + "2")
