"""Whatever happens to a file, nobody who follows it is told twice, out of order, or too little."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestor import Manifest

PATHS = st.sampled_from(["a", "b", "c"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(PATHS, min_size=1, max_size=4)),
        st.tuples(st.just("append_half"), st.lists(PATHS, min_size=1, max_size=1)),
        st.tuples(st.just("compact"), st.just([])),
        st.tuples(st.just("rewrite"), st.just([])),
        st.tuples(st.just("look"), st.just([])),
    ),
    max_size=25,
)


class Writer:
    """The file as ingestor writes it, and what it ever said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[tuple[int, str, str]] = []
        self._seq = 0
        self._half = ""

    def append(self, paths: list[str], *, half: bool) -> None:
        for path in paths:
            self._seq += 1
            fields = {"v": 1, "seq": self._seq, "at": "2026-11-24T10:00:02Z", "event": "uploaded", "folder": "f"}
            self.lines.append((self._seq, path, json.dumps({**fields, "path": path}) + "\n"))
        written = self._half + "".join(text for _, _, text in self.lines[-len(paths) :])
        self._half = written[-20:] if half else ""
        with self.path.open("a") as file:
            file.write(written.removesuffix(self._half))

    def rewrite(self, *, compact: bool) -> None:
        last = {path: seq for seq, path, _ in self.lines}
        if compact:
            self.lines = [line for line in self.lines if last[line[1]] == line[0]]
        self._half = ""
        fresh = self.path.with_name("fresh")
        fresh.write_text("".join(text for _, _, text in self.lines))
        fresh.rename(self.path)


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_a_reader_and_a_follower_see_what_was_written(actions: list[tuple[str, list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder, "manifest.jsonl"))
        seen: list[int] = []
        with Manifest.open(writer.path) as manifest:
            follower = manifest._follower(0)
            for action, paths in [*actions, ("rewrite", []), ("look", [])]:
                match action:
                    case "append" | "append_half":
                        writer.append(paths, half=action == "append_half")
                    case "look":
                        while lines := follower.take():
                            seen += [line.seq for line in lines]
                    case _:
                        writer.rewrite(compact=action == "compact")
            present = {path: seq for seq, path, _ in writer.lines}
            assert {line.path: line.seq for line in manifest.present()} == present
            assert manifest.damaged == 0
            follower.close()
        assert seen == sorted(set(seen))
        assert {seq for seq, _, _ in writer.lines} <= set(seen)
