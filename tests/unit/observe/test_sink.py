from __future__ import annotations

import io
import sys

import pytest

from ingestor.observe.sink import Sink


class _Broken(io.StringIO):
    """A stream that fails as long as it is told to."""

    error: Exception | None = None

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError(), ValueError("closed")])
def test_a_stream_that_fails_hurts_nobody_and_its_losses_are_told_later(error: Exception) -> None:
    stream = _Broken()
    sink = Sink(stream)
    stream.error = error
    sink.msg("one")
    sink.msg("two")
    assert sink.lost == 2
    stream.error = None
    sink.msg("three")
    assert stream.getvalue().splitlines() == ["(2 log lines before this one could not be written)", "three"]
    assert sink.lost == 0


def test_a_closed_stream_loses_lines_quietly() -> None:
    stream = io.StringIO()
    stream.close()
    sink = Sink(stream)
    sink.msg("one")
    assert sink.lost == 1


def test_letters_that_the_stream_cannot_write_are_written_out() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    Sink(stream).msg("写真 … ok")
    assert raw.getvalue() == b"\\u5199\\u771f \\u2026 ok\n"


def test_without_a_stream_it_is_standard_error_as_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Sink()
    assert sink.stream is sys.stderr
    sink.msg("one")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "one\n")


def test_lines_take_the_detour_until_it_ends() -> None:
    stream, elsewhere = io.StringIO(), []
    sink = Sink(stream)
    with sink.through(elsewhere.append):
        sink.msg("above")
    sink.msg("straight")
    assert (elsewhere, stream.getvalue()) == (["above"], "straight\n")
