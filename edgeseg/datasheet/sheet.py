"""What `edgeseg data` found, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgeseg.labels import Labels
from edgeseg.reports.data_facts import DataFacts
from edgeseg.reports.measured import Value
from edgeseg.reports.report import Noted

__all__ = ["DataSheet", "Shared", "SheetPicture", "SplitSheet", "encode_sheet"]


class Shared(Value, frozen=True, kw_only=True):
    """Two images of different splits with the same pixels."""

    split: str
    name: str
    other_split: str
    other_name: str


class SplitSheet(Value, frozen=True, kw_only=True):
    """A split, or a data set that has none.

    `failing` are pairs that cannot be used, with the reason. `converted` are images that are read
    after a conversion. `notes` say what was recognized and guessed.
    """

    split: str | None
    facts: DataFacts
    failing: tuple[Noted, ...]
    converted: tuple[Noted, ...]
    notes: tuple[str, ...]


class DataSheet(Value, frozen=True, kw_only=True):
    """A data set. `shared` are images that are in two splits; `notes` are of the whole."""

    name: str
    created: str
    splits: tuple[SplitSheet, ...]
    shared: tuple[Shared, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetPicture:
    """An image (JPEG) and its mask (PNG of the same size), and the split's classes."""

    split: str | None
    name: str
    image: bytes
    mask: bytes
    labels: Labels


def encode_sheet(sheet: DataSheet) -> object:
    """Turn a sheet into what JSON can hold."""
    return msgspec.to_builtins(sheet)
