from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from conftest import ROOT

ROOMS = ("calibration", "export", "quantize", "runtime")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_at_the_root_is_a_package_of_edgeseg(room: str) -> None:
    link = ROOT / "edgeseg" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..") / room
    module = importlib.import_module(f"edgeseg.{room}")
    assert Path(str(module.__file__)).resolve().parent == ROOT / room
    assert room not in sys.modules


def test_every_package_on_disk_is_listed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(config["tool"]["setuptools"]["packages"])
    own = (ROOT / "edgeseg").glob("*/__init__.py")
    found = {"edgeseg", *(f"edgeseg.{i.parent.name}" for i in own if not i.parent.is_symlink())}
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            found.add(".".join(("edgeseg", *init.parent.relative_to(ROOT).parts)))
    assert listed == found
    folders = {p.parent for room in ROOMS for p in (ROOT / room).rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "sys.argv = ['edgeseg', '--help']\n"
        "from edgeseg.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    loaded = set(result.stdout.split())
    heavy = {"numpy", "torch", "onnx", "onnxruntime", "cv2", "PIL", "transformers", "msgspec"}
    assert not loaded & heavy
    assert "typer" in loaded
