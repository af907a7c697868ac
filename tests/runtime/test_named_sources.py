"""What may be named as a source, and what several of them may not share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.errors import SpecError
from edgeseg.runtime.request import RunRequest
from edgeseg.runtime.sources.named import name_sources


@pytest.mark.parametrize(
    "names", [["-", "-"], ["-", "/dev/stdin"], ["demo", "file:///dev/stdin", "/dev/fd/0"]]
)
def test_standard_input_has_one_reader(
    edgeseg: Callable[..., object], tmp_path: Path, names: list[str]
) -> None:
    (tmp_path / "s.toml").write_text(
        "[sources]\n" + "".join(f'{name} = "{uri}"\n' for name, uri in zip("abc", names))
    )
    given = [word for name in names for word in ("--source", name)]
    for words in (given, ["--source", "s.toml"]):
        outcome = edgeseg("run", *words)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert "standard input is named twice, for " in outcome.err
    with pytest.raises(SpecError, match="standard input is named twice"):
        RunRequest(sources=name_sources(names))


def test_a_named_pipe_has_one_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with pytest.raises(SpecError, match="/fifo is named twice, for fifo and fifo-2"):
        RunRequest(sources=name_sources(["fifo", str(tmp_path / "fifo")]))
    RunRequest(sources=name_sources(["fifo", "demo", "demo"]))
