"""Times an engine, and whole frames with it, on a GPU; used by gpu_measure.py."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from gpu_kit import CLASSES

from edgeseg.errors import BackendError
from edgeseg.pixels import to_frame_mask, to_input
from edgeseg.progress import ignore
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.pixels import Bgr, ClassMap
    from edgeseg.runtime.backends.trt import TensorRtBackend
    from edgeseg.runtime.gpu.cuda import Cuda
    from edgeseg.runtime.gpu.lane import Lane

__all__ = ["describe_gpu", "time_engine", "time_frames", "time_together"]

WARM_UP: Final = 10
ROUNDS: Final = 50


def describe_gpu(cuda: Cuda | None, board: str) -> dict[str, Any]:
    """Name the GPU; `device` is None without one."""
    if cuda is None:
        return {"device": None}
    named = board
    if not board and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        said = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        named = said.splitlines()[0].strip() if said.strip() else ""
    return {
        "device": named or "unknown",
        "capability": cuda.capability(),
        "cuda": cuda.driver(),
    }


def time_engine(engine: TensorRtBackend) -> dict[str, Any]:
    """Time the engine alone: with its copies, and without them, queued and as a CUDA graph."""
    given = np.zeros(engine.input_shape, np.uint8)
    times = {"with_copies_ms": _median(partial(engine.infer, given))}
    if hasattr(engine, "enqueue"):
        times["queued_ms"] = _time_stream(engine, engine.enqueue)
        graph = _capture(engine)
        if isinstance(graph, str):
            return {**times, "graph_ms": None, "graph_refused": graph}
        times["graph_ms"] = _time_stream(
            engine, partial(engine.cuda.launch_graph, graph, engine.stream)
        )
        engine.cuda.destroy_ready(graph)
    return times


def _capture(engine: TensorRtBackend) -> int | str:
    """Capture one inference as a CUDA graph, or say why the device refuses."""
    cuda, stream = engine.cuda, engine.stream
    try:
        cuda.begin_capture(stream)
        try:
            engine.enqueue()
        finally:
            graph = cuda.end_capture(stream)
        ready: int = cuda.instantiate(graph)
        cuda.destroy_graph(graph)
    except BackendError as error:
        return str(error)
    return ready


def time_frames(
    engine: TensorRtBackend,
    frame: Bgr,
    spec: InputSpec,
) -> Iterator[dict[str, Any]]:
    """Time whole frames: by the host, on the device with CUDA graphs, and without them.

    A line of the kind `kernels` compares the device's masks with the host's.
    """
    size = f"{frame.shape[1]}x{frame.shape[0]}"
    about = {"kind": "frame", "size": size, "classes": CLASSES}
    yield {**about, "way": "host", "ms": _median(partial(_segment, engine, frame, spec))}
    if not hasattr(engine, "open_path"):
        yield {"kind": "skipped", "what": "whole frames on the device", "why": "no such path"}
        return
    for way, captures in (("graph", True), ("queued", False)):
        try:
            yield from _time_path(engine, frame, spec, {**about, "way": way}, captures=captures)
        except BackendError as error:  # noqa: PERF203  # the other way may work
            yield {"kind": "skipped", "what": f"whole frames, {way}", "why": str(error)}


def time_together(
    engine: TensorRtBackend, batch: TensorRtBackend, frame: Bgr, spec: InputSpec
) -> dict[str, Any]:
    """Time whole frames at once, and as many one by one with two under way; ms a frame.

    `batch` takes several frames, and works in the stream of `engine`, which takes one.
    """
    from edgeseg.runtime.gpu.batch import FrameBatch
    from edgeseg.runtime.gpu.lane import Lane, land_one_by_one, launch_together

    frames = batch.input_shape[0]
    with ExitStack() as stack:
        path = stack.enter_context(closing(engine.open_path(spec, classes=CLASSES, say=ignore)))
        group = stack.enter_context(closing(FrameBatch(path, batch, frames)))
        lanes = [stack.enter_context(closing(Lane(path))) for _ in range(frames)]
        if not lanes[0].fits(frame):
            raise BackendError("frames of this size take another path")

        def land_together() -> None:
            for flight in launch_together(group, [(lane, frame) for lane in lanes]) or ():
                flight.take()

        one_by_one = partial(land_one_by_one, [(lane, frame) for lane in lanes] * 2)
        together, alone = _median(land_together), _median(one_by_one) / 2
        return {
            "kind": "frame",
            "size": f"{frame.shape[1]}x{frame.shape[0]}",
            "classes": CLASSES,
            "way": "together",
            "ms": round(together / frames, 4),
            "share_of_one_by_one": round(together / alone, 4),
        }


def _segment(engine: TensorRtBackend, frame: Bgr, spec: InputSpec) -> ClassMap:
    return to_frame_mask(engine.infer(to_input(frame, spec)), spec, frame)


def _time_path(
    engine: TensorRtBackend,
    frame: Bgr,
    spec: InputSpec,
    about: dict[str, Any],
    *,
    captures: bool,
) -> Iterator[dict[str, Any]]:
    from edgeseg.runtime.gpu.lane import Lane

    said: list[str] = []
    begin = engine.cuda.begin_capture
    if not captures:
        engine.cuda.begin_capture = _refuse
    try:
        with (
            closing(engine.open_path(spec, classes=CLASSES, say=said.append)) as path,
            closing(Lane(path)) as lane,
        ):
            if not lane.fits(frame):
                raise BackendError("; ".join(said) or "frames of this size take another path")
            landed = lane.launch(frame).take()
            alone = _median(lambda: lane.launch(frame).take())
            yield {**about, "ms": alone, "two_under_way_ms": _time_pairs(lane, frame), "said": said}
            if captures:
                yield _compare(engine, frame, spec, landed.mask)
    finally:
        engine.cuda.begin_capture = begin


def _refuse(_stream: int) -> None:
    raise BackendError("asked to do without")


def _time_pairs(lane: Lane, frame: Bgr) -> float:
    """Time a frame where the next one is launched before the one before it is taken."""
    flight = lane.launch(frame)
    started = time.perf_counter()
    for _ in range(ROUNDS):
        following = lane.launch(frame)
        flight.take()
        flight = following
    taken = time.perf_counter() - started
    flight.take()
    return round(1e3 * taken / ROUNDS, 4)


def _compare(
    engine: TensorRtBackend,
    frame: Bgr,
    spec: InputSpec,
    mask: ClassMap,
) -> dict[str, Any]:
    """Compare masks: they may differ where two logits tie to the last bit."""
    differ = int(np.count_nonzero(mask != _segment(engine, frame, spec)))
    return {"kind": "kernels", "pixels": int(mask.size), "pixels_that_differ": differ}


def _median(call: Callable[[], object]) -> float:
    """Give the median of a call's time in ms."""
    times = []
    for turn in range(WARM_UP + ROUNDS):
        started = time.perf_counter()
        call()
        if turn >= WARM_UP:
            times.append(time.perf_counter() - started)
    return round(1e3 * float(np.median(times)), 4)


def _time_stream(engine: TensorRtBackend, queue: Callable[[], object]) -> float:
    """Give the time in ms of one of many that are queued behind each other."""
    for _ in range(WARM_UP):
        queue()
    engine.cuda.synchronize(engine.stream)
    started = time.perf_counter()
    for _ in range(ROUNDS):
        queue()
    engine.cuda.synchronize(engine.stream)
    return round(1e3 * (time.perf_counter() - started) / ROUNDS, 4)
