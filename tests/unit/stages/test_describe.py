from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestor.errors import MetadataRejected, SourceNotReady
from ingestor.model import Content, Digest, FileIdentity, Purpose, SourceFile
from ingestor.policy.idempotency import canonical_json, content_id
from ingestor.stages.describe import MAX_METADATA_BYTES, MAX_SIDECAR_BYTES, describe, fill, printable
from tests.ledger_kit import folder_settings

DIGEST = Digest("0" * 64)
IDENTITY = FileIdentity(device=1, inode=1, size_bytes=1, mtime_ns=1, ctime_ns=1)


def source(root: Path, path: str = "a/b/c.d.jpg") -> SourceFile:
    return SourceFile(folder="inbox", root=root, path=path, identity=IDENTITY)


async def described(root: Path, path: str = "x.jpg", **metadata: Any) -> Content:
    return await describe(source(root, path), DIGEST, folder_settings(root, metadata=metadata))


def write_sidecar(root: Path, text: str | bytes) -> None:
    (root / "x.jpg.json").write_bytes(text if isinstance(text, bytes) else text.encode())


async def rejection(root: Path) -> MetadataRejected:
    with pytest.raises(MetadataRejected) as raised:
        await described(root)
    assert str(root / "x.jpg.json") in str(raised.value)
    return raised.value


# -- placeholders


def test_each_placeholder_is_filled_in(tmp_path: Path) -> None:
    template = {name: f"{{{name}}}" for name in ("relpath", "name", "stem", "parent", "folder")}
    assert fill(template, source(tmp_path)) == {
        "relpath": "a/b/c.d.jpg",
        "name": "c.d.jpg",
        "stem": "c.d",
        "parent": "b",
        "folder": "inbox",
    }


def test_a_file_in_the_root_has_no_parent(tmp_path: Path) -> None:
    assert fill({"parent": "[{parent}]"}, source(tmp_path, "x.jpg")) == {"parent": "[]"}


def test_placeholders_are_filled_at_any_depth_and_only_in_texts(tmp_path: Path) -> None:
    template = {"a": ["{stem}", 1, None, {"b": "x-{stem}-{stem}"}], "c": True, "{stem}": 1.5}
    assert fill(template, source(tmp_path, "x.jpg")) == {
        "a": ["x", 1, None, {"b": "x-x-x"}],
        "c": True,
        "{stem}": 1.5,
    }


def test_doubled_braces_are_braces_and_single_ones_stay(tmp_path: Path) -> None:
    template = {"a": "{{stem}}", "b": "{ {unknown} }", "c": "{{{stem}}}"}
    assert fill(template, source(tmp_path, "x.jpg")) == {"a": "{stem}", "b": "{ {unknown} }", "c": "{x}"}


def test_what_a_name_looks_like_is_not_filled_in_again(tmp_path: Path) -> None:
    assert fill({"a": "{name}"}, source(tmp_path, "{stem}.jpg")) == {"a": "{stem}.jpg"}


@given(st.binary(min_size=1, max_size=60).map(os.fsdecode))
def test_a_name_of_any_bytes_becomes_text_that_can_be_sent(name: str) -> None:
    printable(name).encode("utf-8")
    if name.isascii():
        assert printable(name) == name


def test_bytes_that_are_no_text_are_shown(tmp_path: Path) -> None:
    assert fill({"a": "{name}"}, source(tmp_path, "\udcff\udc80é.jpg")) == {"a": "\\xff\\x80é.jpg"}


# -- content


async def test_a_file_without_sidecar_has_the_folder_s_metadata(tmp_path: Path) -> None:
    content = await described(tmp_path, campaign="x")
    assert content == Content(
        digest=DIGEST,
        purpose=Purpose.REFERENCE,
        metadata={"campaign": "x"},
        content_id=content_id(DIGEST, Purpose.REFERENCE, {"campaign": "x"}),
    )


async def test_a_file_without_sidecar_costs_no_hop_to_a_thread(tmp_path: Path, hops: Counter[str]) -> None:
    await described(tmp_path)
    assert not hops


async def test_a_sidecar_adds_and_wins(tmp_path: Path) -> None:
    write_sidecar(tmp_path, '{"campaign": "mine", "k": {"a": [1]}}')
    content = await described(tmp_path, campaign="x", other=1)
    assert content.metadata == {"campaign": "mine", "k": {"a": [1]}, "other": 1}


async def test_a_sidecar_is_taken_as_it_is(tmp_path: Path) -> None:
    write_sidecar(tmp_path, '{"a": "{stem}"}')
    assert (await described(tmp_path)).metadata == {"a": "{stem}"}


async def test_an_empty_object_adds_nothing(tmp_path: Path) -> None:
    write_sidecar(tmp_path, "{}")
    assert (await described(tmp_path)).metadata == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1e999}', "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        ("[1]", "this is a list"),
        ('"text"', "this is a str"),
        ("null", "this is a NoneType"),
        ("[" * 30_000, "not JSON"),
        ('{"a":' * 9_000 + "1" + "}" * 9_000, "not JSON"),
    ],
)
async def test_a_sidecar_that_is_no_json_object_is_rejected(tmp_path: Path, text: str | bytes, said: str) -> None:
    write_sidecar(tmp_path, text)
    rejected = await rejection(tmp_path)
    assert rejected.reason == "bad_sidecar"
    assert said in str(rejected)


async def test_a_sidecar_that_is_too_large_is_rejected_unread(tmp_path: Path) -> None:
    write_sidecar(tmp_path, '{"a": "' + "x" * MAX_SIDECAR_BYTES + '"}')
    assert "larger than" in str(await rejection(tmp_path))


async def test_a_sidecar_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"password": "x"}')
    (tmp_path / "x.jpg.json").symlink_to(tmp_path / "secret")
    rejected = await rejection(tmp_path)
    assert rejected.reason == "bad_sidecar"
    assert "symlink" in str(rejected)
    assert "password" not in str(rejected)


async def test_a_dangling_link_is_a_bad_sidecar_too(tmp_path: Path) -> None:
    (tmp_path / "x.jpg.json").symlink_to("/nowhere")
    assert (await rejection(tmp_path)).reason == "bad_sidecar"


async def test_a_fifo_in_the_sidecar_s_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg.json")
    assert "not a regular file" in str(await rejection(tmp_path))


async def test_a_directory_in_the_sidecar_s_place_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "x.jpg.json").mkdir()
    assert "not a regular file" in str(await rejection(tmp_path))


async def test_metadata_up_to_the_limit_is_sent_and_more_is_rejected(tmp_path: Path) -> None:
    room = MAX_METADATA_BYTES - len(canonical_json({"a": ""}))
    assert len((await described(tmp_path, a="x" * room)).metadata["a"]) == room
    with pytest.raises(MetadataRejected) as raised:
        await described(tmp_path, a="x" * (room + 1))
    assert raised.value.reason == "metadata_too_large"
    assert "shorten" in str(raised.value)


async def test_the_limit_counts_bytes_as_they_are_sent(tmp_path: Path) -> None:
    write_sidecar(tmp_path, json.dumps({"a": "é" * (MAX_METADATA_BYTES // 2)}))
    with pytest.raises(MetadataRejected) as raised:
        await described(tmp_path)
    assert raised.value.reason == "metadata_too_large"


async def test_an_integer_of_any_length_is_no_trap(tmp_path: Path) -> None:
    write_sidecar(tmp_path, '{"a": ' + "9" * 6000 + "}")
    assert (await rejection(tmp_path)).reason == "bad_sidecar"


async def test_a_name_of_255_bytes_has_no_sidecar(tmp_path: Path) -> None:
    content = await described(tmp_path, "x" * 251 + ".jpg", a=1)
    assert content.metadata == {"a": 1}


async def test_a_directory_that_is_gone_means_no_sidecar(tmp_path: Path) -> None:
    assert (await described(tmp_path, "gone/x.jpg")).metadata == {}


async def test_a_sidecar_that_cannot_be_read_now_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    write_sidecar(tmp_path, "{}")
    monkeypatch.setattr("ingestor.stages.describe.open_regular", refuse)
    with pytest.raises(SourceNotReady) as raised:
        await described(tmp_path)
    assert raised.value.reason == "unreadable"
    assert "x.jpg.json" in str(raised.value)
