"""Times and turns of clips with other versions of OpenCV than the one that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ("av", "hypothesis", "msgspec", "numpy==1.26.4", "pillow", "pytest", "typer")


@pytest.mark.long
# 4.5: no stamps at the end of a clip with B-frames; 4.6.0: the wrong way around; 4.8: JetPack 6's.
@pytest.mark.parametrize("version", ["4.5.5.64", "4.6.0.66", "4.8.1.78"])
def test_clips_with_another_opencv(version: str, tmp_path: Path) -> None:
    if sys.version_info >= (3, 13):
        pytest.skip("NumPy 1.26, which these versions need, is not made for Python 3.13")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--only-binary=:all:"]
    subprocess.run([*pip, f"opencv-python-headless=={version}", *NEEDED], check=True)
    tests = [
        ROOT / "tests" / "runtime" / "sources" / name
        for name in ("test_times.py", "test_turned.py")
    ]
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", *tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
