"""The cache of compiled kernels, with a compiler that counts and the driver for the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgeseg.errors import BackendError
from edgeseg.runtime.gpu import kernel_cache
from edgeseg.runtime.gpu import module as modules
from edgeseg.runtime.gpu.kernel_cache import open_kernels, read_sources


class Device:
    """What is asked of `Cuda`."""

    def capability(self) -> str:
        return "8.7"

    def driver(self) -> int:
        return 12060


class Compiler:
    """What is asked of `Nvrtc`."""

    name = "12.6"

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def compile_cubin(self, sources: Mapping[str, str], capability: str) -> bytes:
        assert sources == read_sources()
        self.compiled.append(capability)
        return b"code"


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host_driver: str) -> Compiler:
    made = Compiler()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(modules, "_LIBRARIES", (host_driver,))
    monkeypatch.setattr(kernel_cache, "find_nvrtc", lambda capability, driver: made)
    return made


def open_once() -> list[str]:
    said: list[str] = []
    open_kernels(Device(), say=said.append).close()
    return said


def test_kernels_are_compiled_once(compiler: Compiler, tmp_path: Path) -> None:
    for _ in range(3):
        assert open_once() == []
    assert compiler.compiled == ["8.7"]
    code, record = sorted((tmp_path / "edgeseg" / "kernels").iterdir())
    assert (code.suffix, record.suffix) == (".cubin", ".json")
    facts = json.loads(record.read_text())
    assert facts["capability"] == "8.7"
    assert facts["nvrtc"] == "12.6"
    assert {path.stat().st_mode & 0o777 for path in (code, record)} == {0o600}


@pytest.mark.parametrize(
    "change",
    [
        lambda code: code.write_bytes(b"other"),
        lambda code: code.chmod(0o622),
        lambda code: code.with_suffix(".json").unlink(),
        lambda code: code.with_suffix(".json").write_text("{"),
    ],
    ids=["damaged", "others may write", "no record", "damaged record"],
)  # fmt: skip
def test_what_is_not_certainly_our_own_is_compiled_again(
    compiler: Compiler, tmp_path: Path, change: object
) -> None:
    open_once()
    (code,) = (tmp_path / "edgeseg" / "kernels").glob("*.cubin")
    change(code)
    open_once()
    open_once()
    assert len(compiler.compiled) == 2
    assert code.read_bytes() == b"code"


def test_another_nvrtc_or_source_is_compiled_beside(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_once()
    compiler.name = "13.0"
    open_once()
    monkeypatch.setattr(kernel_cache, "OPTIONS", ("--fmad=true",))
    open_once()
    assert len(compiler.compiled) == 3
    assert len(list((tmp_path / "edgeseg" / "kernels").glob("*.cubin"))) == 3


def test_a_folder_that_others_may_write_is_refused(compiler: Compiler, tmp_path: Path) -> None:
    open_once()
    (tmp_path / "edgeseg" / "kernels").chmod(0o777)
    with pytest.raises(BackendError, match="kernels are code, so none is taken from there"):
        open_once()


def test_kernels_that_cannot_be_kept_run_all_the_same(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_cache, "write_recorded", refuse)
    (line,) = open_once()
    assert "(No space left on device): they run now, and are compiled again next time" in line
    assert compiler.compiled == ["8.7"]
