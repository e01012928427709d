import hashlib
import sqlite3
import threading
from dataclasses import replace

import pytest

from ingestor.sandbox.ids import file_id
from ingestor.sandbox.images import ImageFacts
from ingestor.sandbox.records import TTL_SECONDS, StoredFile, UsedKey
from ingestor.sandbox.store import Store

NOW = 1_800_000_000
FACTS = ImageFacts(mime_type="image/png", width_px=3, height_px=2)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def reopened(store, tmp_path):
    store.close()
    return Store(tmp_path)


def a_file(content=b"bytes", **changes):
    fields = {
        "id": file_id(NOW),
        "team": "team",
        "purpose": "reference",
        "facts": FACTS,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "metadata": {"a": 1},
        "created_at": NOW,
    }
    return StoredFile(**{**fields, **changes})


def a_key(**changes):
    fields = {"team": "team", "key": "k", "route": "POST /v1/files", "body": "b", "answer": "{}", "used_at": NOW}
    return UsedKey(**{**fields, **changes})


def test_a_file_and_its_key_are_found_again_after_a_restart(store, tmp_path):
    file = a_file()
    store.add(file, b"bytes", a_key())
    again = reopened(store, tmp_path)
    assert again.find(file.id, NOW) == file
    assert again.path(file.id).read_bytes() == b"bytes"
    assert again.used_key("team", "k", NOW) == a_key()
    again.close()


def test_a_file_lives_for_its_time_and_not_a_moment_longer(store):
    file = a_file()
    store.add(file, b"bytes", None)
    assert store.find(file.id, NOW + TTL_SECONDS - 0.001) == file
    assert store.find(file.id, NOW + TTL_SECONDS) is None


def test_what_has_outlived_its_time_is_removed_from_the_disk(store):
    old, young = a_file(), a_file(created_at=NOW + 1)
    for file in (old, young):
        store.add(file, b"bytes", None)
    assert store.purge_expired(NOW + TTL_SECONDS) == 1
    assert (store.path(old.id).exists(), store.path(young.id).exists()) == (False, True)
    assert store.purge_expired(NOW + TTL_SECONDS) == 0


def test_a_purged_file_is_gone_from_the_index_and_the_disk(store):
    file = a_file()
    store.add(file, b"bytes", None)
    store.purge(file.id)
    store.purge(file.id)
    assert store.find(file.id, NOW) is None
    assert not store.path(file.id).exists()


def test_a_key_starts_fresh_when_its_window_is_over(store):
    store.add(a_file(), b"bytes", a_key())
    assert store.used_key("team", "k", NOW + TTL_SECONDS - 1) is not None
    assert store.used_key("team", "k", NOW + TTL_SECONDS) is None


def test_a_key_outlives_the_purge_of_its_file(store):
    file = a_file()
    store.add(file, b"bytes", a_key())
    store.purge(file.id)
    assert store.used_key("team", "k", NOW) == a_key()


def test_keys_of_teams_and_keys_that_differ_in_a_byte_are_different_keys(store):
    store.add(a_file(), b"bytes", a_key())
    assert store.used_key("other", "k", NOW) is None
    assert store.used_key("team", "K", NOW) is None
    store.add(a_file(), b"bytes", a_key(key="\udcff"))
    assert store.used_key("team", "\udcff", NOW) is not None


def test_file_and_key_are_kept_together_or_not_at_all(store, tmp_path):
    file = a_file()
    store.add(file, b"bytes", a_key(key="first"))
    with pytest.raises(sqlite3.IntegrityError):
        store.add(replace(file, created_at=NOW + 1), b"others", a_key(key="second"))
    assert store.used_key("team", "second", NOW) is None
    store.add(a_file(), b"bytes", a_key(key="third"))
    assert store.used_key("team", "third", NOW) is not None


def test_a_used_key_is_not_occupied_and_a_free_one_is(store):
    store.add(a_file(), b"bytes", a_key())
    other_route = a_key(route="POST /v1/images")
    assert not store.occupy_key(other_route, NOW)
    assert store.used_key("team", "k", NOW) == a_key()
    assert store.occupy_key(replace(other_route, key="free"), NOW)
    assert store.occupy_key(replace(other_route, used_at=NOW + TTL_SECONDS), NOW + TTL_SECONDS)


def test_bytes_that_a_kill_left_without_an_entry_are_removed(store, tmp_path):
    file = a_file()
    store.add(file, b"bytes", None)
    store.path(file_id(NOW)).write_bytes(b"no entry")
    store.path("file_X").with_suffix(".part").write_bytes(b"half")
    again = reopened(store, tmp_path)
    assert [path.name for path in (tmp_path / "files").iterdir()] == [file.id]
    again.close()


def test_each_content_is_counted_with_its_files(store):
    one, again, other = a_file(), a_file(created_at=NOW + 1), a_file(b"other", metadata=None, created_at=NOW + 2)
    store.add(one, b"bytes", None)
    store.add(again, b"bytes", None)
    store.add(other, b"other", None)
    store.purge(one.id)
    first, second = store.created()
    assert (first["sha256"], first["metadata"], first["created"], first["live"]) == (one.sha256, {"a": 1}, 2, 1)
    assert sorted(first["ids"]) == sorted([one.id, again.id])
    assert (second["sha256"], second["metadata"], second["created"], second["live"]) == (other.sha256, None, 1, 1)


def test_contents_of_one_second_come_in_the_order_they_were_uploaded_in(store):
    for number in (3, 1, 2):
        store.add(a_file(b"%d" % number, id=f"file_{number:026}"), b"%d" % number, None)
    assert [row["ids"] for row in store.created()] == [[f"file_{number:026}"] for number in (3, 1, 2)]


def test_named_values_are_kept(store, tmp_path):
    assert store.state("clock") is None
    store.keep_state(clock={"at": 1.5}, secret="s")
    store.keep_state(clock={"at": 2.5})
    again = reopened(store, tmp_path)
    assert (again.state("clock"), again.state("secret")) == ({"at": 2.5}, "s")
    again.close()


def test_many_threads_may_use_it_at_once(store):
    def work(number):
        for step in range(20):
            file = a_file(f"{number}.{step}".encode())
            store.add(file, b"bytes", a_key(key=file.id))
            assert store.find(file.id, NOW) == file

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row["created"] for row in store.created()) == 100
