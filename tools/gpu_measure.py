"""Builds, proves and times the cases of gpu_cases.py with TensorRT and TensorRT-RTX: JSON lines.

    python tools/gpu_measure.py CASES [--seconds 300]

TensorRT-RTX builds without a GPU, so its plans are built first, several at a time. TensorRT
measures while it builds, so it builds one after the other.

Each line has a `kind`: `machine`, `plan`, `refused`, `proof`, `engine`, `frame`, `kernels`,
`failed`, `skipped`. Without a GPU it goes as far as the plans, and says what was left out. Cases
for which the time is too short are named in one line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from gpu_frames import describe_gpu, time_engine, time_frames, time_together

from edgeseg.accuracy.metrics import pixel_agreement
from edgeseg.cli.scripts import check_inputs, run_script
from edgeseg.errors import BackendError
from edgeseg.machine.jetson import read_jetson
from edgeseg.pixels import to_frame_mask, to_input
from edgeseg.runtime.backends import trt
from edgeseg.runtime.backends.trt_library import RTX, TENSORRT, Library
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.pixels import Bgr
    from edgeseg.runtime.gpu.cuda import Cuda

Case = Mapping[str, Any]
Emit = Callable[[dict[str, Any]], None]

LIBRARIES: Final = {"tensorrt": TENSORRT, "rtx": RTX}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all cases share; `cuda` is None without a GPU."""

    folder: Path
    frame: Bgr
    library: Library
    cuda: Cuda | None
    ends: float
    workers: int
    emit: Emit


@dataclass(frozen=True, kw_only=True)
class Built:
    """A plan and how long it took in seconds, or why it was refused."""

    plan: bytes = b""
    took_s: float = 0.0
    refused: str = ""


def main() -> None:
    """Measure with each library that is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--seconds", type=float, default=300, help="for all; 300")
    parser.add_argument("--library", choices=(*LIBRARIES, "all"), default="all")
    parser.add_argument(
        "--workers", type=int, default=max(1, (os.cpu_count() or 1) // 2), help="that build at once"
    )
    given = parser.parse_args()
    check_inputs(parser, given.cases / "cases.json")
    chosen = LIBRARIES.values() if given.library == "all" else [LIBRARIES[given.library]]
    measure(given.cases, list(chosen), seconds=given.seconds, workers=given.workers, emit=_print)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def measure(
    folder: Path, libraries: Sequence[Library], *, seconds: float, workers: int, emit: Emit
) -> None:
    """Measure all cases; libraries share the time evenly. With one worker all is this process.

    Raises:
        BackendError: no library is installed.
    """
    found = [library for library in libraries if _is_there(library)]
    if not found:
        raise BackendError(f"no library to measure: {'; '.join(one.missing for one in libraries)}")
    started = time.monotonic()
    cuda, reason = _open_cuda()
    gpu = describe_gpu(cuda, read_jetson().model)
    emit({"kind": "machine", **gpu, "libraries": [one.full_name for one in found]})
    cases = json.loads((folder / "cases.json").read_text("utf-8"))
    for index, library in enumerate(found):
        bench = Bench(
            folder=folder,
            frame=np.load(folder / "frame.npy"),
            library=library,
            cuda=cuda,
            ends=started + seconds * (index + 1) / len(found),
            workers=workers,
            emit=emit,
        )
        _measure_all(bench, cases)
    if cuda is None:
        left = "proof, engine times, whole frames, pixel kernels"
        emit({"kind": "skipped", "what": left, "why": reason})


def _is_there(library: Library) -> bool:
    with suppress(BackendError):
        library.load()
        return True
    return False


def _open_cuda() -> tuple[Cuda | None, str]:
    try:
        cuda = trt.Cuda()
        cuda.capability()
    except BackendError as error:
        return None, str(error)
    return cuda, ""


def _measure_all(bench: Bench, cases: Sequence[Case]) -> None:
    ahead = bench.library.just_in_time and bench.workers > 1
    built = _build_ahead(bench, cases) if ahead else {}
    late: list[str] = []
    alone: dict[tuple[str, ...], bytes] = {}  # plans for one frame, which batches are held against
    for case in cases:
        in_time = time.monotonic() < bench.ends
        one = built.get(case["file"])
        if not ahead and in_time:
            one = _build(bench.folder, case, bench.library, cuda=bench.cuda is not None)
        if one is None:
            late.append(case["file"])
        elif _tell_plan(bench, case, one) and bench.cuda is not None:
            if in_time:
                key = (case["network"], case["form"], case["precision"], case["written"])
                if case["batch"] == 1:
                    alone[key] = one.plan
                _measure_case(bench, case, one, alone.get(key))
            else:
                late.append(case["file"])
    if late:
        bench.emit({"kind": "skipped", "what": ", ".join(late), "why": "the time was too short"})


def _build_ahead(bench: Bench, cases: Sequence[Case]) -> dict[str, Built]:
    """Build plans in other processes, until they are made or two thirds of the time are gone."""
    left = bench.ends - time.monotonic()
    ends = bench.ends - (left / 3 if bench.cuda is not None else 0)
    found: dict[str, Built] = {}
    with multiprocessing.get_context("spawn").Pool(bench.workers) as pool:
        options = {"cuda": bench.cuda is not None}
        waiting = {
            case["file"]: pool.apply_async(_build, (bench.folder, case, bench.library), options)
            for case in cases
        }
        for file, one in waiting.items():
            with suppress(multiprocessing.TimeoutError):
                found[file] = one.get(timeout=max(0.0, ends - time.monotonic()))
        pool.terminate()
    return found


def _build(folder: Path, case: Case, library: Library, *, cuda: bool) -> Built:
    started = time.perf_counter()
    try:
        plan, _ = trt.build_plan(
            (folder / case["file"]).read_bytes(),
            timing_cache=b"",
            cuda=trt.Cuda() if cuda else None,
            library=library,
        )
    except BackendError as error:
        return Built(refused=str(error))
    return Built(plan=plan, took_s=time.perf_counter() - started)


def _tell_plan(bench: Bench, case: Case, built: Built) -> bool:
    """Tell what came of a build, and whether there is a plan."""
    about = _describe(bench, case)
    if built.refused:
        bench.emit({"kind": "refused", **about, "why": built.refused})
        return False
    took = {"build_s": round(built.took_s, 2), "bytes": len(built.plan)}
    bench.emit({"kind": "plan", **about, **took})
    return True


def _describe(bench: Bench, case: Case) -> dict[str, Any]:
    told = {key: value for key, value in case.items() if key not in {"file", "expected"}}
    return {"library": bench.library.full_name, **told}


def _measure_case(bench: Bench, case: Case, built: Built, alone: bytes | None) -> None:
    about = _describe(bench, case)
    try:
        with closing(trt.TensorRtBackend(built.plan, library=bench.library)) as engine:
            _prove(bench, case, engine, about)
            bench.emit({"kind": "engine", **about, **time_engine(engine)})
            if case["batch"] == 1 and not case["written"]:
                for line in time_frames(engine, bench.frame, _make_spec(engine)):
                    bench.emit({**about, **line})
    except BackendError as error:
        bench.emit({"kind": "failed", **about, "why": str(error)})
        return
    if case["batch"] > 1 and alone is not None:
        _measure_together(bench, about, alone, built.plan)


def _measure_together(bench: Bench, about: Mapping[str, Any], alone: bytes, plan: bytes) -> None:
    """Time whole frames through a plan for several, against those through a plan for one."""
    try:
        with ExitStack() as stack:
            engine = trt.TensorRtBackend(alone, library=bench.library)
            stack.callback(engine.close)
            batch = trt.TensorRtBackend(plan, library=bench.library, stream=engine.stream)
            stack.callback(batch.close)
            line = time_together(engine, batch, bench.frame, _make_spec(engine))
        bench.emit({**about, **line})
    except BackendError as error:
        bench.emit({"kind": "skipped", "what": "whole frames at once", "why": str(error)})


def _make_spec(engine: trt.TensorRtBackend) -> InputSpec:
    _, height, width, _ = engine.input_shape
    return InputSpec(height=height, width=width)


def _prove(bench: Bench, case: Case, engine: trt.TensorRtBackend, about: Mapping[str, Any]) -> None:
    """Compare logits and the frame's mask with those of the emulation, for each of a batch."""
    spec = _make_spec(engine)
    given = to_input(bench.frame, spec)
    expected = np.load(bench.folder / case["expected"])
    found = engine.infer(np.repeat(given, case["batch"], axis=0))
    mask = to_frame_mask(expected, spec, bench.frame)
    worst = min(pixel_agreement(mask, to_frame_mask(one[None], spec, bench.frame)) for one in found)
    far = np.linalg.norm(found - expected) / np.linalg.norm(np.broadcast_to(expected, found.shape))
    bench.emit(
        {
            "kind": "proof",
            **about,
            "finite": bool(np.isfinite(found).all()),
            "agreement": round(float(worst), 3),
            "relative_difference": float(far),
        }
    )


if __name__ == "__main__":
    run_script(main)
