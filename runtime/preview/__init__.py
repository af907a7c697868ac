"""A web page that shows a run; the run itself serves the page."""
