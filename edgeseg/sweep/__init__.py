"""Exports, measures and compares every combination of models, targets, precisions and sizes."""
