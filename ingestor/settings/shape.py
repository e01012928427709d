"""The settings, as INTERFACE.md names them. Values are frozen.

Paths are absolute, durations are seconds (`float`), sizes are bytes (`int`), whatever the file wrote.
The text below each field is its description in the JSON Schema that `ingestor schema` prints.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from ingestor.model import Metadata, Purpose
from ingestor.settings.database import DatabaseUrl, LedgerPlace, StationName, station_of_host
from ingestor.settings.hooks import Command, WebhookUrl
from ingestor.settings.kinds import Bytes, Location, OrNull, Seconds, Whole, YesNo
from ingestor.settings.metadata import MetadataTemplate
from ingestor.settings.values import (
    KEEP,
    SANDBOX,
    After,
    AfterAction,
    AfterKind,
    BaseUrl,
    FolderName,
    Listen,
    ListenAddress,
    Pattern,
    Version,
)

Duration = Annotated[float, Seconds("100ms", "7d")]
"""Seconds as a float, written `90s`."""
QuietDuration = Annotated[float, Seconds("0s", "7d")]
AbsolutePath = Annotated[Path, Location()]


class Section(BaseModel):
    """A mapping in the settings file: no unknown keys, never changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class QuotaSettings(Section):
    """The team's token bucket for uploads: a first guess, which the API's own headers correct."""

    burst: Annotated[int, Whole(1, 1_000_000)] = 60
    """Uploads that may be sent at once after a rest."""
    per_minute: Annotated[int, Whole(1, 1_000_000)] = 30
    """Uploads a minute after that."""


class ApiSettings(Section):
    """The Files API. The key itself is never here: it comes from AUROUS_API_KEY or from `key_file`."""

    base_url: Annotated[str, BaseUrl()] = "https://api.aurous-labs.com"
    """Address of the API (https; http to this machine only); or sandbox: the bundled one, started with us."""
    version: Annotated[str, Version()] = "2026-05-15"
    """Version of the API that is asked for (Aurous-Version)."""
    key_file: Annotated[Path | None, OrNull(Location())] = None
    """File with the API key; null: the environment variable AUROUS_API_KEY."""
    concurrency: Annotated[int, Whole(1, 64)] = 8
    """Uploads in flight at once."""
    timeout: Duration = 60.0
    """How long one request may take."""
    quota: QuotaSettings = QuotaSettings()
    """The team's rate limit."""

    @property
    def is_sandbox(self) -> bool:
        return self.base_url == SANDBOX


class NormaliseSettings(Section):
    """What images are made to fit. Images that fit are sent as they are, byte for byte."""

    longest_side_px: Annotated[int, Whole(1, 4096)] = 4096
    """Longest side in pixels; longer images are made smaller. The API takes 4096 at most."""
    max_bytes: Annotated[int, Bytes("1kB", "10MB")] = 10_000_000
    """Most bytes of what is sent. The API takes 10MB at most."""
    orientation: Literal["bake", "keep"] = "bake"
    """bake: turn the pixels as EXIF says; keep: leave the tag to the reader."""
    animation: Literal["first_frame", "reject", "keep"] = "first_frame"
    """Animated images: send the first frame, reject them, or keep animated WebP and PNG as they are."""
    webp_quality: Annotated[int, Whole(1, 100)] = 90
    """Quality of images that are written anew."""
    workers: Annotated[int, Whole(0, 256)] = 0
    """Processes that decode images; 0: one for each core."""
    image_timeout: Duration = 60.0
    """How long one image may take."""
    max_pixels: Annotated[int, Whole(1, 4_294_836_225)] = 300_000_000
    """Larger images are quarantined unread."""
    integrity: Literal["strict", "decode", "header"] = "strict"
    """How much of an image is proven whole before it is sent: strict finds damage that decoders pass over."""
    metadata: Literal["keep", "strip"] = "keep"
    """strip: remove EXIF, XMP and IPTC from what is sent."""
    light: Literal["encoded", "linear"] = "encoded"
    """linear: average the light of pixels when an image is made smaller: truer in fine patterns, but slower."""


class HookSettings(Section):
    """One that is told of an event: a command, or an address."""

    command: Annotated[tuple[str, ...] | None, OrNull(Command())] = None
    """Program and arguments; it gets the event as JSON on stdin. No shell is involved."""
    url: Annotated[str | None, OrNull(WebhookUrl())] = None
    """Where the event is sent by POST as JSON (https; http to this machine only)."""
    secret_file: Annotated[Path | None, OrNull(Location())] = None
    """File with the secret that signs what is sent to `url` (mode 600, at least 16 characters); null: unsigned."""
    timeout: Annotated[float, Seconds("100ms", "10m")] = 30.0
    """How long one attempt may take. A command is killed then, with all that it has started."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> HookSettings:
        if (self.command is None) == (self.url is None):
            raise ValueError("must have either command or url; write one of the two")
        if self.secret_file is not None and self.url is None:
            raise ValueError("has a secret_file, which signs what is sent to a url; leave it out for a command")
        return self


class HooksSettings(Section):
    """Who is told of what happens to the images of a folder: at least once, in the background, for up to 24 h."""

    uploaded: tuple[HookSettings, ...] = ()
    """A path has a new id: uploaded, or renewed."""
    quarantined: tuple[HookSettings, ...] = ()
    """An image cannot be uploaded."""
    expiring: tuple[HookSettings, ...] = ()
    """An id ends within `expiring_before`; told once for each."""
    expired: tuple[HookSettings, ...] = ()
    """An id has ended: expired, or purged."""


def _last_part(fields: dict[str, Any]) -> str:
    return str(fields["path"].name)


class FolderSettings(Section):
    """A drop folder, and what is done with the images in it."""

    path: AbsolutePath
    """The folder to watch."""
    name: Annotated[str, FolderName()] = Field(default_factory=_last_part)
    """Its name in the manifest; default: the last part of `path`."""
    purpose: Purpose
    """What the images are for."""
    metadata: Annotated[Metadata, MetadataTemplate()] = {}
    """Sent with each image; {relpath} {name} {stem} {parent} {folder} are filled in, {{ and }} are braces."""
    recursive: Annotated[bool, YesNo()] = True
    """Whether folders inside are watched too."""
    include: tuple[Annotated[str, Pattern()], ...] = ()
    """Gitignore-style patterns of files to take; empty: every image suffix."""
    exclude: tuple[Annotated[str, Pattern()], ...] = ()
    """Gitignore-style patterns of files and folders to leave alone."""
    settle: QuietDuration = 2.0
    """A file is taken when its size and mtime have not changed for this long."""
    watch: Literal["auto", "native", "poll"] = "auto"
    """auto: file events, but polling on network file systems, where events lie."""
    rescan: Duration = 60.0
    """How often the whole folder is looked through, for what events missed."""
    after_upload: Annotated[AfterAction, After((AfterKind.KEEP, AfterKind.MOVE, AfterKind.DELETE))] = KEEP
    """What becomes of an uploaded image: keep, move:DIR or delete."""
    on_quarantine: Annotated[AfterAction, After((AfterKind.KEEP, AfterKind.MOVE))] = KEEP
    """What becomes of an image that cannot be uploaded: keep, or move:DIR with NAME.error.json beside it."""
    on_source_delete: Literal["keep", "purge"] = "keep"
    """purge: an image whose file is deleted is deleted at the API as well."""
    renew: Literal["never", "while-source-exists"] = "never"
    """while-source-exists: upload again under a new id before the old one expires."""
    on: HooksSettings = HooksSettings()
    """Commands and addresses that are told of what happens to the images here."""
    expiring_before: Annotated[float, Seconds("1m", "23h")] = 3600.0
    """How long before the end of an id `on.expiring` is told."""
    shared: Annotated[bool, YesNo()] = False
    """With a ledger on PostgreSQL: every machine has this folder under this path, and any of them takes its images."""


class LogSettings(Section):
    """What is told on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    format: Literal["auto", "console", "json"] = "auto"
    """auto: console on a terminal, JSON lines elsewhere."""


class StatusSettings(Section):
    """The daemon's own page."""

    listen: Annotated[ListenAddress | None, OrNull(Listen())] = ListenAddress(host="127.0.0.1", port=8787)
    """HOST:PORT of the page, /metrics, /healthz and /readyz; null: off. A port in use is told, and done without."""
    token_file: Annotated[Path | None, OrNull(Location())] = None
    """File with the token that whoever asks must show; required where `listen` is more than this machine."""


class ClusterSettings(Section):
    """What machines that share a ledger on PostgreSQL have to agree on, or to differ in."""

    station: Annotated[str | None, OrNull(StationName())] = None
    """What this machine is called among them; null: its host name. Folders that are not shared belong to it."""
    manifest: Literal["cluster", "station"] = "cluster"
    """cluster: one machine at a time writes the manifest; station: each writes the whole list to a file of its own."""
    stale: Annotated[float, Seconds("1s", "1h")] = 30.0
    """A worker that is silent for this long is taken for dead, and others do its work. The same on all machines."""


class Settings(Section):
    """Settings of ingestor. Relative paths start from the folder of the settings file."""

    api: ApiSettings = ApiSettings()
    """The Files API."""
    ledger: Annotated[Path | DatabaseUrl, LedgerPlace()] = Field(default=Path("var/ledger.db"), validate_default=True)
    """What ingestor remembers: an SQLite file, or postgresql://… for several machines."""
    manifest: AbsolutePath = Field(default=Path("var/manifest.jsonl"), validate_default=True)
    """The list of file ids, one JSON object a line."""
    normalise: NormaliseSettings = NormaliseSettings()
    """What images are made to fit."""
    folders: tuple[FolderSettings, ...] = ()
    """The drop folders."""
    log: LogSettings = LogSettings()
    """Logs."""
    status: StatusSettings = StatusSettings()
    """The daemon's own page, with metrics."""
    drain: QuietDuration = 30.0
    """How long a stop waits for uploads that are under way."""
    cluster: ClusterSettings = ClusterSettings()
    """For several machines: with a ledger on PostgreSQL."""

    _source_file: Path = PrivateAttr(default=Path("."))

    @property
    def source_file(self) -> Path:
        """The absolute path of the file that these were read from."""
        return self._source_file

    @property
    def state_dir(self) -> Path:
        """Where this machine keeps what is its own: beside an SQLite ledger, else beside the manifest."""
        return (self.manifest if isinstance(self.ledger, DatabaseUrl) else self.ledger).parent

    @property
    def station(self) -> str:
        """What this machine is called among those that share a ledger."""
        return self.cluster.station or station_of_host(socket.gethostname())

    def redacted(self) -> dict[str, Any]:
        """Everything as it would stand in a settings file, defaults included, fit for `json.dumps`.

        Settings hold no secret but the password in the address of a database, which is left out.
        """
        return self.model_dump(mode="json")
