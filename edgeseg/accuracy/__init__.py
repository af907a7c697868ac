"""Counts pixels by class, computes metrics and intervals, and judges the gates."""
