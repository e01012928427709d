from ingestor.sandbox.service import Tally


def test_uploads_are_counted_while_they_last_and_the_most_at_once_is_kept():
    tally = Tally()
    with tally.upload(), tally.upload():
        assert tally.uploads_in_flight == 2
    with tally.upload():
        assert tally.uploads_in_flight == 1
    assert (tally.uploads_in_flight, tally.uploads_in_flight_peak) == (0, 2)


def test_answers_are_counted_by_route():
    tally = Tally()
    for route, status in [("POST /v1/files", "201"), ("POST /v1/files", "201"), ("POST /v1/files", "none")]:
        tally.answers[route, status] += 1
    assert tally.by_route() == {"POST /v1/files": {"201": 2, "none": 1}}
