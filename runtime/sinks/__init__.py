"""Outputs for results. A file gets its final name only when the file is complete."""
