"""The ledger in a PostgreSQL database that several machines share: what it has that a file of one process has not."""
