"""Images, masks and files as they should not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DATA = ("--data", "data")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """`spoil` works in a folder with a whole data set `data`, and a report on it, `old.json`."""

    name: str
    spoil: Callable[[], object]
    says: str
    args: tuple[str, ...] = DATA
    status: int = 1


def image(number: int = 100) -> Path:
    return Path(f"data/images/{number}.png")


def mask(number: int = 100) -> Path:
    return Path(f"data/masks/{number}.png")


def classes(*names: str) -> Callable[[], object]:
    text = json.dumps({"classes": names})
    return lambda: Path("data/dataset.json").write_text(text)


def told(err: str) -> str:
    """What `edgeseg:` says: one line, and no traceback."""
    lines = [line for line in err.splitlines() if not line.startswith("limits from ")]
    assert len(lines) == 1, err
    return lines[0].removeprefix("edgeseg: ")
