"""Functions are verbs, and words have one spelling: what CONTRIBUTING.md asks, held by a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

LIBRARY = ("edgeseg", "export", "quantize", "runtime", "calibration", "benchmarks", "tools")

# Past participles that functions were named by: a reader could not tell an act from its result.
PARTICIPLES = frozenset(
    {
        "aligned",
        "annotated",
        "asked",
        "built",
        "called",
        "checked",
        "chosen",
        "claimed",
        "combined",
        "compared",
        "configured",
        "confirmed",
        "connected",
        "counted",
        "described",
        "drawn",
        "emulated",
        "encoded",
        "expanded",
        "fetched",
        "folded",
        "gathered",
        "given",
        "guarded",
        "held",
        "installed",
        "interrupted",
        "joined",
        "judged",
        "kept",
        "known",
        "lasting",
        "limited",
        "listed",
        "located",
        "loaded",
        "locked",
        "made",
        "matched",
        "measured",
        "moved",
        "noted",
        "opened",
        "packaged",
        "painted",
        "pinned",
        "proved",
        "ranked",
        "recalled",
        "reduced",
        "refused",
        "remembered",
        "rendered",
        "running",
        "scrubbed",
        "searched",
        "shifted",
        "shipped",
        "shortened",
        "shown",
        "signed",
        "staged",
        "swapped",
        "swept",
        "tapped",
        "terminated",
        "timed",
        "told",
        "turned",
        "unseen",
        "unwrapped",
        "watched",
        "widened",
        "written",
    }
)

# British spellings, and metaphors for packages and modules.
WORDS = re.compile(r"(?i)\b(colours?|licences?|grey|neighbours?|rooms?|houses?)\b")

# Lines that may hold such a word, by what stands in them.
ALLOWED = (
    '"colour"',  # a key of the preview's /info, which is served to others
    "colour: color",  # where the page reads that key
)


def functions() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for top in LIBRARY:
        for path in sorted((ROOT / top).rglob("*.py")):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    yield path, node


def is_value(function: ast.FunctionDef) -> bool:
    """Whether it is read like an attribute, whose name is a noun or an adjective."""
    return any("property" in ast.unparse(one) for one in function.decorator_list)


def test_no_function_is_named_by_a_past_participle() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path, function in functions()
        if not is_value(function) and function.name.strip("_").split("_")[0] in PARTICIPLES
    ]
    assert not named


def texts() -> Iterator[Path]:
    for top in (*LIBRARY, "docs"):
        for path in sorted((ROOT / top).rglob("*")):
            linked = any(parent.is_symlink() for parent in (path, *path.parents))
            if path.suffix in {".py", ".md", ".js", ".html", ".css", ".jinja"} and not linked:
                yield path
    yield ROOT / "README.md"


def test_words_are_american_and_modules_are_no_rooms() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {word}"
        for path in texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if not any(allowed in line for allowed in ALLOWED)
        for word in WORDS.findall(line)
    ]
    assert not found
