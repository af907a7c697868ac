"""Models, targets, precisions and sizes, each combination exported, measured and compared."""
