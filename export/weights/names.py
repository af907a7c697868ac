"""Gives each tensor of a file one dotted name, however the file nests dictionaries and modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from edgeseg.errors import CheckpointError
from edgeseg.export.weights.unpickle import Inert, Stored
from edgeseg.text import to_plain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Leaf", "Names", "gather_names", "join", "read_leaf"]

Leaf: TypeAlias = "Tensor | Stored"

_DEEPEST: Final = 60
_MOST: Final = 200_000  # a pickle may hold a dictionary twice in each of thirty others


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The tensors of a file by name; `groups` names the dictionary or model that holds each.

    `objects` are other values by name, with the name of their class where they stand for one of
    it. `repeated` are names that two tensors have: `a` under `b.c`, and `c.a` under `b`.
    """

    tensors: dict[str, Leaf] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)


def gather_names(content: object, *, origin: str) -> Names:
    """Gather the tensors in nested dictionaries, pickled modules and other inert objects.

    Raises:
        CheckpointError: the file nests deeper, or holds more, than any checkpoint.
    """
    gathering = _Gathering(origin)
    gathering.visit(content, "", "", ())
    return gathering.names


def read_leaf(leaf: Leaf) -> Tensor:
    """Read a tensor's numbers, if they still lie in the file."""
    return leaf.read() if isinstance(leaf, Stored) else leaf


def join(prefix: str, name: str) -> str:
    """Join two parts of a dotted name, of which either may be empty."""
    return f"{prefix}.{name}" if prefix and name else prefix or name


class _Gathering:
    """One walk through a file's content."""

    def __init__(self, origin: str) -> None:
        self.names = Names()
        self._origin, self._visited = origin, 0

    def visit(self, node: object, name: str, group: str, above: tuple[object, ...]) -> None:
        """Visit a value called `name`; `group` holds it, and `above` are the values around it."""
        from torch import Tensor

        if isinstance(node, (Tensor, Stored)):
            self._add(node, name, group)
        elif isinstance(node, Mapping):
            self._descend(node, name, name, (*above, node))
        elif isinstance(node, Inert):
            self.names.objects[name] = node.origin
            inside = bool(above) and isinstance(above[-1], Inert)
            self._visit_object(node, name, group if inside else name, (*above, node))
        elif name and isinstance(node, (tuple, list, type)):
            self.names.objects[name] = ""

    def _visit_object(self, node: Inert, name: str, group: str, above: tuple[object, ...]) -> None:
        """Visit what the state dict of a module would hold, or all attributes of another object."""
        if _read_items(node.state.get("_modules")) is None:
            self._descend(node.state | node.entries, name, group, above)
            return
        for part in ("_parameters", "_buffers", "_modules"):
            self._descend(_read_items(node.state.get(part)) or {}, name, group, above)

    def _descend(
        self, items: Mapping[Any, Any], name: str, group: str, above: tuple[object, ...]
    ) -> None:
        self._visited += len(items)
        if len(above) > _DEEPEST or self._visited > _MOST:
            raise CheckpointError(
                f"{self._origin} nests or repeats more than a checkpoint does; save the weights "
                f"alone: torch.save(model.state_dict(), 'weights.pth')"
            )
        for key, value in items.items():
            if isinstance(key, (str, int)) and not any(value is one for one in above):
                self.visit(value, join(name, to_plain(str(key))), group, above)

    def _add(self, leaf: Leaf, name: str, group: str) -> None:
        if name in self.names.tensors:
            self.names.repeated.add(name)
        self.names.tensors[name] = leaf
        self.names.groups[name] = group


def _read_items(value: object) -> Mapping[Any, Any] | None:
    """Read the items of a dictionary, which may be of a class of its own."""
    if isinstance(value, Inert):
        return value.entries
    return value if isinstance(value, Mapping) else None
