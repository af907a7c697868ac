"""`edgeseg sources`: the cameras of this machine, and what else a run takes here."""

from __future__ import annotations

from edgeseg.cli.options import JsonFlag, print_json, say, say_next

__all__ = ["sources"]


def sources(*, json: JsonFlag = False) -> None:
    """List this machine's cameras with their sizes and rates, and what else a run takes here.

    Example: edgeseg sources
    """
    from edgeseg.cli.answers.sources import describe_sources, suggest_camera
    from edgeseg.cli.offers import find_sources

    found = find_sources()
    for line in describe_sources(found):
        say(line)
    say_next("run", "--source", suggest_camera(found) or "demo")
    if json:
        print_json(found)
