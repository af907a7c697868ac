"""Reads plain values from a configuration that is Python text, without running it.

mmsegmentation keeps the configuration that a model was trained with inside its checkpoints, as
text: `crop_size = (512, 512)`, `model = dict(type='EncoderDecoder', backbone=dict(...))`. This
module reads constants, tuples, lists and dictionaries. Every other value becomes `UNREAD`: without
it, a value that cannot be read would be mistaken for an absent one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

__all__ = ["UNREAD", "read_assignments"]


class _Unread:
    """Stands for a value that is not plain."""

    def __repr__(self) -> str:
        return "what edgeseg cannot read without running it"


UNREAD: Final = _Unread()

# Characters. Configurations have some 10,000; parsing takes many times the text's memory.
_LONGEST: Final = 1 << 20


def read_assignments(text: str) -> Mapping[str, object]:
    """Read the value assigned to each name at the top level; nothing where `text` is not Python.

    Lists stay lists and tuples stay tuples; `dict(a=1)` and `{"a": 1}` become dictionaries.
    """
    if len(text) > _LONGEST:
        return {}
    try:
        module = ast.parse(text)
        found: dict[str, object] = {}
        for statement in module.body:
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if isinstance(target, ast.Name):
                    found[target.id] = _read_value(statement.value, found)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    return found


def _read_value(node: ast.expr, names: Mapping[str, object]) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id, UNREAD)
    if isinstance(node, ast.List):
        return [_read_value(one, names) for one in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_read_value(one, names) for one in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _read_value(node.operand, names)
        return -number if isinstance(number, (int, float)) else UNREAD
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {
            key.value: _read_value(one, names)
            for key, one in pairs
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {word.arg: _read_value(word.value, names) for word in node.keywords if word.arg}
    return UNREAD
