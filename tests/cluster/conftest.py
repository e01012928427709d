from tests.cluster.kit import slow_station, station  # noqa: F401
