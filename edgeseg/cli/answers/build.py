"""Words for what `edgeseg build` proved and timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from edgeseg.cli.answers import Json

if TYPE_CHECKING:
    from edgeseg.runtime.proving.remember import Built

__all__ = ["build_to_json", "describe_build"]


_NOT_STORED: Final = "; this could not be stored, so later runs do not know it"


def describe_build(results: Sequence[Built], *, kept: bool) -> list[str]:
    """Describe each variant in a line, fastest first, and say which one runs.

    `kept` says whether later runs know it.
    """
    lines = [_describe_built(result) for result in results]
    first = results[0]
    slow = [r for r in results[1:] if r.precision == "int8" and r.latency_ms is not None]
    if first.precision != "int8" and first.latency_ms is not None:
        lines += [
            f"{r.title} is no faster than {first.title} here: "
            f"{first.latency_ms / (r.latency_ms or 1.0):.2f}x its speed"
            for r in slow
        ]
    if len(results) == 1:
        end = "" if kept else _NOT_STORED
        return [*lines, f"{first.title}, the only variant, runs here{end}"]
    end = "runs here from now on" if kept else f"is the fastest here{_NOT_STORED}"
    return [*lines, f"{first.title} {end}"]


def _describe_built(result: Built) -> str:
    if result.latency_ms is None:
        return f"{result.title}: {result.fault}"
    return (
        f"{result.title}: {result.latency_ms:.1f} ms a frame; golden frames agree in "
        f"{result.agreement:.2f} % of the pixels or more"
    )


def build_to_json(results: Sequence[Built], *, kept: bool) -> Json:
    """Turn the results into the JSON object of `build --json`."""
    return {"variants": [asdict(result) for result in results], "kept": kept}
