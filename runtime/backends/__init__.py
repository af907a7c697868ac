"""One module an engine. Each opens an artifact and gives a `Backend`."""
