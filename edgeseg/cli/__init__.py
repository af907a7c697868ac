"""The command line: options in, one function called, lines and JSON out."""
