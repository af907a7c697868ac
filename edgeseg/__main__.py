"""`python -m edgeseg`."""

from __future__ import annotations

from edgeseg.cli import main

main()
