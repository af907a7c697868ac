"""Looks at a data set before anything is measured on it: `edgeseg data`."""
