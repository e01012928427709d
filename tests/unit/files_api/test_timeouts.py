from ingestor.files_api.timeouts import Timeouts


def test_the_one_setting_is_how_long_an_answer_may_take() -> None:
    timeouts = Timeouts.of(60.0)
    assert (timeouts.connect, timeouts.stall, timeouts.answer, timeouts.total) == (10.0, 30.0, 60.0, 300.0)


def test_a_short_setting_shortens_every_part() -> None:
    timeouts = Timeouts.of(2.0)
    assert (timeouts.connect, timeouts.stall, timeouts.answer, timeouts.total) == (2.0, 2.0, 2.0, 10.0)
