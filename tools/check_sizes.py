"""Fails where a function or a file is larger than what one reads at once. `make lint`."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edgeseg.cli.scripts import check_inputs, run_script

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = (
    *("edgeseg", "export", "quantize", "runtime", "calibration"),
    *("tests", "tools", "benchmarks", "docs"),
)
FUNCTION_LINES: Final = 60
FILE_LINES: Final = 350
PARAMETERS: Final = 8
# The library's face: what a user of Python may say of a verification, an export or a run.
FACE_PARAMETERS: Final = 16

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Print a line for each place that is too large; end with 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "paths", nargs="*", type=Path, help="files; all of the project's by default"
    )
    paths = parser.parse_args().paths
    check_inputs(parser, *paths)
    found = [line for path in paths or list_files() for line in check_file(path)]
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.exit(1 if found else 0)


def list_files() -> list[Path]:
    """The Python files of the project, each once: the links in edgeseg/ are not followed."""
    tops = (ROOT / name for name in FOLDERS)
    return [path for top in tops for path in sorted(top.rglob("*.py")) if not _find_links(path)]


def _find_links(path: Path) -> bool:
    parents = path.relative_to(ROOT).parents
    return any((ROOT / parent).is_symlink() for parent in parents)


def check_file(path: Path) -> Iterator[str]:
    """What is too large in a file, a line each, with the place in front."""
    text = path.read_text("utf-8")
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    lines = len(text.splitlines())
    if lines > FILE_LINES:
        yield f"{name}: {lines} lines; a file has at most {FILE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function):
            yield from _check_function(node, name)


def _check_function(node: Function, name: str) -> Iterator[str]:
    place = f"{name}:{node.lineno}: {node.name}"
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > FUNCTION_LINES:
        yield f"{place} has {lines} lines; a function has at most {FUNCTION_LINES}"
    parameters = count_parameters(node)
    most = _find_limit(name)
    if most is not None and parameters > most:
        yield f"{place} takes {parameters} parameters; a function takes at most {most}"


def count_parameters(node: Function) -> int:
    """Without `self` and `cls`, which their callers do not write."""
    given = node.args
    named = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([each for each in named if each not in {"self", "cls"}])


def _find_limit(name: str) -> int | None:
    """None for the command line: each option of a command is a parameter."""
    if name.startswith("edgeseg/cli/"):
        return None
    return FACE_PARAMETERS if name == "edgeseg/__init__.py" else PARAMETERS


if __name__ == "__main__":
    run_script(main)
