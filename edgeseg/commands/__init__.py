"""One module a command of `edgeseg`: options in, one function called, lines and JSON out."""
