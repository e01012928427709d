"""Templates and static files, all from the package itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ingestor.observe.cleaning import clean, clean_text
from ingestor.observe.instants import local, parsed, relative
from ingestor.observe.wording import in_words, number, size
from ingestor.page.places import word_of

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """A file as it is served; `version` changes with its bytes."""

    name: str
    content: bytes
    content_type: str
    version: str


class Rendering:
    """Pages from templates: everything put into one is cleaned as for the logs, then escaped."""

    def __init__(self) -> None:
        self.static = {static.name: static for static in _statics()}
        self._environment = Environment(
            loader=PackageLoader("ingestor.page"),
            autoescape=True,
            finalize=_cleaned,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "number": number,
            "size": size,
            "in_words": in_words,
            "word": word_of,
            "iso": lambda instant: instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "local": local,
            "ago": relative,
            "instant": _instant,
            "pretty_json": _pretty_json,
            "prose": _prose,
        }
        self._environment.globals["static"] = lambda name: f"/static/{name}?v={self.static[name].version}"

    def page(self, template: str, facts: Mapping[str, Any]) -> str:
        return self._environment.get_template(template).render(facts)


def _statics() -> list[Static]:
    found = []
    for file in files("ingestor.page").joinpath("static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            content = file.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:12]
            found.append(Static(name=file.name, content=content, content_type=_TYPES[suffix], version=version))
    return found


def _cleaned(value: Any) -> Any:
    """One printable line without secrets; what templates or we ourselves have made is let through."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return clean_text(str(value))


def _pretty_json(value: object) -> Markup:
    """Cleaned before it is written, since its lines are to stay."""
    return Markup.escape(json.dumps(clean(value), ensure_ascii=False, indent=2, sort_keys=True))


def _prose(sentence: str) -> Markup:
    """A sentence whose words in backticks are code."""
    parts = [Markup.escape(part) for part in clean_text(sentence).split("`")]
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def _instant(value: object) -> datetime | None:
    """An instant from what is one, or tells one."""
    return value if isinstance(value, datetime) else parsed(value)
