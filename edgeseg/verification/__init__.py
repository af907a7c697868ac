"""Measures and judges a model: all of `edgeseg verify`."""

from __future__ import annotations
