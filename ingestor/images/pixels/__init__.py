"""Pixels, whatever file they come from: their colours, their samples, their number."""
