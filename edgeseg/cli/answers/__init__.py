"""The results of each command: lines for people, one JSON object for machines."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Json"]

Json = Mapping[str, object]
