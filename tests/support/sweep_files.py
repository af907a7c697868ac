"""What a sweep writes."""

from __future__ import annotations

FILES = ["pareto.svg", "sweep.html", "sweep.json", "sweep.md"]
