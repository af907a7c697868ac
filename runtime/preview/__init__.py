"""A page on which to watch a run, served by the run itself."""
