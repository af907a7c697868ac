"""One module for each command of `edgeseg`."""
