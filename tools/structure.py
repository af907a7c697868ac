"""Prints figures of the source tree as JSON: modules, imports between packages, circles, sizes.

python tools/structure.py              # this checkout
python tools/structure.py OTHER        # another one, to compare
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from check_sizes import Function, count_parameters

from edgeseg.cli.scripts import check_inputs, run_script

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = ("edgeseg", "export", "quantize", "runtime", "calibration")
PACKAGE: Final = "edgeseg"

Imports = Mapping[str, frozenset[str]]


def main() -> None:
    """Print the figures of one checkout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=ROOT)
    root = parser.parse_args().root
    check_inputs(parser, root / PACKAGE)
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in find_modules(root).items()}
    imports = {name: frozenset(find_imports(tree, trees)) for name, tree in trees.items()}
    figures = {
        "modules": len(trees),
        "modules at the top": len(list((root / PACKAGE).glob("*.py"))),
        "imports between packages": len(join_packages(imports)),
        "circles of files": find_circles(imports),
        **measure_functions(trees),
    }
    print(json.dumps(figures, indent=2))


def find_modules(root: Path) -> dict[str, Path]:
    """Each source file by the name that it is imported by; links are not followed."""
    found = {}
    for top in FOLDERS:
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if any((root / parent).is_symlink() for parent in path.relative_to(root).parents):
                continue
            name = ".".join(parts if top == PACKAGE else (PACKAGE, *parts))
            found[name.removesuffix(".__init__")] = path
    return found


def find_imports(tree: ast.Module, known: Mapping[str, ast.Module]) -> Iterator[str]:
    """The project's own modules that one imports, wherever in the file the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in known else node.module for name in inner)


def join_packages(imports: Imports) -> set[tuple[str, str]]:
    """Pairs of packages, or of modules at the top, of which the first imports the second."""
    pairs = ((_package_of(a), _package_of(b)) for a, names in imports.items() for b in names)
    return {(a, b) for a, b in pairs if a != b}


def _package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def find_circles(imports: Imports) -> list[list[str]]:
    """The groups of files that import each other in a circle."""
    reached = {name: _reach(name, imports) for name in imports}
    groups = {
        tuple(sorted(b for b in reached[a] if a in reached[b])) for a in imports if a in reached[a]
    }
    return sorted(map(list, groups))


def _reach(start: str, imports: Imports) -> set[str]:
    """All modules that one imports, by way of others or not."""
    seen: set[str] = set()
    left = list(imports[start])
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += imports[name]
    return seen


def measure_functions(trees: Mapping[str, ast.Module]) -> dict[str, int]:
    """How many functions there are, and how many are large; parameters without the command line."""
    found = [
        (name, node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]
    lines = [(node.end_lineno or node.lineno) - node.lineno + 1 for _, node in found]
    commands = (f"{PACKAGE}.cli", f"{PACKAGE}.commands")
    taken = [count_parameters(node) for name, node in found if not name.startswith(commands)]
    return {
        "functions": len(found),
        "functions over 40 lines": sum(n > 40 for n in lines),
        "functions over 60 lines": sum(n > 60 for n in lines),
        "longest function": max(lines),
        "functions with over 5 parameters": sum(n > 5 for n in taken),
        "functions with over 8 parameters": sum(n > 8 for n in taken),
        "most parameters": max(taken),
    }


if __name__ == "__main__":
    run_script(main)
