"""A model of what must be live, held against the program under everything that may befall it, in any order.

Files are written, grown, renamed, replaced, touched and deleted, also in the middle of the flow; the API gives answers
of every kind, lost before and after their effect; time passes; processes die between any two steps. After each run that
comes to its end, each file's last line is about its present bytes, every id that is called good is good, only what is
bad is quarantined, no content has two files, and every file that is gone from its folder was put away with a receipt.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from ingestor.model import LedgerEntry, SourceState, State
from ingestor.runtime.upkeep import Verifier, put_back, want_renewals
from tests.faults.world import KINDS, InlineLoop, Program, World, body_of, is_good, sent, sha

T = TypeVar("T")
Place = tuple[str, str]
"""Folder and path."""

PLACES = [(folder, path) for folder in ("one", "two") for path in ("1.png", "2.png", "sub/1.png")]
CONTENTS = [b"good 1", b"good 2", b"good 3", b"BIG 1", b"BAD 1", b"CUT 1", b"REF 1"]
STAGES = ["fingerprint", "describe", "normalise", "upload", "manifest", "after"]
WAYS = ["write", "with its old time", "replace", "delete", "directory"]
LIVE = ("uploaded", "renewed")

places = st.sampled_from(PLACES)
contents = st.sampled_from(CONTENTS)
picks = st.integers(min_value=0, max_value=20)
Change = tuple[str, str, bytes]
"""A stage, how the first file that reaches it changes there, and what is in it then."""
changes = st.lists(st.tuples(st.sampled_from(STAGES), st.sampled_from(WAYS), contents), min_size=1, max_size=5)


@dataclass
class Model:
    """What was done to the files, and so what must be."""

    files: dict[Place, bytes] = field(default_factory=dict)
    sidecars: dict[Place, dict[str, int] | None] = field(default_factory=dict)
    """None: one that is no JSON."""
    had_bad_sidecar: set[Place] = field(default_factory=set)
    purged: set[str] = field(default_factory=set)
    ledger_was_lost: bool = False
    keys_count_alone: bool = True
    """No id has ended or was replaced, so that all have the first generation's key: a lost ledger knows no other."""


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = InlineLoop()
        shm = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="ingestor-model-", dir=shm if shm.is_dir() else None))
        self.model = Model()
        self.written: dict[str, bytes] = {sha(content): content for content in CONTENTS}

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.backfill()
        finally:
            self.loop.close()
            shutil.rmtree(self.folder)

    @initialize(
        start=st.sampled_from([datetime(2016, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)]),
        after=st.sampled_from(["keep", "move:done", "delete"]),
        bad=st.sampled_from(["keep", "move:bad"]),
        settle=st.sampled_from(["0s", "1s"]),
        metadata=st.sampled_from([{}, {"from": "{name}"}]),
        deleted=st.sampled_from(["keep", "purge"]),
        files=st.dictionaries(places, contents, min_size=2, max_size=6),
    )
    def make(
        self,
        start: datetime,
        after: str,
        bad: str,
        settle: str,
        metadata: dict[str, str],
        deleted: str,
        files: dict[Place, bytes],
    ) -> None:
        """`start`: all files are from the future, or all are old."""
        self.metadata = metadata
        self.after, self.bad = after, bad
        two = {"settle": settle, "after_upload": after, "on_quarantine": bad, "metadata": metadata}
        self.world = World(self.folder / "world", start, {"on_source_delete": deleted}, two)
        self.write(files)

    # -- what users do

    @rule(files=st.dictionaries(places, contents, min_size=1, max_size=4))
    def write(self, files: dict[Place, bytes]) -> None:
        for place, content in files.items():
            self._free(place).write_bytes(content)
            self._has(place, content)

    @rule(pick=picks)
    def grow(self, pick: int) -> None:
        for place in self._picked(pick):
            with self._path(place).open("ab") as file:
                file.write(b"+")
            self._has(place, self.model.files[place] + b"+")

    @rule(pick=picks, to=places)
    def rename(self, pick: int, to: Place) -> None:
        for place in self._picked(pick):
            if place != to:
                self._path(place).rename(self._free(to))
                self._has(to, self.model.files.pop(place))

    @rule(pick=picks, content=contents)
    def replace(self, pick: int, content: bytes) -> None:
        for place in self._picked(pick):
            self._replace(place, content)

    @rule(pick=picks)
    def touch(self, pick: int) -> None:
        for place in self._picked(pick):
            os.utime(self._path(place))

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        for place in self._picked(pick):
            self._path(place).unlink()
            del self.model.files[place]

    @rule(place=places)
    def make_a_directory_of_that_name(self, place: Place) -> None:
        self._free(place).unlink(missing_ok=True)
        self._path(place).mkdir()
        self.model.files.pop(place, None)

    @rule(pick=picks, value=st.sampled_from([1, 2, "no JSON", "none"]))
    def write_sidecar(self, pick: int, value: int | str) -> None:
        for place in self._picked(pick):
            sidecar = Path(f"{self._path(place)}.json")
            self.model.sidecars.pop(place, None)
            if value == "none":
                sidecar.unlink(missing_ok=True)
                continue
            sidecar.write_text("{" if value == "no JSON" else json.dumps({"n": value}))
            self.model.sidecars[place] = None if value == "no JSON" else {"n": int(value)}
            if value == "no JSON":
                self.model.had_bad_sidecar.add(place)

    # -- what befalls the program

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), times=st.sampled_from([1, 1, 3]))
    def answer_with(self, kinds: list[str], times: int) -> None:
        self.world.api.faults.extend(kinds * times)

    @rule()
    def occupy_a_key(self) -> None:
        self.world.api.occupy += 1
        self.model.keys_count_alone = False

    @rule(api=st.sampled_from([0.2, 5.0, 50.0]), disk=st.sampled_from([0.0, 5.0]))
    def be_slow(self, api: float, disk: float) -> None:
        """Slower than a daemon looks through its folders again."""
        self.world.api.seconds, self.world.disk_seconds = api, disk

    @rule(number=st.integers(1, 3))
    def lose_workers(self, number: int) -> None:
        self.world.images.lost = number

    @rule(hours=st.sampled_from([0.1, 1.0, 12.0, 23.9, 23.99, 24.0, 49.0]))
    def pass_time(self, hours: float) -> None:
        self.world.clock.advance(hours * 3600)
        self.model.keys_count_alone = False

    @rule(steps=st.integers(0, 700), daemon=st.booleans(), cut=st.sampled_from([0, 0, 1, 70, 900]))
    def die(self, steps: int, daemon: bool, cut: int) -> None:
        """`cut`: the manifest ends with a part of what was being written, as a disk may leave it."""

        async def run() -> None:
            await self.world.killed(Program.watch if daemon else Program.backfill, steps)
            manifest = self.world.settings.manifest
            if cut and manifest.exists():
                os.truncate(manifest, max(0, manifest.stat().st_size - cut))
            async with self.world.program() as program:
                await self._account_for_gone(program)

        self._run(run())

    @rule()
    def lose_the_manifest(self) -> None:
        self.world.settings.manifest.unlink(missing_ok=True)

    @precondition(lambda self: self.model.keys_count_alone)
    @rule()
    def lose_the_ledger(self) -> None:
        self.world.new_ledger()
        self.model.ledger_was_lost = True

    # -- what operators do

    @rule(pick=picks)
    def purge(self, pick: int) -> None:
        async def purge(program: Program, entry: LedgerEntry) -> None:
            self.model.purged.add(str(entry.file_id))
            self.model.keys_count_alone = False
            await self._verifier(program).purge([entry], "asked for")

        self._with_entry(pick, State.LIVE, purge)

    @rule(pick=picks)
    def somebody_else_purges_and_we_verify(self, pick: int) -> None:
        async def verify(program: Program, entry: LedgerEntry) -> None:
            self.model.purged.add(str(entry.file_id))
            self.model.keys_count_alone = False
            self.world.api.drop(str(entry.file_id))
            held = await program.ledger.entries(states=[State.LIVE])
            for checked in await self._verifier(program).verify(held):
                # One that has ended by the clock, and was not marked yet, is gone as well.
                assert checked.is_there == self.world.api.is_good_for(str(checked.entry.file_id))
                if not checked.is_there:
                    self.model.purged.add(str(checked.entry.file_id))

        self._with_entry(pick, State.LIVE, verify)

    @rule(pick=picks)
    def renew(self, pick: int) -> None:
        async def renew(program: Program, entry: LedgerEntry) -> None:
            self.model.keys_count_alone = False
            content = self.written[str(entry.digest)]
            self.world.api.allowed[body_of(content, str(entry.purpose), entry.metadata)] += 1
            await want_renewals(program.ledger, [entry], None)

        self._with_entry(pick, State.LIVE, renew)

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        async def retry(program: Program, entry: LedgerEntry) -> None:
            await put_back(program.ledger, entry)
            place = (entry.folder, entry.path)
            if entry.put_away is not None and self._path(place).is_file():
                self._has(place, self._path(place).read_bytes())
                self._sees_sidecar(place)

        self._with_entry(pick, SourceState.QUARANTINED, retry)

    # -- runs that come to their end, and what must be then

    @rule(changes=changes)
    def backfill_while_files_change(self, changes: list[Change]) -> None:
        self._backfill(self._acts(changes))

    def _acts(self, changes: list[Change]) -> list[tuple[str, Callable[[str, str], None]]]:
        def act(how: str, content: bytes) -> Callable[[str, str], None]:
            return lambda folder, path: self._meddle((folder, path), how, content)

        return [(stage, act(how, content)) for stage, how, content in changes]

    @rule()
    def backfill(self) -> None:
        self._backfill([])

    @rule()
    def watch(self) -> None:
        self._watch([])

    @rule(changes=changes)
    def watch_while_files_change(self, changes: list[Change]) -> None:
        self._watch(self._acts(changes))

    def _watch(self, acts: list[tuple[str, Callable[[str, str], None]]]) -> None:
        async def run() -> None:
            async with self.world.program() as program:
                program.observer.acts = acts
                await program.watch()
                await self._check(program, revived=False)

        self._run(run())

    def _backfill(self, acts: list[tuple[str, Callable[[str, str], None]]]) -> None:
        self.began_at = self.world.clock.now()

        async def run() -> None:
            async with self.world.program() as program:
                program.observer.acts = list(acts)
                report = await program.backfill()
                if report.tally.deferred == 0 and not acts:
                    await self._check(program, revived=True)
                    return
            # What changed under our eyes is the next run's.
            async with self.world.program() as program:
                report = await program.backfill()
                assert report.tally.deferred == 0, report.tally.problems
                await self._check(program, revived=True)

        self._run(run())

    async def _check(self, program: Program, *, revived: bool) -> None:
        await self._account_for_gone(program)
        present = {(line["folder"], line["path"]): line for line in self.world.lines()}
        for place, content in self.model.files.items():
            assert place in present, f"{place} is lost"
            self._check_line(present[place], place, content, revived=revived)
        self._check_history()
        assert not self.world.api.twice, "a content was created though it had an id that was good"
        assert await program.ledger.count_waiting() == 0
        assert list((self.folder / "world" / "var" / "spool").iterdir()) == []
        told = await self.world.lines_of_ledger(program)
        lines = self.world.lines()
        if self.model.ledger_was_lost:
            assert all(line in lines for line in told)
        else:
            assert lines == told

    def _check_line(self, line: dict[str, Any], place: Place, content: bytes, *, revived: bool) -> None:
        if self.model.sidecars.get(place, {}) is None:
            assert (line["event"], line["reason"]) == ("quarantined", "bad_sidecar"), line
            return
        assert line["sha256"] == sha(content), f"the line of {place} is about other bytes: {line}"
        assert (line["event"] == "quarantined") == (not is_good(content)), line
        if line["event"] == "quarantined":
            return
        if line["event"] == "purged":
            assert line["file_id"] in self.model.purged, line
            return
        if line["event"] == "expired":
            expired_at = datetime.fromisoformat(line["expires_at"])
            assert expired_at <= self.world.clock.now()
            assert not revived or expired_at > self.began_at, f"{place} was not uploaded again: {line}"
            return
        assert line["event"] in LIVE
        assert self.world.api.is_good_for(line["file_id"]), f"{place} is called live and is not: {line}"
        assert self.world.api.content_of(line["file_id"]) == sent(content)
        assert line["metadata"] == self._metadata(place)

    def _check_history(self) -> None:
        now = self.world.clock.now()
        present = {(line["folder"], line["path"]): line for line in self.world.lines()}
        for place, line in present.items():
            # What a lost ledger had promised for a file that is gone, nobody knows of any more.
            if line["event"] in LIVE and place not in self.model.files and not self.model.ledger_was_lost:
                assert datetime.fromisoformat(line["expires_at"]) > now - timedelta(minutes=2), (
                    f"{place} has ended: {line}"
                )
        for line in self.world.lines():
            if line["event"] != "quarantined":
                continue
            place = (line["folder"], line["path"])
            if line["sha256"] is None or line["reason"] == "bad_sidecar":
                assert place in self.model.had_bad_sidecar, line
            else:
                assert not is_good(self.written[line["sha256"]]), f"blamed: {line}"

    # -- helpers

    def _run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(_awaited(work))

    def _path(self, place: Place) -> Path:
        return self.world.root(place[0]) / place[1]

    def _free(self, place: Place) -> Path:
        """The path, with nothing there that could not be overwritten."""
        path = self._path(place)
        path.parent.mkdir(exist_ok=True)
        if path.is_dir():
            path.rmdir()
        return path

    def _has(self, place: Place, content: bytes) -> None:
        self.model.files[place] = content
        self.written[sha(content)] = content

    def _picked(self, pick: int) -> list[Place]:
        files = sorted(self.model.files)
        return [files[pick % len(files)]] if files else []

    def _replace(self, place: Place, content: bytes) -> None:
        fresh = self.folder / "fresh"
        fresh.write_bytes(content)
        fresh.replace(self._free(place))
        self._has(place, content)

    def _meddle(self, place: Place, how: str, content: bytes) -> None:
        path = self._path(place)
        if how in ("write", "with its old time"):
            before = path.stat()
            path.write_bytes(content)
            if how != "write":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            self._has(place, content)
        elif how == "replace":
            self._replace(place, content)
        else:
            path.unlink(missing_ok=True)
            self.model.files.pop(place, None)
            if how == "directory":
                path.mkdir()

    def _metadata(self, place: Place) -> dict[str, Any]:
        own = {key: value.format(name=Path(place[1]).name) for key, value in self.metadata.items()}
        return (own if place[0] == "two" else {}) | (self.model.sidecars.get(place) or {})

    def _sees_sidecar(self, place: Place) -> None:
        """A sidecar goes the way of its image."""
        sidecar = Path(f"{self._path(place)}.json")
        self.model.sidecars.pop(place, None)
        with contextlib.suppress(FileNotFoundError):
            text = sidecar.read_text()
            self.model.sidecars[place] = None if text == "{" else json.loads(text)

    async def _account_for_gone(self, program: Program) -> None:
        """Files that are gone from their folder: each has a receipt, or a reason, and is where it should be."""
        gone = [place for place in self.model.files if not self._path(place).is_file()]
        told = await self._told(program) if gone else {}
        for place in gone:
            content = self.model.files.pop(place)
            self._sees_sidecar(place)
            assert place[0] == "two", f"{place} is gone"
            events = told.get(place, [])
            has_receipt = any(event in LIVE and digest == sha(content) for event, digest in events)
            assert has_receipt or ("quarantined" in dict(events)), f"{place} was put away without a receipt"
            if self.after == "move:done" or not has_receipt:
                assert content in self.world.bytes_below("done") | self.world.bytes_below("bad"), f"{place} is lost"

    async def _told(self, program: Program) -> dict[Place, list[tuple[str, str | None]]]:
        """Event and digest of each line. By the ledger too: a manifest that was cut lacks some until the next start."""
        manifest = self.world.settings.manifest
        text = manifest.read_text() if manifest.exists() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        told: dict[Place, list[tuple[str, str | None]]] = {}
        for line in [*lines, *await self.world.lines_of_ledger(program)]:
            told.setdefault((line["folder"], line["path"]), []).append((line["event"], line["sha256"]))
        return told

    def _verifier(self, program: Program) -> Verifier:
        return Verifier(
            api=program.parts.tools.api,
            ledger=program.ledger,
            manifest=program.manifest,
            clock=program.parts.clock,
        )

    def _with_entry(
        self, pick: int, state: State | SourceState, act: Callable[[Program, LedgerEntry], Awaitable[None]]
    ) -> None:
        async def run() -> None:
            async with self.world.program() as program:
                held = await program.ledger.entries(states=[state])
                if held:
                    await act(program, held[pick % len(held)])

        self._run(run())


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def run(examples: int, *, derandomize: bool) -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            derandomize=derandomize,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


def test_what_must_be_live_is_live_whatever_happens() -> None:
    run(40, derandomize=True)


@pytest.mark.soak
def test_what_must_be_live_is_live_whatever_else_happens(soak_seconds: float) -> None:
    run(max(40, int(soak_seconds / 2)), derandomize=False)
