"""A target is a row and two modules, and nothing else compares its name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

from edgeseg.errors import BackendError
from edgeseg.quantize.targets.maker import Maker, load_maker
from edgeseg.runtime.backends.backend import Runner, load_runner
from edgeseg.targets import DEFAULT_TARGET, TARGETS, find_target, refuse_precision

FOLDERS = ("calibration", "edgeseg", "export", "quantize", "runtime")
# The row's own module, and the folders of the two modules that a row names.
ALLOWED = ("edgeseg/targets.py", "quantize/targets/", "runtime/backends/")


def sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [p for p in found if not p.relative_to(ROOT).as_posix().startswith(ALLOWED)]


def compared(code: str) -> Iterator[tuple[int, str]]:
    """Lines that compare something with a target's name, and the name."""
    for node in ast.walk(ast.parse(code)):
        sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        values = [node.value] if isinstance(node, ast.MatchValue) else sides
        for value in values:
            for one in getattr(value, "elts", [value]):
                if isinstance(one, ast.Constant) and one.value in TARGETS:
                    yield one.lineno, str(one.value)


@pytest.mark.parametrize(
    "code",
    [
        'x == "jetson"',
        '"openvino" != bundle.target',
        'x in {"onnxruntime", "openvino"}',
        'match x:\n    case "jetson" | "rtx":\n        pass',
    ],
)
def test_a_comparison_is_found(code: str) -> None:
    assert list(compared(code))


def test_no_module_but_its_own_compares_a_targets_name() -> None:
    paths = sources()
    assert len(paths) > 200
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in paths
        for line, name in compared(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seam", [Maker, Runner])
def test_the_modules_of_a_row_have_what_the_seam_asks_for(name: str, seam: type) -> None:
    module = load_maker(name) if seam is Maker else load_runner(name)
    assert isinstance(module, ModuleType)
    asked = dict(inspect.getmembers(seam, inspect.isfunction))
    methods = {key: method for key, method in asked.items() if not key.startswith("_")}
    assert methods
    for key, method in methods.items():
        _self, *wanted = inspect.signature(method).parameters.values()
        given = inspect.signature(getattr(module, key)).parameters.values()
        assert [(p.name, p.kind) for p in given] == [(p.name, p.kind) for p in wanted], key


@pytest.mark.parametrize("name", TARGETS)
def test_a_row_is_in_order(name: str) -> None:
    row = find_target(name)
    assert row.name == name
    assert refuse_precision(row, "auto") is None
    assert set(row.precisions) <= {"fp32", "fp16", "int8"}
    assert "float" in load_maker(name).RECIPES
    assert load_maker(name).float_types()[0] == "f32"
    missing = {"fp32", "fp16", "int8"} - set(row.precisions)
    assert bool(missing) == bool(row.limitation)
    assert {refuse_precision(row, precision) for precision in missing} <= {row.limitation}


def test_rows_are_told_apart() -> None:
    assert DEFAULT_TARGET in TARGETS
    assert len({row.color for row in TARGETS.values()}) == len(TARGETS)
    words = [word for row in TARGETS.values() for word in (row.name, *row.synonyms.split())]
    assert len(set(words)) == len(words)


def test_an_unknown_target_is_refused_in_one_line() -> None:
    with pytest.raises(BackendError) as caught:
        find_target("abacus")
    assert str(caught.value) == (
        "edgeseg has no target abacus, only onnxruntime, openvino, jetson and rtx; if a newer "
        "edgeseg made the bundle, run: pip install --upgrade edgeseg"
    )
