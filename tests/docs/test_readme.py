"""The README's first commands and its Python, run as they are printed.

`pytest tests/docs/test_readme.py --update-golden` writes what they print into the README.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgeseg

README = Path(__file__).parents[2] / "README.md"
# A command, and beneath it what it prints.
SHOWN = re.compile(r"```sh\n(edgeseg [^\n]*)\n```\n```text\n(.*?)```\n", re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder in which the commands were run in order, and what each printed."""
    folder = tmp_path_factory.mktemp("readme")
    commands = [command for command, _ in SHOWN.findall(README.read_text("utf-8"))]
    return folder, {command: run(command, folder) for command in commands}


def test_the_commands_print_what_is_shown(
    ran: tuple[Path, dict[str, str]], request: pytest.FixtureRequest
) -> None:
    folder, printed = ran
    if request.config.getoption("--update-golden"):
        renewed = SHOWN.sub(lambda block: fenced(block[1], printed[block[1]]), README.read_text())
        README.write_text(renewed, "utf-8")
    assert len(printed) == 3
    for command, shown in SHOWN.findall(README.read_text("utf-8")):
        assert without_figures(printed[command]) == without_figures(shown)
    assert len(list((folder / "overlays").glob("*.png"))) == 20


def test_the_python_prints_what_is_shown(
    ran: tuple[Path, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(ran[0])
    exec(code, {})  # our own example
    assert capsys.readouterr().out == re.findall(r"# (\(.*?\))", code)[0] + "\n"


def run(command: str, folder: Path) -> str:
    """What a terminal shows of the command, the place of the installed package shortened."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": tools},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # A slow machine also says how far a step is, and one of another CPU that it proves the bundle.
    printed = re.sub(r"(?m)^.*: .*\d+:\d\d minutes(, about .* left)?\n", "", done.stdout)
    printed = re.sub(r"(?m)^another CPU than it was made on: .*\n", "", printed)
    return printed.replace(str(Path(edgeseg.__file__).parents[1]), "...")


def fenced(command: str, printed: str) -> str:
    return f"```sh\n{command}\n```\n```text\n{printed}```\n"


def without_figures(text: str) -> str:
    """The text with each number as #: machines differ in what they measure."""
    return re.sub(r"\d+(\.\d+)*(e-\d+)?", "#", text)
