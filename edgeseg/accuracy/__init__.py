"""Counts of pixels by class, the metrics made of them, their intervals, and the gates on them."""
