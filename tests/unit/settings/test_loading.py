from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import pytest

from ingestor.errors import SettingsError
from ingestor.model import Purpose
from ingestor.settings import AfterKind, FolderSettings, adhoc_folder, load

EVERY_MISTAKE = """\
# key: al_live_0123456789abcdef
api:
  base_ulr: https://api.aurous-labs.com
  base_url: http://api.aurous-labs.com
  version: latest
  key_file: 5
  timeout: 60
  timeout: 5s
  concurrency: 65
  quota: {burst: 0, per_minute: many}
ledger: postgresql+psycopg2://u:pw@host/db
manifset: x
normalise:
  longest_side_px: 5000
  max_bytes: 50MB
  orientation: bak
  animation: all
  webp_quality: 101
  max_pixels: 3.5
  integrity: true
folders:
  - path: inbox
    purpose: refrence
    metadata: {a: "{relpat}", b: {c: ["{"]}, 3: x}
    recursive: maybe
    include: "*.jpg"
    settle: fast
    watch: polling
    renew: while-source-exists
    on_quarantine: delete
  - {path: nowhere, purpose: reference, name: inbox, after_upload: "move:inbox", rescan: 0}
  - products
  - path: inbox/sub
    include: ["*.png", "[z-a]", ""]
    after_upload: move
status: {listen: "8787", token_file: nowhere}
log:
drain: !!binary aa
"""

MISTAKES = """\
FILE:1: this looks like an API key, which never belongs in here; put it in AUROUS_API_KEY or in a file of its own, \
named by api.key_file (and replace the key if others can read this file)
FILE:3: api.base_ulr: unknown setting; did you mean api.base_url?
FILE:4: api.base_url: "http://api.aurous-labs.com" would send the key unencrypted; write https:// \
(http:// is for this machine)
FILE:5: api.version: "latest" is not a version of the API; write a date such as 2026-05-15
FILE:6: api.key_file: must be text, not 5; put it in quotes if it is meant as text
FILE:7: api.timeout: 60 has no unit; write a duration such as 90s, 5m or 24h
FILE:8: api.timeout: is written twice; the first is on line 7; keep one of the two
FILE:9: api.concurrency: 65 is out of range; write a number from 1 to 64
FILE:10: api.quota.burst: 0 is out of range; write a number from 1 to 1000000
FILE:10: api.quota.per_minute: "many" is not a whole number; write one from 1 to 1000000
FILE:11: ledger: is the address of something that is no PostgreSQL database; write one such as \
postgresql://user@host/ingestor (the password in it, in PGPASSWORD or in ~/.pgpass)
FILE:12: manifset: unknown setting; did you mean manifest?
FILE:14: normalise.longest_side_px: 5000 is out of range; write a number from 1 to 4096
FILE:15: normalise.max_bytes: "50MB" is out of range; write from 1kB to 10MB
FILE:16: normalise.orientation: "bak" is not one of bake, keep; did you mean bake?
FILE:17: normalise.animation: "all" is not one of first_frame, reject, keep
FILE:18: normalise.webp_quality: 101 is out of range; write a number from 1 to 100
FILE:19: normalise.max_pixels: 3.5 is not a whole number; write one from 1 to 4294836225
FILE:20: normalise.integrity: true is not one of strict, decode, header
FILE:23: folders[0].purpose: "refrence" is not one of reference, first_frame, last_frame; did you mean reference?
FILE:24: folders[0].metadata: "3" cannot be a key; put it in quotes if it is meant as text
FILE:24: folders[0].metadata.a: "{relpat}" is no placeholder; the placeholders are {relpath}, {name}, {stem}, \
{parent}, {folder}
FILE:24: folders[0].metadata.b.c[0]: "{" has a lone brace; write {{ or }} for a brace itself, or one of {relpath}, \
{name}, {stem}, {parent}, {folder}
FILE:25: folders[0].recursive: "maybe" is neither true nor false; write one of the two
FILE:26: folders[0].include: must be a list, such as [a, b], not "*.jpg"
FILE:27: folders[0].settle: "fast" is not a duration; write one such as 500ms, 90s, 5m or 24h
FILE:28: folders[0].watch: "polling" is not one of auto, native, poll; did you mean poll?
FILE:30: folders[0].on_quarantine: "delete" is not one of keep, move:DIR
FILE:31: folders[1].rescan: 0 has no unit; write a duration such as 90s, 5m or 24h
FILE:31: folders[1].path: "ROOT/nowhere" does not exist; make it (mkdir -p) or correct the path
FILE:31: folders[1].name: "inbox" is the name of folders[0] too; give each folder its own
FILE:31: folders[1].after_upload: "ROOT/inbox" is the drop folder folders[0]; move to a place outside of it
FILE:32: folders[2]: must be a mapping (`key: value` lines), not "products"
FILE:33: folders[3].purpose: is missing; write it here
FILE:33: folders[3].path: lies inside folders[0]; give each image one folder: take them apart, or set the outer one \
to recursive: false
FILE:34: folders[3].include[1]: "[z-a]" is not a pattern; write one such as *.jpg, raw/ or !keep.png
FILE:34: folders[3].include[2]: is empty; write something, or leave the setting out
FILE:35: folders[3].after_upload: says move but not where to; write move:DIR
FILE:36: status.listen: "8787" is not HOST:PORT; write one such as 127.0.0.1:8787, or null for none
FILE:36: status.token_file: "ROOT/nowhere" does not exist; make it, such as: (umask 077; openssl rand -hex 32 > FILE)
FILE:37: log: must be a mapping (`key: value` lines), not null
FILE:38: drain: the tag "tag:yaml.org,2002:binary" is not understood here; leave it out
INGESTOR_API_TIMEOUT: names no setting; sections end with two underscores: INGESTOR_API__TIMEOUT
INGESTOR_NORMALISE__WORKERS: normalise.workers: "two" is not a whole number; write one from 0 to 256
command line: log.format: "yaml" is not one of auto, console, json
"""


def test_every_mistake_is_told_in_one_run_with_file_and_line(file: Any) -> None:
    file.folders("inbox/sub").write(EVERY_MISTAKE)
    environ = {"INGESTOR_API_TIMEOUT": "3s", "INGESTOR_NORMALISE__WORKERS": "two"}
    told = file.mistakes(environ, log__format="yaml")
    expected = MISTAKES.replace("ROOT", str(file.folder)).splitlines()
    # `log:` is empty in the file, and the flag lays its own mapping there, so the former is told elsewhere.
    assert told == [line for line in expected if not line.startswith("FILE:37")]


def test_an_empty_section_is_told(file: Any) -> None:
    assert file.write("log:\n").mistakes() == ["FILE:1: log: must be a mapping (`key: value` lines), not null"]


def test_defaults_are_those_of_the_interface(file: Any) -> None:
    settings = file.folders("in").write("folders: [{path: in, purpose: first_frame}]").load()
    assert settings.redacted() == {
        "api": {
            "base_url": "https://api.aurous-labs.com",
            "version": "2026-05-15",
            "key_file": None,
            "concurrency": 8,
            "timeout": "60s",
            "quota": {"burst": 60, "per_minute": 30},
        },
        "ledger": f"{file.folder}/var/ledger.db",
        "manifest": f"{file.folder}/var/manifest.jsonl",
        "normalise": {
            "longest_side_px": 4096,
            "max_bytes": "10MB",
            "orientation": "bake",
            "animation": "first_frame",
            "webp_quality": 90,
            "workers": 0,
            "image_timeout": "60s",
            "max_pixels": 300_000_000,
            "integrity": "strict",
            "metadata": "keep",
            "light": "encoded",
        },
        "folders": [
            {
                "path": f"{file.folder}/in",
                "name": "in",
                "purpose": "first_frame",
                "metadata": {},
                "recursive": True,
                "include": [],
                "exclude": [],
                "settle": "2s",
                "watch": "auto",
                "rescan": "60s",
                "after_upload": "keep",
                "on_quarantine": "keep",
                "on_source_delete": "keep",
                "renew": "never",
                "on": {"uploaded": [], "quarantined": [], "expiring": [], "expired": []},
                "expiring_before": "60m",
                "shared": False,
            }
        ],
        "log": {"level": "info", "format": "auto"},
        "status": {"listen": "127.0.0.1:8787", "token_file": None},
        "drain": "30s",
        "cluster": {"station": None, "manifest": "cluster", "stale": "30s"},
    }


def test_values_come_in_plain_units(file: Any) -> None:
    settings = (
        file.folders("in")
        .write("""
        api: {timeout: 500ms, key_file: keys/aurous}
        normalise: {max_bytes: 8MiB, max_pixels: 300_000_000}
        folders:
          - {path: in, purpose: reference, recursive: no, after_upload: "move:../done", settle: 0s}
    """)
        .load()
    )
    folder = settings.folders[0]
    assert (settings.api.timeout, settings.normalise.max_bytes) == (0.5, 8_388_608)
    assert settings.normalise.max_pixels == 300_000_000
    assert settings.api.key_file == file.folder / "keys/aurous"
    assert (folder.purpose, folder.recursive, folder.settle) == (Purpose.REFERENCE, False, 0.0)
    assert (folder.after_upload.kind, folder.after_upload.dir) == (
        AfterKind.MOVE,
        file.folder.parent / "done",
    )
    assert settings.source_file == file.path


def test_what_is_shown_is_read_as_the_same_settings(file: Any) -> None:
    import json

    settings = (
        file.folders("in")
        .write("""
        api: {timeout: 90s}
        normalise: {max_bytes: 8MiB}
        folders:
          - {path: in, purpose: reference, metadata: {a: "{relpath}"}, exclude: [raw/], after_upload: "move:done"}
    """)
        .load()
    )
    assert file.write(json.dumps(settings.redacted())).load() == settings


def test_settings_are_never_changed(file: Any) -> None:
    settings = file.folders("in").write("folders: [{path: in, purpose: reference}]").load()
    for thing, name in ((settings, "drain"), (settings.api, "timeout"), (settings.folders[0], "path")):
        with pytest.raises(pydantic.ValidationError):
            setattr(thing, name, 1)


def test_home_is_understood(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(file.folder / "home"))
    assert file.write("ledger: ~/x.db").load().ledger == file.folder / "home/x.db"
    (said,) = file.write("ledger: ~nobody-has-this-name/x.db").mistakes()
    assert "names no home folder" in said


def test_a_missing_file_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for config, environ, named in (
        (Path("x.yaml"), {"INGESTOR_CONFIG": "y.yaml"}, "x.yaml"),
        (None, {"INGESTOR_CONFIG": "y.yaml"}, "y.yaml"),
        (None, {"INGESTOR_CONFIG": ""}, "config/ingestor.yaml"),
        (None, {}, "config/ingestor.yaml"),
    ):
        with pytest.raises(SettingsError) as caught:
            load(config, environ)
        assert str(caught.value).startswith(f"{named}: there is no settings file here; `ingestor init` makes one")
        assert "--config FILE or INGESTOR_CONFIG" in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path, "is a folder; name the settings file in it"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (Path("a\0b"), "cannot be read: "),
    ):
        with pytest.raises(SettingsError, match=said):
            load(path, {})


def test_a_relative_file_is_named_as_it_was_given(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write("drain: 5\n")
    monkeypatch.chdir(file.folder)
    with pytest.raises(SettingsError, match=r"^settings\.yaml:1: drain: 5 has no unit"):
        load(Path("settings.yaml"), {})


def test_overrides_that_are_none_were_not_given(file: Any) -> None:
    assert file.write("drain: 5s\n").load(drain=None, log__level=None).drain == 5.0


def test_an_override_reaches_into_a_folder(file: Any) -> None:
    file.folders("in").write("folders: [{path: in, purpose: reference}]")
    assert file.load(folders__0__settle="7s").folders[0].settle == 7.0


def test_an_override_of_a_section_goes_before_one_inside_of_it_whichever_came_first(file: Any) -> None:
    for names in (("api", "api.timeout"), ("api.timeout", "api")):
        values = {"api": {"concurrency": 3, "timeout": "9s"}, "api.timeout": "7s"}
        api = load(file.write("").path, {}, {name: values[name] for name in names}).api
        assert (api.concurrency, api.timeout) == (3, 7.0)


@pytest.mark.parametrize("folder", [[], "x", 5, True])
def test_an_override_inside_of_what_has_no_inside_is_told(file: Any, folder: Any) -> None:
    file.folders("in").write("folders: [{path: in, purpose: reference}]")
    with pytest.raises(SettingsError) as caught:
        load(file.path, {}, {"folders.0": folder, "folders.0.path": "in"})
    assert {problem.file for problem in caught.value.problems} == {"command line"}


def test_overrides_are_left_as_they_were_given(file: Any) -> None:
    file.folders("in").write("folders: [{path: in, purpose: reference}]")
    overrides = {"folders": [{"path": "in", "purpose": "reference"}], "folders.0.settle": "7s", "api": {}}
    assert load(file.path, {}, {**overrides, "api.timeout": "5s"}).folders[0].settle == 7.0
    assert overrides == {"folders": [{"path": "in", "purpose": "reference"}], "folders.0.settle": "7s", "api": {}}


def test_a_key_on_the_command_line_is_refused_and_not_shown(file: Any) -> None:
    mistakes = file.write("").mistakes(api__key_file="al_live_abcdefgh1234")
    assert mistakes == [
        "command line: api.key_file: holds what looks like an API key, which others can see in a command line; "
        "put it in AUROUS_API_KEY or in a key file"
    ]


def test_the_key_in_the_environment_is_no_setting_and_stands_in_none(file: Any) -> None:
    file.folders("in").write("folders: [{path: in, purpose: reference}]")
    settings = file.load({"AUROUS_API_KEY": "al_live_abcdefgh1234"})
    assert "abcdefgh" not in f"{settings!r}{settings.redacted()}"


# -- folders from the command line -----------------------------------------------------------------


def problems_of(*args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        adhoc_folder(*args, **kwargs)
    return [str(problem) for problem in caught.value.problems]


def test_an_adhoc_folder_starts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = adhoc_folder(Path("x"), "last_frame", {"a": "{name}"})
    assert (folder.path, folder.name, folder.purpose) == (tmp_path / "x", "x", "last_frame")
    assert folder.metadata == {"a": "{name}"}


def test_an_adhoc_folder_takes_all_else_from_its_template(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    template = FolderSettings.model_validate({"path": "/", "name": "t", "purpose": "reference", "settle": "9s"})
    folder = adhoc_folder(tmp_path / "x", "last_frame", {}, template)
    assert (folder.name, folder.purpose, folder.settle) == ("x", "last_frame", 9.0)


def test_an_adhoc_folder_never_has_a_taken_name(tmp_path: Path) -> None:
    names = {adhoc_folder(tmp_path, "reference", {}, taken_names={tmp_path.name}).name for _ in range(2)}
    assert len(names) == 1
    assert tmp_path.name not in names


def test_mistakes_of_an_adhoc_folder_name_the_argument(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "refrence", {"a": "{x}"}) == [
        '--purpose: "refrence" is not one of reference, first_frame, last_frame; did you mean reference?',
        '--metadata: a: "{x}" is no placeholder; the placeholders are {relpath}, {name}, {stem}, {parent}, {folder}',
    ]
    (said,) = problems_of(tmp_path / "gone", "reference", {})
    assert said.startswith(f'{tmp_path}/gone: "{tmp_path}/gone" does not exist')


def test_a_key_in_the_metadata_of_an_adhoc_folder_is_refused_and_not_shown(tmp_path: Path) -> None:
    for metadata in ({"a": ["al_live_abcdefgh1234"]}, {"al_live_abcdefgh1234": {"b": 1}}):
        (said,) = problems_of(tmp_path, "reference", metadata)
        assert said.startswith("--metadata: holds what looks like an API key")
        assert "abcdefgh" not in said
