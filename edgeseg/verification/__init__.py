"""What is measured of a model, against what, and the verdict on it: all of `edgeseg verify`."""

from __future__ import annotations
