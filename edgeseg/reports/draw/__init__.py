"""Charts and pictures of a report, as SVG or PNG."""
