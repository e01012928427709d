"""`ingestor retry`: what is put back in line, and what is not."""

from __future__ import annotations

from dataclasses import replace

from ingestor.ledger import LedgerLock
from tests.ledger_kit import content
from tests.unit.cli.conftest import Corner, Filled


def test_nothing_is_put_back_in_line_where_the_running_daemon_does_not_take_it(corner: Corner) -> None:
    for name in ("mine.jpg", "other.jpg"):
        corner.drop(name)

    async def story(ledger: Filled) -> None:
        await ledger.bad("mine.jpg")
        seen = ledger.seen("other.jpg")
        seen = replace(seen, source=replace(seen.source, folder="extra"))
        what = content(91)
        await ledger.entered(seen, what)
        assert await ledger.ledger.quarantine(seen.source, what.content_id, "corrupt", "damaged", None)

    corner.fill(story)
    daemon = LedgerLock(corner.ledger, "ingestor watch")
    daemon.acquire()
    try:
        ran = corner.run("retry", "--all", "--json")
    finally:
        daemon.release()
    assert ran.code == 1
    assert (ran.json["put_back"], [one["path"] for one in ran.json["problems"]]) == (1, ["extra/other.jpg"])
    assert "the folder extra is not one of the running `ingestor watch`" in ran.last_words
    again = corner.run("retry", "--all", "--json")
    assert (again.code, again.json["put_back"]) == (0, 1)
