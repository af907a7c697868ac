"""One module for each target, which opens the target's artifacts; and code that they share."""
