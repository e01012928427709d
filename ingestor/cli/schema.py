"""`ingestor schema`.

Save it and name it on the settings file's first line: # yaml-language-server: $schema=ingestor.schema.json
"""

from __future__ import annotations

import json

from ingestor.cli.common import out


def command() -> None:
    from ingestor.settings import settings_schema

    out(json.dumps(settings_schema(), indent=2))
