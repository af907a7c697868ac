"""What a sweep writes, and plans with other options."""

from __future__ import annotations

from dataclasses import fields, replace

from edgeseg.sweep.plan import Plan

FILES = ["pareto.svg", "sweep.html", "sweep.json", "sweep.md"]


def with_options(plan: Plan, **options: object) -> Plan:
    """The plan with other options for all cells, in an export, in a verify or in both."""
    parts = {}
    for part in ("export", "verify"):
        known = {one.name for one in fields(getattr(plan, part))}
        own = {name: value for name, value in options.items() if name in known}
        parts[part] = replace(getattr(plan, part), **own)
    return replace(plan, **parts)
