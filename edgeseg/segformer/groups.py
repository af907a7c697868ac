"""Groups a graph's nodes by part and role, for recipes and for measuring sensitivity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edgeseg.segformer.arch import Role

__all__ = ["GROUPS", "Group", "find_group"]

STAGES: Final = tuple(f"stage{index}" for index in range(1, 5))
HEAD: Final = "head"
HEAD_ROLES: Final = frozenset({Role.HEAD_PROJ, Role.CLASSIFIER})

_ROLES: Final = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """All nodes of one role in one stage, or in the head."""

    part: str
    role: str

    @property
    def name(self) -> str:
        """The name in recipes and tables: `stage3.ffn_in`, `head.classifier`."""
        return f"{self.part}.{self.role}"


GROUPS: Final = (
    *(Group(stage, role.value) for stage in STAGES for role in Role if role not in HEAD_ROLES),
    *(Group(HEAD, role.value) for role in Role if role in HEAD_ROLES),
)

_PATTERN: Final = re.compile(rf"(?P<part>stage[1-4]|{HEAD})(\.\w+)*?\.(?P<role>\w+)")


def find_group(node: str) -> Group | None:
    """Find a node's group by the name that `edgeseg.export` gives it; None for other nodes.

    OpenVINO's converter appends `/WithoutBiases` where it splits a bias off.
    """
    match = _PATTERN.fullmatch(node.partition("/")[0])
    if match is None or match["role"] not in _ROLES:
        return None
    return Group(match["part"], match["role"])
