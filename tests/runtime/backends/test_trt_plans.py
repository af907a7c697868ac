"""Engines are built once, kept, and rebuilt when anything changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import fake_tensorrt
import pytest
from fake_tensorrt import FakeCuda, State
from trt_names import graph

from edgeseg.bundle.store import Bundle
from edgeseg.errors import BackendError
from edgeseg.files.whole import compute_sha256
from edgeseg.machine.own_cache import make_own_folder
from edgeseg.progress import Progress
from edgeseg.runtime.backends import trt_cache as engines
from edgeseg.runtime.backends.trt import TensorRtBackend
from edgeseg.runtime.backends.trt_library import TENSORRT


def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "edgeseg" / "engines"


def test_a_damaged_engine_is_rebuilt(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("some minutes: there is none yet")
    (plan,) = folder(tmp_path).glob("*.plan")
    content = plan.read_bytes()
    plan.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one is damaged")
    record = plan.with_suffix(".json")
    record.write_text("[]")
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one's record is damaged")
    assert plan.read_bytes() == content
    engines.open_engine(onnx_file, progress=progress).close()
    assert said == []
    assert len(device.builds) == 3


def test_an_engine_that_does_not_load_is_rebuilt(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    """Its hash is right, but TensorRT takes it no more."""
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    (plan,) = folder(tmp_path).glob("*.plan")
    plan.write_bytes(b"of another kind")
    record = json.loads(plan.with_suffix(".json").read_text())
    record["sha256"] = compute_sha256(plan)
    plan.with_suffix(".json").write_text(json.dumps(record))
    del said[:]
    engines.open_engine(onnx_file, progress=progress).close()
    (line,) = said
    assert "the old one does not load (tensorrt 10.3.0 does not take the plan: ser" in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("__version__", "10.7.0"), "library was tensorrt 10.3.0 and is tensorrt 10.7.0"),
        (("compute", "11.0"), "capability was 8.7 and is 11.0"),
        (("jetson", "36.5.0"), "l4t was  and is 36.5.0"),
    ],
)
def test_a_stale_engine_is_rebuilt(
    bundle: Bundle,
    device: State,
    progress: Progress,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: tuple[str, str],
    says: str,
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    del said[:]
    name, value = change
    if name == "compute":
        monkeypatch.setattr(FakeCuda, name, value)
    elif name == "jetson":
        monkeypatch.setattr(engines, "read_jetson", lambda: engines_board(value))
    else:
        monkeypatch.setattr(fake_tensorrt, name, value)
    engines.open_engine(onnx_file, progress=progress).close()
    (line,) = said
    assert line.endswith(f"the old one is stale ({says})")
    assert len(list(folder(tmp_path).glob("*.plan"))) == 1


def engines_board(l4t: str):
    from edgeseg.machine.jetson import Jetson

    return Jetson(model="", l4t=l4t)


def test_an_engine_that_others_may_write_is_not_taken(
    bundle: Bundle, device: State, progress: Progress, said: list[str], tmp_path: Path
) -> None:
    onnx_file = graph(bundle, "fp16")
    engines.open_engine(onnx_file, progress=progress).close()
    (plan,) = folder(tmp_path).glob("*.plan")
    assert plan.stat().st_mode & 0o777 == 0o600
    plan.chmod(0o666)
    del said[:]
    engines.open_engine(onnx_file, progress=progress).close()
    assert said.pop().endswith("the old one is not this user's alone")
    assert plan.stat().st_mode & 0o777 == 0o600
    folder(tmp_path).chmod(0o777)
    with pytest.raises(BackendError, match="others may write to it; engines are code"):
        engines.open_engine(onnx_file, progress=progress)


def test_what_the_builder_measured_serves_the_next_build(
    bundle: Bundle, device: State, tmp_path: Path
) -> None:
    for name in ("fp16", "fp16-map"):
        engines.open_engine(graph(bundle, name), progress=Progress()).close()
    assert device.timing_caches == [b"", b"."]
    (cache,) = folder(tmp_path).glob("timing-*.cache")
    cache.write_bytes(b"foreign")
    engines.open_engine(graph(bundle, "int8-linear"), progress=Progress()).close()
    assert device.timing_caches[2:] == [b"foreign", b""]


def test_progress_is_told(bundle: Bundle, device: State) -> None:
    steps: list[tuple[str, int, int]] = []
    progress = Progress(part=lambda *step: steps.append(step))
    engines.open_engine(graph(bundle, "fp16"), progress=progress).close()
    assert steps == [("Building", done, 2) for done in (0, 1, 2, 2)]


def test_two_that_start_together_build_once(
    bundle: Bundle, device: State, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()
    built = engines.build_plan

    def slow(*arguments, **options):
        assert waits.wait(timeout=30)  # until the other one has found the lock
        return built(*arguments, **options)

    def hear(line: str) -> None:
        said.append(line)
        if "waiting" in line:
            waits.set()

    monkeypatch.setattr(engines, "build_plan", slow)
    opened: list[TensorRtBackend] = []
    threads = [
        threading.Thread(
            target=lambda: opened.append(
                engines.open_engine(graph(bundle, "fp16"), progress=Progress(say=hear))
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(opened) == 2
    assert len(device.builds) == 1
    assert sum("is building this engine; waiting for it" in line for line in said) == 1
    for backend in opened:
        backend.close()


def test_a_killed_builder_leaves_no_lock(bundle: Bundle, device: State, tmp_path: Path) -> None:
    name = compute_sha256(graph(bundle, "fp16"))[:16]
    make_own_folder(TENSORRT.folder)
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from edgeseg.files.locks import hold_lock, name_lock_beside
        with hold_lock(name_lock_beside(Path({str(folder(tmp_path))!r}) / "{name}"), "the engine"):
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False)
    assert killed.returncode == -9
    said: list[str] = []
    engines.open_engine(graph(bundle, "fp16"), progress=Progress(say=said.append)).close()
    assert not any("waiting" in line for line in said)
