"""Places where a test can have the process die, as if the power had gone.

`INGESTOR_FAILPOINT=after_intent` exits hard at the first time that this boundary is reached, `after_intent:3` at the
third. Without the variable each place costs one comparison.
"""

from __future__ import annotations

import os

VARIABLE = "INGESTOR_FAILPOINT"
EXIT_CODE = 137
"""As of a process that was killed with SIGKILL."""

BOUNDARIES = (
    "before_intent",
    "after_intent",
    "before_send",
    "after_answer",
    "before_receipt",
    "after_receipt",
    "before_manifest",
    "after_manifest",
    "before_after_action",
    "after_after_action",
    "after_finish",
    "before_quarantine",
    "after_quarantine",
    "after_quarantine_manifest",
    "after_quarantine_put_away",
)
"""The boundaries of the flow, in its order."""

WHILE_REMOVING = "while_removing"
"""Between the two steps in which a file is removed: its name is taken, its bytes are there."""

_armed, _, _count = os.environ.get(VARIABLE, "").partition(":")
_left = int(_count) if _count.isdecimal() else 1


def failpoint(boundary: str) -> None:
    """Exit hard here, without a word to anybody, if a test has asked for it."""
    global _left  # noqa: PLW0603  # one process has one life
    if boundary != _armed:
        return
    _left -= 1
    if _left <= 0:
        os._exit(EXIT_CODE)
