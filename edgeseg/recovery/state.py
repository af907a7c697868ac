"""Keeps a training's state in a file, so that one that was broken off goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import TypeAlias

import torch
from torch import Tensor

from edgeseg.files.whole import write_whole

__all__ = ["Changes", "State", "recall_state", "save_state"]

Changes: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a training is: in which lesson, which began when `begun_s` seconds were spent.

    `begun_from` is the place of the start among those that were given. `taken` are the steps of all
    lessons so far, and `seconds` what was spent. `before`, `now` and `after` are the mean IoU with
    the teacher's masks: at first, at last and at best.
    """

    begun_from: int
    lesson: int = 0
    begun_s: float = 0.0
    taken: int = 0
    seconds: float = 0.0
    before: float
    now: float
    after: float
    changes: Changes
    average: Changes
    best: Changes


def save_state(path: Path, state: State) -> None:
    """Save a state; the whole file or none."""
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    with write_whole(path) as partial:
        torch.save(content, partial)


def recall_state(path: Path) -> State | None:
    """Recall a state; None where none was saved, or the file is damaged."""
    try:
        return State(**torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, TypeError, ValueError, UnpicklingError):
        return None
