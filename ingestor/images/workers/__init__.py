"""Processes of their own for images that nobody trusts: started, confined, asked and ended."""
