"""The wheel, installed alone into an empty environment outside the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import ImageGrab

from edgeseg.bundle.store import Bundle

# Everything that runs on a device. `export` and the modules that join it need more.
COMMANDS = (
    *("export", "run", "verify", "bench", "build"),
    *("calibrate", "inspect", "sources", "doctor"),
)

FOLDERS = ("calibration", "export", "quantize", "runtime")
# The packages that need the workstation's extra; everything else imports with the base install.
WORKSTATION = ("deploy", "export", "quantize", "recovery", "sweep")


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


def _environment(folder: Path, wheel: Path, python: str = sys.executable, extra: str = "") -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([python, "-m", "venv", str(folder)], cwd=folder.parent)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt")]
    _run([*pip, f"{wheel}{extra}"], cwd=folder.parent)
    return folder / "bin"


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
        for pattern in ("**/*.py", "data/**/*", "reports/*.css", "reports/*.jinja", "py.typed")
        for path in (ROOT / "edgeseg").glob(pattern)
        if path.is_file()
    }
    for folder in FOLDERS:
        for pattern in ("*.py", "*.html", "*.css", "*.js", "*.cu", "*.cuh"):
            on_disk |= {f"edgeseg/{p.relative_to(ROOT)}" for p in (ROOT / folder).rglob(pattern)}
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


def test_everything_but_the_workstations_packages_imports(installed: Path, tmp_path: Path) -> None:
    code = "\n".join(f"import {name}" for name in _light_modules())
    code += "\nimport sys; assert not {'torch', 'cv2', 'onnx'} & set(sys.modules)"
    code += f"\nassert not edgeseg.__file__.startswith({str(ROOT)!r})"
    _run([str(installed / "python"), "-c", code], cwd=tmp_path)


def _light_modules() -> list[str]:
    own = ((ROOT / "edgeseg").rglob("*.py"), *((ROOT / top).rglob("*.py") for top in FOLDERS))
    parts = (path.relative_to(ROOT).with_suffix("").parts for paths in own for path in paths)
    names = {(*(() if p[0] == "edgeseg" else ("edgeseg",)), *p) for p in parts}
    light = {name for name in names if name[1] not in (*WORKSTATION, "__main__")}
    return sorted(".".join(name).removesuffix(".__init__") for name in light)


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
        (["verify", str(seeded_bundle.folder), "--report", "r"], "pip install 'edgeseg[report]'"),
        (["export", "--weights", "w.pth"], "pip install 'edgeseg[export]'"),
        (["inspect", "w.pth"], "pip install 'edgeseg[export]'"),
    ):
        result = subprocess.run(
            [edgeseg, *args], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert says in result.stderr
        assert result.stderr.count("\n") == 1


PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# What a Jetson's pip takes: its glibc is 2.35.
AARCH64 = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (35, 34, 31, 28, 27, 26, 24, 17)]


def _python(version: str) -> str:
    """An interpreter of that version: on the path, or pyenv's."""
    named = [
        f"python{version}",
        *map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
    ]
    for python in named:
        with suppress(OSError):
            if subprocess.run([python, "--version"], check=False, capture_output=True).returncode:
                continue
            return python
    return pytest.skip(f"Python {version} is absent")


@pytest.fixture(scope="module")
def openvino_bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from edgeseg.deploy.export import export_bundle
    from edgeseg.deploy.request import ExportRequest

    folder = tmp_path_factory.mktemp("openvino") / "seeded"
    request = ExportRequest(weights=str(checkpoint_folder), target="openvino", folder=folder)
    return export_bundle(request).bundle


@pytest.mark.long
@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_runs_bundles(
    version: str, wheel: Path, tmp_path: Path, seeded_bundle: Bundle, openvino_bundle: Bundle
) -> None:
    """With the newest NumPy and OpenCV there, then with those of JetPack 6's time."""
    installed = _environment(
        tmp_path / "env", wheel, _python(version), extra="[openvino,opencv,preview,video]"
    )
    old = [] if version == "3.13" else ["numpy==1.26.4", "opencv-python-headless==4.8.1.78"]
    for packages in ([], old) if old else ([],):
        if packages:
            _run([str(installed / "pip"), "install", "-q", *packages], cwd=tmp_path)
        listed = _run([str(installed / "pip"), "list", "--format=freeze"], cwd=tmp_path).split()
        shown = ("numpy==", "opencv-", "onnxruntime==", "openvino==", "av==")
        print(version, *(line for line in listed if line.startswith(shown)))  # noqa: T201  # the record
        for bundle in (seeded_bundle, openvino_bundle):
            _assert_segments(installed, tmp_path, bundle)
        args = ["run", "--source", "demo", "--frames", "15", "--save", "a.mp4", "--preview", "0"]
        _run([str(installed / "edgeseg"), *args], cwd=tmp_path)
        _run([str(installed / "edgeseg"), "run", "--source", "a.mp4", "--json"], cwd=tmp_path)


@pytest.mark.long
def test_the_oldest_numpy_runs_bundles(wheel: Path, tmp_path: Path, seeded_bundle: Bundle) -> None:
    installed = _environment(tmp_path / "env", wheel, _python("3.10"))
    _run([str(installed / "pip"), "install", "-q", "numpy==1.21.6"], cwd=tmp_path)
    _assert_segments(installed, tmp_path, seeded_bundle)


@pytest.mark.long
def test_the_oldest_onnxruntime_runs_bundles(
    wheel: Path, tmp_path: Path, seeded_bundle: Bundle
) -> None:
    """The one that pyproject.toml names reads the graph's opset and the attention's operator."""
    (oldest,) = re.findall(r'"onnxruntime>=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    installed = _environment(tmp_path / "env", wheel)
    pip = [str(installed / "pip"), "install", "-q"]
    _run([*pip, f"onnxruntime=={oldest}.*", "numpy<2"], cwd=tmp_path)
    _assert_segments(installed, tmp_path, seeded_bundle)


@pytest.mark.long
@pytest.mark.parametrize("version", PYTHONS)
def test_everything_is_there_for_aarch64(version: str, wheel: Path, tmp_path: Path) -> None:
    """Each Python's own pip resolves it: markers are about the Python that runs pip."""
    _run([_python(version), "-m", "venv", "env"], cwd=tmp_path)
    pip = [str(tmp_path / "env" / "bin" / "pip"), "install", "--dry-run", "--target", "nowhere"]
    constraints = ["-c", str(ROOT / "constraints.txt")]
    what = f"{wheel}[openvino,opencv,preview,video]"
    said = _run([*pip, "--only-binary=:all:", *AARCH64, *constraints, what], cwd=tmp_path)
    would = next(line for line in said.splitlines() if line.startswith("Would install"))
    print(version, would)  # noqa: T201  # the record
    for package in ("onnxruntime", "openvino", "opencv-python-headless", "numpy", "av"):
        assert f" {package}-" in would


@pytest.fixture
def screen() -> Iterator[str]:
    """A display of its own, which nobody sees."""
    if shutil.which("Xvfb") is None:
        pytest.skip("xvfb is absent; run: tools/install-system-packages.sh --long")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with open(read) as told:  # noqa: PTH123  # a descriptor
        yield f":{told.readline().strip()}"
    server.terminate()
    server.wait()


@pytest.mark.long
def test_a_window_shows_the_overlay(wheel: Path, tmp_path: Path, screen: str) -> None:
    """With an OpenCV that has windows, which is not the one that [opencv] brings."""
    installed = _environment(tmp_path / "env", wheel)
    _run([str(installed / "pip"), "install", "-q", "opencv-python"], cwd=tmp_path)
    command = [str(installed / "edgeseg"), "run", "--source", "demo", "--seconds", "60", "--show"]
    environment = {**os.environ, "DISPLAY": screen}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        shown = 0
        deadline = time.monotonic() + 60
        while shown < 1000 and time.monotonic() < deadline:
            time.sleep(0.5)
            grabbed = ImageGrab.grab(xdisplay=screen)
            shown = len(set(grabbed.get_flattened_data()))
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 0, said
    assert "no window" not in said
    assert shown >= 1000  # a street in colors: an empty screen has one, a blank window a few


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
