"""Recipes say which groups are INT8. They have names, and can be written to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edgeseg.errors import SpecError
from edgeseg.segformer.arch import Role
from edgeseg.segformer.groups import GROUPS, Group

__all__ = ["FLOAT", "RECIPES", "Recipe", "read_recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A name and the groups that compute with INT8 operands; every other group is float."""

    name: str
    int8: frozenset[Group]

    def without(self, *groups: Group) -> Recipe:
        """Return a recipe in which these groups are float; its name lists the first three."""
        dropped = [group.name for group in groups]
        more = f" and {len(dropped) - 3} more" if len(dropped) > 3 else ""
        return Recipe(
            name=f"{self.name} without {', '.join(dropped[:3])}{more}",
            int8=self.int8 - set(groups),
        )

    def only(self, roles: frozenset[str]) -> Recipe:
        """Return the part of the recipe that a quantizer of these roles can do."""
        kept = frozenset(group for group in self.int8 if group.role in roles)
        return Recipe(name=self.name, int8=kept)

    @property
    def digest(self) -> str:
        """Hash the groups; the name does not matter."""
        text = ",".join(sorted(group.name for group in self.int8))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _match_groups(*patterns: str) -> frozenset[Group]:
    return frozenset(
        group for group in GROUPS if any(fnmatchcase(group.name, pattern) for pattern in patterns)
    )


_CONV: Final = _match_groups(
    *(f"*.{role.value}" for role in (Role.PATCH_EMBED, Role.SR_CONV, Role.DWCONV)),
    *(f"*.{role.value}" for role in (Role.FFN_IN, Role.FFN_OUT)),
    *(f"head.{role.value}" for role in (Role.HEAD_PROJ, Role.CLASSIFIER)),
)
_LINEAR: Final = _CONV | _match_groups(*(f"*.{r.value}" for r in (Role.Q, Role.KV, Role.ATTN_OUT)))
# The first convolution sees pixels and the classifier makes logits: quantizers that leave nodes
# float leave these first (NNCF, ModelOpt).
_INNER: Final = _LINEAR - _match_groups("stage1.patch_embed", "head.classifier")

FLOAT: Final = Recipe(name="float", int8=frozenset())

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            FLOAT,
            Recipe(name="int8-conv", int8=_CONV),
            Recipe(name="int8-inner", int8=_INNER),
            Recipe(name="int8-linear", int8=_LINEAR),
            Recipe(name="int8-no-softmax", int8=_LINEAR | _match_groups(f"*.{Role.SCORES.value}")),
            Recipe(name="int8-full", int8=frozenset(GROUPS)),
        )
    }
)


# Names of variants that have no recipe.
_FLOATS: Final = frozenset({"float", "fp32", "fp16", "bf16", "fp16-map"})


def read_recipe(name_or_path: str, *, named: Mapping[str, Recipe] = RECIPES) -> Recipe:
    """Read one of a target's named recipes, or a recipe from a JSON file.

        {"name": ..., "int8": ["*.ffn_in", "stage3.q"]}

    Raises:
        SpecError: no such name or file, a pattern that fits no group, or a name that a float
            variant has.
    """
    if name_or_path in named:
        return named[name_or_path]
    path = Path(name_or_path)
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SpecError(
            f"recipe {name_or_path} is neither a file ({error.strerror}) nor one of "
            f"{', '.join(named)}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SpecError(f"recipe {path} is not JSON: {error}") from None
    patterns = content.get("int8") if isinstance(content, dict) else None
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
        raise SpecError(f"{path} has no `int8`, a list of groups such as stage3.ffn_in or *.q")
    for pattern in patterns:
        if not _match_groups(pattern):
            known = ", ".join(group.name for group in GROUPS[:4])
            raise SpecError(f"{path}: {pattern!r} fits no group; groups are {known}, ...")
    return Recipe(
        name=_check_name(content.get("name", path.stem), path), int8=_match_groups(*patterns)
    )


def _check_name(given: object, path: Path) -> str:
    """Check a recipe's name, which a variant will have."""
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise SpecError(f"{path}: the recipe's name is {given!r}; give it one that prints")
    if given.strip().casefold() in _FLOATS:
        raise SpecError(f"{path}: {given} is the name of a float variant; give the recipe another")
    return given
