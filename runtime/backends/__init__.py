"""One module for each target, which opens its artifacts, and what the modules share."""
