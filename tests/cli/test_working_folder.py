"""What lies in the working folder is data: no module there is ever executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Of the standard library, of what edgeseg imports, and edgeseg's own rooms.
NAMES = ("typing", "json", "signal", "numpy", "msgspec", "typer", "onnxruntime", "PIL", "runtime")


@pytest.mark.parametrize("safe", [False, True])
def test_python_m_edgeseg_executes_nothing_of_it(tmp_path: Path, safe: bool) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("import sys\nsys.exit('executed: ' + __name__)\n")
    done = subprocess.run(
        [sys.executable, *(["-I"] if safe else []), "-m", "edgeseg", "doctor", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "executed" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert '"onnxruntime"' in done.stdout
