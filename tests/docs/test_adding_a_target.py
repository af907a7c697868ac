"""docs/adding-a-target.md adds a target to a copy of edgeseg, and every command knows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest
from conftest import ROOT
from outcome import Outcome
from small import write_street

from edgeseg.bundle.store import Bundle

PAGE = ROOT / "docs" / "adding-a-target.md"
BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
BLOCKS = dict(BLOCK.findall(PAGE.read_text("utf-8")))
# Of any kind of truth: the network is of random weights.
LENIENT = ("--max-drop", 60, "--max-class-drop", 100)
# The block that is a row; every other one is a new module.
ROW = "edgeseg/targets.py"

# Runs commands one after another in one process, and tells what each came to.
DRIVER = """
import contextlib, io, json, sys
from edgeseg.cli.main import run_command
told = []
for words in json.loads(sys.argv[1]):
    out, err, status = io.StringIO(), io.StringIO(), 0
    sys.argv = ["edgeseg", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            run_command()
        except SystemExit as end:
            status = int(end.code or 0)
    told.append({"status": status, "out": out.getvalue(), "err": err.getvalue()})
print(json.dumps(told))
"""
COLOR = """
import sys
from edgeseg.sweep.picture import draw_pareto
from edgeseg.sweep.results import Row
row = Row(name="a", weights="w", target="pretend", precision="int8", status="passed", miou=40.0,
          latency_ms=1.0)
print(draw_pareto([row]))
"""


def with_row(module: str, row: str) -> str:
    """The module of the rows with one more."""
    head, tuple_, rest = module.partition("_ROWS: Final = (\n")
    assert tuple_
    return f"{head}{tuple_}{indent(row.rstrip(), '    ')},\n{rest}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of edgeseg with the page's code in it, and the engine beside it."""
    root = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("calibration", "edgeseg", "export", "quantize", "runtime"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=ignored)
    for name, code in BLOCKS.items():
        (root / name).write_text(with_row((root / name).read_text(), code) if name == ROW else code)
    shutil.copy(ROOT / "tests" / "support" / "pretend_engine.py", root)
    about = root / "pretend_engine-1.0.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: pretend-engine\nVersion: 1.0\n")
    return root


def python(tree: Path, folder: Path, code: str, *arguments: str) -> str:
    """What a program prints that has the copy for its edgeseg."""
    paths = os.pathsep.join([str(tree), os.environ["PYTHONPATH"]])
    environment = os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(tree / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def outcomes(
    tree: Path,
    checkpoint_folder: Path,
    seeded_bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Outcome]:
    """Of every command, on a bundle for the new target."""
    folder = tmp_path_factory.mktemp("work")
    street = write_street(folder / "street", seeded_bundle, train=4)
    export = ("export", "--weights", checkpoint_folder, "--target", "pretend")
    data = ("--data", street, "--split", "test")
    commands: dict[str, tuple[object, ...]] = {
        "export": (
            *(*export, "--int8", "--recipe", "int8-linear", *data, *LENIENT),
            *("-o", "bundle", "--json"),
        ),
        "inspect": ("inspect", "bundle", "--json"),
        "build": ("build", "bundle", "--json"),
        "run": ("run", "bundle", "--source", "demo", "--frames", 2, "--no-show", "--json"),
        "bench": ("bench", "bundle", "--frames", 2, "--json"),
        "verify": ("verify", "bundle", *data, *LENIENT, "--json"),
        "doctor": ("doctor", "--json"),
        "fp16": (*export, "--fp16"),
        "slip": ("export", "--target", "make-believe"),
    }
    words = json.dumps([[str(word) for word in command] for command in commands.values()])
    told = json.loads(python(tree, folder, DRIVER, words))
    return {name: Outcome(**one) for name, one in zip(commands, told, strict=True)}


@pytest.mark.parametrize("command", ["export", "inspect", "build", "run", "bench", "verify"])
def test_every_command_takes_the_new_target(outcomes: dict[str, Outcome], command: str) -> None:
    assert outcomes[command].status == 0, outcomes[command].err


def test_the_export_proves_int8_on_the_new_engine(outcomes: dict[str, Outcome]) -> None:
    exported = outcomes["export"].json
    assert exported["chosen"]["file"] == "int8.pretend"
    assert outcomes["inspect"].json["target"] == "pretend"
    variants = {one["name"]: one for one in outcomes["inspect"].json["variants"]}
    assert set(variants) == {"fp32", "int8-linear"}
    assert variants["fp32"]["file"] == "model.pretend"
    assert variants["int8-linear"]["int8_share"] > 0.5
    assert variants["int8-linear"]["gate"]["images"] == 5
    assert outcomes["inspect"].json["tools"]["pretend-engine"] == "1.0"


def test_the_new_engine_runs_times_and_verifies(outcomes: dict[str, Outcome]) -> None:
    assert {one["fault"] for one in outcomes["build"].json["variants"]} == {None}
    assert outcomes["run"].json["backend"].startswith("pretend-engine 1.0 (threads: ")
    (timed,) = outcomes["bench"].json["results"]
    assert timed["peak_rss_mb"] > 10
    assert outcomes["verify"].json["passed"] is True


def test_the_doctor_and_the_usage_know_the_new_target(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["doctor"].json["engines"]["pretend-engine"] == "1.0"
    assert "engine pretend-engine: 1.0" in outcomes["doctor"].err
    assert outcomes["fp16"].status == 2
    assert "the pretend engine has no 16-bit floats" in outcomes["fp16"].err
    assert "did you mean pretend?" in outcomes["slip"].err


def test_the_sweep_draws_the_new_target_in_its_color(tree: Path, tmp_path: Path) -> None:
    assert "#7b3294" in python(tree, tmp_path, COLOR)
