"""The cache of TensorRT engines: a full disk, several devices with one home, and its lock."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_tensorrt
import numpy as np
import pytest
from fake_tensorrt import State

from edgeseg.bundle.store import Bundle
from edgeseg.machine import jetson as boards
from edgeseg.progress import Progress
from edgeseg.runtime.backends import trt_cache as engines
from edgeseg.runtime.backends.trt import TensorRtBackend

FRAME = np.zeros((1, 96, 128, 3), np.uint8)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> State:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fake_tensorrt.install(monkeypatch)


@pytest.fixture
def graph(seeded_bundle: Bundle) -> Path:
    return seeded_bundle.path("model.onnx")


@pytest.fixture
def small_files() -> Iterator[None]:
    """As a full disk: writing the plan fails, after its beginning was written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
def test_a_plan_that_cannot_be_kept_runs_all_the_same(
    device: State, graph: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    backend = engines.open_engine(graph, progress=Progress(say=said.append))
    assert np.isfinite(backend.infer(FRAME)).all()
    backend.close()
    assert len(device.builds) == 1
    assert said[1].startswith("the engine of model.onnx could not be kept in ")
    assert "(File too large): it runs now, and is built again next time" in said[1]
    assert list((tmp_path / "cache" / "edgeseg" / "engines").iterdir()) == []


def test_devices_with_one_home_keep_each_others_engines(
    device: State, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = {"orin-1": "10.3.0", "orin-2": "10.7.0"}
    said: list[str] = []
    for host in ("orin-1", "orin-2", "orin-1", "orin-2"):
        monkeypatch.setattr("platform.node", lambda host=host: host)
        monkeypatch.setattr(fake_tensorrt, "__version__", boards[host])
        engines.open_engine(graph, progress=Progress(say=said.append)).close()
    assert len(device.builds) == 2
    assert all(line.endswith("some minutes: there is none yet") for line in said)


def test_copied_images_have_one_name_and_keep_each_others_engines(
    device: State, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boards are told by their serial numbers, whatever their hosts are called at the time."""
    read = boards._read
    versions = {"1421": "10.3.0", "1422": "10.7.0"}
    said: list[str] = []
    for serial in ("1421", "1422", "1421", "1422"):
        monkeypatch.setattr(
            boards,
            "_read",
            lambda path, serial=serial: serial if path.name == "serial-number" else read(path),
        )
        monkeypatch.setattr(fake_tensorrt, "__version__", versions[serial])
        engines.open_engine(graph, progress=Progress(say=said.append)).close()
    assert len(device.builds) == 2
    monkeypatch.setattr("platform.node", lambda: "another name")  # as a container's next start
    monkeypatch.setattr(fake_tensorrt, "__version__", "10.8.0")
    engines.open_engine(graph, progress=Progress(say=said.append)).close()
    assert "the old one is stale (library was tensorrt 10.7.0 and is tensorrt 10.8.0)" in said[-1]


def test_a_plan_is_read_while_the_lock_is_held(
    device: State, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    class Watched(TensorRtBackend):
        def __init__(self, plan: bytes, **options: Any) -> None:
            super().__init__(plan, **options)
            (lock,) = (tmp_path / "cache" / "edgeseg" / "engines").glob("*lock")
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(False)
            except BlockingIOError:
                held.append(True)
            finally:
                os.close(descriptor)

    monkeypatch.setattr(engines, "TensorRtBackend", Watched)
    for _ in range(2):
        engines.open_engine(graph, progress=Progress()).close()
    assert held == [True, True]
