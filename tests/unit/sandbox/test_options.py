import pytest

from ingestor.sandbox import SandboxOptions


def test_a_sandbox_listens_on_loopback_with_the_contracts_buckets_unless_told_otherwise():
    options = SandboxOptions()
    assert (options.host, options.version, options.time_scale) == ("127.0.0.1", "2026-05-15", 1.0)
    assert (options.upload_bucket.burst, options.upload_bucket.per_minute) == (60, 30)
    assert (options.get_bucket.burst, options.get_bucket.per_minute) == (1200, 600)
    assert options.faults == {}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"time_scale": 0}, "time scale"),
        ({"time_scale": float("inf")}, "time scale"),
        ({"time_scale": float("nan")}, "time scale"),
        ({"idempotency": "none"}, "idempotency is one of documented, seed, raw"),
        ({"keys": {}}, "at least one key"),
        ({"faults": {"nothing": 0.5}}, "no fault is called"),
    ],
)
def test_options_that_cannot_be_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        SandboxOptions(**options)
