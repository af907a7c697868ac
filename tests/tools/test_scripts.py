"""The scripts of benchmarks/ and tools/ end wrong arguments and failures in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from restreams import find_port

from edgeseg.cli.scripts import run_script
from edgeseg.demo.assets import find_demo_bundle
from edgeseg.errors import BundleError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    pytest.param(path, id=path.name)
    for folder in ("benchmarks", "tools")
    for path in sorted((ROOT / folder).glob("*.py"))
    if "__main__" in path.read_text("utf-8")
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_runs_in_one_line(script: Path) -> None:
    assert script.read_text("utf-8").endswith('if __name__ == "__main__":\n    run_script(main)\n')


def run(script: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / script), *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "args", "status", "says"),
    [
        ("benchmarks/light.py", ["missing"], 1, "no bundle at missing"),
        ("benchmarks/scale.py", ["missing", "demo"], 1, "no bundle or checkpoint at missing"),
        ("benchmarks/start.py", ["missing"], 2, "nothing at missing"),
        ("benchmarks/recovery.py", ["missing", "images"], 2, "nothing at missing"),
        (
            "benchmarks/recovery.py",
            [".", "images", "--minutes", "0"],
            1,
            "--minutes is a finite number above 0; got 0.0",
        ),
        ("benchmarks/rounding.py", [".", "demo", "--contrast", "-3"], 2, "--contrast is a share"),
        ("benchmarks/rounding.py", [".", "demo", "--images", "0"], 1, "--images is a whole number"),
        ("benchmarks/calibration_light.py", ["a", "b", "--images", "0"], 1, "--images is a whole"),
        ("benchmarks/calibration_light.py", ["a", "b", "--target", "rtx"], 2, "invalid choice"),
        ("benchmarks/calibration_light.py", ["a", "/nowhere"], 1, "no checkpoint at a"),
        ("benchmarks/widened.py", ["a", "b", "-o", "c"], 2, "nothing at a"),
        (
            "benchmarks/outliers.py",
            ["a", "b", "--size", "12"],
            2,
            "--size: give HEIGHTxWIDTH in pixels",
        ),
        ("tools/contact_sheet.py", [], 2, "required: picture"),
        ("tools/contact_sheet.py", ["x.txt"], 2, "neither a .jpg nor a .png"),
        ("tools/damaged_bundle.py", ["missing", "out"], 1, "no bundle at missing"),
        ("tools/pack_demo.py", ["missing"], 1, "no checkpoint at missing"),
        ("tools/smoothed_masks.py", ["missing"], 1, "data set missing is no folder"),
        ("tools/street_picture.py", ["missing.mp4"], 2, "missing.mp4 has no frame 105"),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" in value else "",
)
def test_wrong_arguments(
    tmp_path: Path, script: str, args: list[str], status: int, says: str
) -> None:
    done = run(script, *args, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert says in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (BundleError("no bundle at x"), "no bundle at x"),
        (FileNotFoundError(2, "No such file or directory", "x.png"),
         "x.png: No such file or directory"),
        (ModuleNotFoundError("no", name="playwright"), "playwright is not installed; run: pip "),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_an_expected_failure(
    capsys: pytest.CaptureFixture[str], failure: Exception, says: str
) -> None:
    def main() -> None:
        raise failure

    with pytest.raises(SystemExit) as end:
        run_script(main)
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_the_python_of_the_check_of_aarch64_runs(tmp_path: Path) -> None:
    """On this machine; under qemu the script replays the same bundle, and runs smaller ones."""
    text = (ROOT / "tools" / "check_aarch64.sh").read_text("utf-8")
    replay, live = re.findall(r"<<'PY'\n(.*?)\nPY\n", text, re.DOTALL)
    bundle = str(find_demo_bundle())
    command = [sys.executable, "-c", replay, bundle]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  passed: golden/frame_0.png pixel agreement " in done.stdout
    address = f"127.0.0.1:{find_port()}"
    command = [sys.executable, "-c", live, bundle, str(tmp_path / "lines.jsonl"), address]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert "  /snapshot: image/jpeg, " in done.stdout


def test_a_bug_keeps_its_traceback() -> None:
    def main() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_script(main)
