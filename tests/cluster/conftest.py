from tests.cluster.kit import station  # noqa: F401
