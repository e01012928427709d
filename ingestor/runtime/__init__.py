"""The loops: what keeps the flow fed, and what happens by the clock."""
