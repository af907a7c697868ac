"""The values of `--target`, made from the rows in `edgeseg.targets`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from edgeseg.targets import DEFAULT_TARGET, TARGETS

__all__ = ["DEFAULT", "Target"]

if TYPE_CHECKING:

    class Target(str, Enum):
        """A target, for type checkers: they cannot follow members made from rows."""

else:
    Target = Enum("Target", {name: name for name in TARGETS}, type=str)

DEFAULT: Final = Target(DEFAULT_TARGET)
