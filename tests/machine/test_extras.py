"""What an installation lacks is told at once, before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeseg.cli.answers.doctor import describe_findings
from edgeseg.cli.examination import examine
from edgeseg.machine.extras import EXTRAS
from edgeseg.machine.packages import find_version

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of any extra is installed."""
    lacking = {module for extra in EXTRAS.values() for module in extra.packages}
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, package=None: None if name in lacking else find(name, package),
    )


def test_the_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = declared["optional-dependencies"]
    assert EXTRAS.keys() == declared.keys() - {"dev"}
    for name, extra in EXTRAS.items():
        named = {re.split(r"[\[>=;]", line)[0].lower() for line in declared[name]} - {"edgeseg"}
        known = {package.lower() for package in extra.names}
        alike = {"opencv": "opencv-python-headless"}
        assert {name.replace("_", "-") for name in named} == {alike.get(p, p) for p in known}


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("words", "packages", "extras"),
    [
        (
            "run b --camera 0 --save o.mp4 --preview",
            "OpenCV, av, uvicorn, starlette and prometheus-client",
            "opencv,video,preview",
        ),
        ("verify b --report r --dask tcp://h:1", "jinja2, distributed and universal-pathlib",
         "report,dask"),
        ("export --weights w.pth", "torch, onnx, safetensors, huggingface-hub and nncf", "export"),
        ("sweep --weights w.pth --data d",
         "torch, onnx, safetensors, huggingface-hub, nncf and jinja2", "export,report"),
    ],
)  # fmt: skip
def test_all_that_is_missing_is_told_at_once(
    edgeseg, words: str, packages: str, extras: str
) -> None:
    outcome = edgeseg(*words.split())
    assert outcome.status == 1
    (line,) = outcome.err.splitlines()
    assert f" needs {packages}, not installed here; " in line
    assert line.endswith(f"run: pip install 'edgeseg[{extras}]' -c constraints.txt")


@pytest.mark.usefixtures("bare")
def test_doctor_lists_what_can_be_done_and_what_not() -> None:
    first, *lines = describe_findings(examine())
    assert first.startswith(f"edgeseg {find_version('edgeseg')}, Python 3.")
    for name, extra in EXTRAS.items():
        (line,) = (line for line in lines if line.startswith(f"no  {extra.what}: lacks "))
        assert line.endswith(f"; pip install 'edgeseg[{name}]' -c constraints.txt")


def test_doctor_tells_what_is_there() -> None:
    assert any(
        line.startswith("yes videos and streams, and saving videos (run --save) (av ")
        for line in describe_findings(examine())
    )
