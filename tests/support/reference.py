"""What the Python page of the docs shows, and what its docstrings leave out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

import griffe
from conftest import ROOT

PAGE: Final = ROOT / "docs" / "reference" / "python.md"
# Types of arrays, by the names that signatures have for them.
_ARRAYS: Final = re.compile(r"\b(Bgr|Frame|Logits|Planes|ClassMap|Output|Confusion|NDArray)\b")
_SHAPE: Final = re.compile(r"\(\w[^()]*, ?\w[^()]*\)|\(\w+,\)")
_DTYPE: Final = re.compile(r"\b(u?int(8|16|32|64)|float(32|64)|bool)\b")
_NUMBER: Final = re.compile(r"\b(int|float)\b")
_UNIT_IN_NAME: Final = re.compile(r"_(ms|s|mb|px|bytes)$")
_UNIT: Final = re.compile(
    r"\b(points|percent|pixels|share|seconds|milliseconds|MB|bytes|ids?|0\.\.1|0 to 1|0 to 255"
    r"|times|counts?|number|how many|frames|images|threads|schema|classes|ratio"
    r"|parameters|multiply-adds|cores|attempts|index|units?|dimensions)\b|%"
)


def objects() -> list[griffe.Object]:
    """Every function, class, method and property on the page."""
    package = griffe.load("edgeseg", search_paths=[ROOT])
    named = re.findall(r"^::: ([\w.]+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    found: dict[str, griffe.Object] = {}
    for name in named:
        one = package[name.partition(".")[2]]
        found |= {part.path: part for part in _shown(one.final_target if one.is_alias else one)}
    return list(found.values())


def _shown(one: griffe.Object) -> Iterator[griffe.Object]:
    if not one.is_module:
        yield one
    for name, member in one.members.items():
        if member.is_alias or (name.startswith("_") and not member.is_module):
            continue
        if one.is_module and one.exports is not None and name not in {str(e) for e in one.exports}:
            continue
        if member.is_class or member.is_function or "property" in member.labels:
            yield from _shown(member)


def faults(one: griffe.Object) -> list[str]:
    """What a reader of its docstring would miss."""
    text = one.docstring.value if one.docstring else ""
    typed = _typed(one)
    missing = [] if text else ["a docstring"]
    if any(_ARRAYS.search(kind) for kind in typed.values()):
        missing += [] if _SHAPE.search(text) else ["the shape of its arrays"]
        missing += [] if _DTYPE.search(text) else ["the dtype of its arrays"]
    numbers = [
        name
        for name, kind in typed.items()
        if _NUMBER.search(kind) and not _ARRAYS.search(kind) and not _UNIT_IN_NAME.search(name)
    ]
    if numbers and not _UNIT.search(text):
        missing.append(f"the unit of {', '.join(numbers)}")
    named = text.partition("Raises")[2]
    missing += [f"Raises: {error}" for error in sorted(_raised(one)) if error not in named]
    return missing


def _typed(one: griffe.Object) -> dict[str, str]:
    """What goes in and comes out, by name, as it is written."""
    if one.is_function:
        typed = {p.name: str(p.annotation) for p in one.parameters if p.annotation is not None}
        return typed | {"the result": str(one.returns)}
    if one.is_class:
        return {
            name: str(part.annotation)
            for name, part in one.members.items()
            if part.is_attribute and "property" not in part.labels and part.annotation is not None
        }
    return {"the result": str(one.annotation)}


def _raised(one: griffe.Object) -> set[str]:
    """The errors of edgeseg that its own body raises."""
    if not (one.is_function or "property" in one.labels):
        return set()
    tree = ast.parse(dedent(one.source))
    raises = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return {
        call.func.id
        for call in raises
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
