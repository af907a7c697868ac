"""The figures of the structure see what they are there to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from structure import main


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        "edgeseg/__init__.py": "",
        "edgeseg/top.py": "from edgeseg.low import thing\n",
        "edgeseg/low/__init__.py": "",
        "edgeseg/low/a.py": "def f():\n    from edgeseg.low import b\n",
        "edgeseg/low/b.py": "import edgeseg.low.c\n",
        "edgeseg/low/c.py": "from edgeseg.low.a import f\n\ndef g(a, b, c, d, e, f): ...\n",
        "export/__init__.py": "",
        "export/net.py": "import torch\nfrom edgeseg import top\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "edgeseg" / "export").symlink_to(Path("..") / "export")
    return tmp_path


def test_circles_imports_and_functions_are_counted(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["structure.py", str(tree)])
    main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["modules"] == 8
    assert figures["modules at the top"] == 2
    assert figures["circles of files"] == [[f"edgeseg.low.{name}" for name in "abc"]]
    assert figures["imports between packages"] == 2
    assert figures["functions"] == 2
    assert figures["functions with over 5 parameters"] == 1
