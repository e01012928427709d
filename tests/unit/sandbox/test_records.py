from ingestor.sandbox.images import ImageFacts
from ingestor.sandbox.records import StoredFile, content_digest


def stored(**changes):
    fields = {
        "id": "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN",
        "team": "team",
        "purpose": "reference",
        "facts": ImageFacts(mime_type="image/jpeg", width_px=1024, height_px=768),
        "size_bytes": 1247892,
        "sha256": "a" * 64,
        "metadata": {"campaign": "launch-2026"},
        "created_at": 1777816800,
    }
    return StoredFile(**{**fields, **changes})


def test_a_file_is_told_as_the_seed_page_shows_it():
    assert stored().as_object("https://...?token=...") == {
        "id": "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN",
        "object": "file",
        "purpose": "reference",
        "mime_type": "image/jpeg",
        "size_bytes": 1247892,
        "width_px": 1024,
        "height_px": 768,
        "url": "https://...?token=...",
        "expires_at": "2026-05-04T14:00:00Z",
        "created_at": "2026-05-03T14:00:00Z",
        "metadata": {"campaign": "launch-2026"},
    }


def test_metadata_is_absent_where_none_was_sent_and_empty_where_it_was():
    assert "metadata" not in stored(metadata=None).as_object("u")
    assert stored(metadata={}).as_object("u")["metadata"] == {}


def test_a_content_is_its_bytes_purpose_and_metadata_in_any_order():
    one = content_digest("a", "reference", {"x": 1, "y": 2})
    assert one == content_digest("a", "reference", {"y": 2, "x": 1})
    others = {
        content_digest("b", "reference", {"x": 1, "y": 2}),
        content_digest("a", "last_frame", {"x": 1, "y": 2}),
        content_digest("a", "reference", {"x": 1}),
        content_digest("a", "reference", {}),
        content_digest("a", "reference", None),
    }
    assert len(others) == 5
    assert one not in others
