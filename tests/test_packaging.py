"""The wheel, installed alone into an empty environment outside the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from test_cli import COMMANDS

from edgeseg.bundle import Bundle

# Everything that runs on a device. `export` and the modules that join it need more.
RUNTIME = [
    "accuracy",
    "bench",
    "bundle",
    "cache",
    "calibration.choose",
    "calibration.gather",
    "calibration.observe",
    "calibration.ranges",
    "calibration.sets",
    "cli",
    "costs",
    "datasets",
    "demo",
    "demo.assets",
    "doctor",
    "errors",
    "files",
    "gates",
    "images",
    "labels",
    "manifest",
    "metrics",
    "packages",
    "pixels",
    "progress",
    "runtime",
    "runtime.backend",
    "runtime.backends.openvino",
    "runtime.backends.ort",
    "runtime.backends.trt",
    "runtime.build",
    "runtime.channel",
    "runtime.cuda",
    "runtime.device",
    "runtime.engines",
    "runtime.live",
    "runtime.machine",
    "runtime.opencv",
    "runtime.overlay",
    "runtime.pipeline",
    "runtime.segmenter",
    "runtime.sinks.jsonl",
    "runtime.sinks.masks",
    "runtime.sinks.outputs",
    "runtime.sinks.sink",
    "runtime.sinks.truth",
    "runtime.sinks.video",
    "runtime.sources",
    "runtime.timing",
    "spec",
    "summaries",
    "verify",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # From a copy: setuptools leaves build/ and *.egg-info beside what it builds.
    source = out / "source"
    ignored = shutil.ignore_patterns(".*", "out", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignored)
    _run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)], cwd=out)
    (built,) = out.glob("*.whl")
    return built


def _environment(folder: Path, wheel: Path, python: str | None = None) -> Path:
    if python is None:
        venv.create(folder, with_pip=True)
    else:
        _run([python, "-m", "venv", str(folder)], cwd=folder.parent)
    bin_folder = folder / "bin"
    constraints = str(ROOT / "constraints.txt")
    _run(
        [str(bin_folder / "pip"), "install", "-q", "-c", constraints, str(wheel)], cwd=folder.parent
    )
    return bin_folder


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the base install."""
    return _environment(tmp_path_factory.mktemp("base") / "env", wheel)


def test_the_wheel_holds_edgeseg_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgeseg"}
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("**/*.py", "data/**/*", "py.typed")
        for path in (ROOT / "edgeseg").glob(pattern)
        if path.is_file()
    }
    for room in ("calibration", "export", "quantize", "runtime"):
        on_disk |= {f"edgeseg/{p.relative_to(ROOT)}" for p in (ROOT / room).rglob("*.py")}
    assert {name for name in names if name.startswith("edgeseg/")} == on_disk


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 20e6


def test_the_packaged_demo_runs_without_anything(installed: Path, tmp_path: Path) -> None:
    """In an empty folder, with the base install alone: bundle and scenes come with edgeseg."""
    edgeseg = str(installed / "edgeseg")
    args = ["run", "--source", "demo", "--frames", "5", "--json"]
    summary = json.loads(_run([edgeseg, *args], cwd=tmp_path))
    assert summary["frames"] == 5
    assert summary["miou"] > 70
    assert not list(tmp_path.iterdir())


def test_the_base_install_has_no_torch_and_no_opencv(installed: Path, tmp_path: Path) -> None:
    listed = _run([str(installed / "pip"), "list", "--format=freeze"], cwd=tmp_path).lower()
    packages = {line.split("==")[0] for line in listed.splitlines()}
    assert "onnxruntime" in packages
    assert not {name for name in packages if "torch" in name or "opencv" in name or name == "onnx"}


def test_every_runtime_module_imports(installed: Path, tmp_path: Path) -> None:
    code = "\n".join(f"import edgeseg.{name}" for name in RUNTIME)
    code += "\nimport sys; assert not {'torch', 'cv2', 'onnx'} & set(sys.modules)"
    code += f"\nassert not edgeseg.__file__.startswith({str(ROOT)!r})"
    _run([str(installed / "python"), "-c", code], cwd=tmp_path)


def test_the_list_above_is_complete() -> None:
    needs_more = {
        *("__main__", "asking", "assembly", "choice", "deploy", "evidence", "request", "variants")
    }
    modules = {p.stem for p in (ROOT / "edgeseg").glob("*.py")} - {"__init__"} - needs_more
    for path in (ROOT / "runtime").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules.add(".".join(parts if parts[-1] != "__init__" else parts[:-1]))
    covered = {*RUNTIME, "runtime.backends", "runtime.sinks"}
    assert modules - covered == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_help(installed: Path, tmp_path: Path, command: str) -> None:
    assert "Usage" in _run([str(installed / "edgeseg"), command, "--help"], cwd=tmp_path)


def test_a_bundle_segments_an_image(installed: Path, tmp_path: Path, seeded_bundle: Bundle) -> None:
    _assert_segments(installed, tmp_path, seeded_bundle)


def test_what_is_missing_is_named_with_the_remedy(
    installed: Path, tmp_path: Path, seeded_bundle: Bundle
) -> None:
    edgeseg = str(installed / "edgeseg")
    for args, says in (
        (["run", str(seeded_bundle.folder), "--camera", "0"], "pip install 'edgeseg[opencv]'"),
        (["export", "--weights", "w.pth"], "pip install 'edgeseg[export]'"),
        (["inspect", "w.pth"], "pip install 'edgeseg[export]'"),
    ):
        result = subprocess.run(
            [edgeseg, *args], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert says in result.stderr
        assert result.stderr.count("\n") == 1


@pytest.mark.long
@pytest.mark.parametrize("python", ["python3.10", "python3.12", "python3.13"])
def test_other_pythons_run_bundles(
    python: str, wheel: Path, tmp_path: Path, seeded_bundle: Bundle
) -> None:
    probe = subprocess.run([python, "--version"], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip(f"{python} is absent")
    installed = _environment(tmp_path / "env", wheel, python)
    _assert_segments(installed, tmp_path, seeded_bundle)
    if python == "python3.10":  # JetPack 6: its OpenCV needs NumPy 1
        _run([str(installed / "pip"), "install", "-q", "numpy==1.21.6"], cwd=tmp_path)
        _assert_segments(installed, tmp_path, seeded_bundle)


def _assert_segments(installed: Path, tmp_path: Path, bundle: Bundle) -> None:
    edgeseg = str(installed / "edgeseg")
    _run([edgeseg, "verify", str(bundle.folder)], cwd=tmp_path)
    frame = str(bundle.path(bundle.manifest.golden[0].frame))
    _run([edgeseg, "run", str(bundle.folder), "--source", frame, "--masks", "m"], cwd=tmp_path)
    assert (tmp_path / "m" / "frame_0.png").exists()


def _run(command: list[str], *, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
