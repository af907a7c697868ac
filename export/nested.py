"""Finds parts of a configuration of nested dictionaries and lists, of which nothing is sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["Config", "take_part", "to_pair", "walk"]

Config = Mapping[str, object]

_DEEPEST: Final = 30  # a pickle may hold a dictionary that holds itself


def take_part(config: Config, *path: str) -> Config:
    """Take the dictionary at a path of keys; empty where there is none."""
    for name in path:
        part = config.get(name)
        config = part if isinstance(part, Mapping) else {}
    return config


def walk(value: object, depth: int = 0) -> Iterator[Config]:
    """Walk over every dictionary in `value`, outer ones first, to a limited depth."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        yield value
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from walk(one, depth + 1)


def to_pair(value: object) -> tuple[int, int] | None:
    """Take two whole numbers, or one twice; None where the value is anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        first, second = value
        if isinstance(first, int) and isinstance(second, int):
            return first, second
    return None
