"""The steps of the flow, each by itself. Their order stands in `ingestor.pipeline` alone."""
