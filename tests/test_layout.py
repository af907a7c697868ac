from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib
from conftest import ROOT

ROOTS = ("calibration", "export", "quantize", "runtime")


@pytest.mark.parametrize("folder", ROOTS)
def test_a_folder_at_the_root_is_a_package_of_edgeseg(folder: str) -> None:
    link = ROOT / "edgeseg" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("..") / folder
    module = importlib.import_module(f"edgeseg.{folder}")
    assert Path(str(module.__file__)).resolve().parent == ROOT / folder
    assert folder not in sys.modules


def test_every_package_on_disk_is_listed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(config["tool"]["setuptools"]["packages"])
    own = [p for p in (ROOT / "edgeseg").iterdir() if p.is_dir() and not p.is_symlink()]
    folders = {p.parent for top in (*own, *map(ROOT.joinpath, ROOTS)) for p in top.rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
    parts = (folder.relative_to(ROOT).parts for folder in folders)
    names = {".".join(("edgeseg", *(part[1:] if part[0] == "edgeseg" else part))) for part in parts}
    assert listed == {"edgeseg", *names}


def test_the_top_of_the_package_is_short() -> None:
    assert len(list((ROOT / "edgeseg").glob("*.py"))) <= 12
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers, *_ = (c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    assert len(layers["layers"]) <= 12


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib, io\n"
        "sys.argv = ['edgeseg', '--help']\n"
        "from edgeseg.cli.main import main\n"
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
