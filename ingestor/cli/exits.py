"""Errors as exit codes and last words. INTERFACE.md, Exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from ingestor.errors import (
    AccountRefused,
    ApiUnavailable,
    IngestorError,
    LedgerHeld,
    SettingsError,
    UsageError,
)

DEBUG_VARIABLE = "INGESTOR_DEBUG"


class Exit(IntEnum):
    DONE = 0
    OUR_FAULT = 1
    WRONG_USAGE = 2
    QUARANTINED = 3
    REFUSED = 4
    UNREACHABLE = 5
    HELD = 6
    INTERRUPTED = 130


class Failed(Exception):
    """A command ends with this code; its text is the last line on stderr."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    """A line on stderr; text that the terminal cannot show is escaped."""
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def guarded(call: Callable[[], object]) -> NoReturn:
    """Run a command and exit: no traceback reaches a user, and the last line on stderr says why it failed."""
    code, words = _outcome(call)
    if words:
        say(words)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (`ingestor manifest | head`): nothing is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _outcome(call: Callable[[], object]) -> tuple[int, str]:
    try:
        call()
    except Failed as failed:
        return failed.code, str(failed)
    except SettingsError as error:
        return Exit.WRONG_USAGE, str(error)
    except UsageError as error:
        return Exit.WRONG_USAGE, str(error)
    except LedgerHeld as error:
        return Exit.HELD, str(error)
    except AccountRefused as error:
        return Exit.REFUSED, str(error)
    except ApiUnavailable as error:
        return Exit.UNREACHABLE, str(error)
    except IngestorError as error:
        return Exit.OUR_FAULT, str(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED, "interrupted"
    except BrokenPipeError:
        return Exit.DONE, ""
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        kind = type(error).__name__
        return Exit.OUR_FAULT, f"a fault of ingestor: {kind}: {error} (set {DEBUG_VARIABLE}=1 to see where)"
    return Exit.DONE, ""
