"""Which kinds of operations the time of a network goes into, by the engine's own profiler.

    python benchmarks/profile_graph.py [--weights demo] [--size 512x1024]
        [--form exact merge-queries-keys12] [--engine onnxruntime openvino] [--rounds 30]
        [--threads 2]

A checkpoint's FP32 artifact, as an export makes it, with the settings of edgeseg's runtime. An
operation's time is the smallest of all rounds: other work on the machine hits the long operations
first, and would move the shares. `total_ms` has the sum of these times, and that of the medians: if
the latter is far larger, the machine was busy. A kind's share is that of the first sum.

Kinds: convolutions (also the linear layers of the Mix-FFN and the head, which are 1x1
convolutions), linear layers, attention (scores, softmax and values), LayerNorm, GELU, upsampling,
averaging (of tokens, and spreading them again), layout changes, input (cast and mean), sums, and
the rest. What an engine computes as one operation counts as one kind: OpenVINO's GELU is part of
its convolutions. `operations` names the engine's operations in each kind, with their number.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from alternating import WARM_UP_ROUNDS, report

from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.demo import DEMO
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import INPUT_NAME, to_onnx
from edgeseg.machine.cpu import describe_machine
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.backends.backend import load_runner
from edgeseg.segformer.form import Form, read_form
from edgeseg.targets import find_target

if TYPE_CHECKING:
    import onnx

    from edgeseg.pixels import Frame

REST = "the rest"
# OpenVINO's counters give whole microseconds of the mean of all runs of a model. The n-th run is
# found from two such means, up to n microseconds: so a model runs few times.
RUNS_TO_A_MODEL = 6
# By the engines' names of their operations, without those that mean different things.
OPERATIONS = {
    "convolutions": ("Conv", "FusedConv", "Convolution", "GroupConvolution"),
    "linear layers": ("Gemm", "FusedGemm", "FullyConnected"),
    "attention": ("MultiHeadAttention", "Softmax", "ScaledDotProductAttention", "ScaledAttn"),
    "LayerNorm": ("LayerNormalization", "SkipLayerNormalization", "MVN"),
    "GELU": ("Gelu", "BiasGelu", "Erf"),
    "upsampling": ("Upsample", "Resize", "Interpolate"),
    "averaging": ("ReduceMean", "Expand", "Broadcast", "Reduce", "AveragePool", "AvgPool"),
    "layout changes": (
        *("ReorderInput", "ReorderOutput", "Reorder", "Transpose", "Reshape", "Split"),
        *("VariadicSplit", "Concat", "Slice", "StridedSlice"),
    ),
}
# What else there is goes by the names of the graph's nodes.
NAMES = {
    "attention": r"\.(scores|softmax|values)$",
    "LayerNorm": r"norm\d?$",
    "GELU": r"\.gelu$",
    "input": r"^preprocess\.",
    "linear layers": r"\.(q|kv|attn_out)$",
    "sums": r"(_residual|\.sum)$",
}
KINDS = (*OPERATIONS, "input", "sums", REST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an engine computed: its operations, with the graph's nodes in each, and their times.

    `times_ms` has a row for each round and a column for each operation.
    """

    operations: Sequence[str]
    nodes: Sequence[Sequence[str]]
    times_ms: np.ndarray


def main() -> None:
    """Print a JSON line for each size, form and engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--weights", default=DEMO, help="a checkpoint; the packaged demo by default")
    add(
        "--size", nargs="+", type=parse_hw, default=[None], metavar="HxW", help="by default its own"
    )
    add("--form", nargs="+", default=["exact", "merge-queries-keys12"], help="names or JSON files")
    add("--engine", nargs="+", choices=PROFILERS, default=list(PROFILERS))
    add("--rounds", type=int, default=30)
    add("--threads", type=int, help="all cores by default")
    options = parser.parse_args()
    forms = [read_form(name) for name in options.form]
    for size in options.size:
        checkpoint = read_checkpoint(options.weights, size=size)
        frame = np.random.default_rng(0).integers(
            0, 256, (1, checkpoint.input.height, checkpoint.input.width, 3), np.uint8
        )
        for form in forms:
            for engine in options.engine:
                with tempfile.TemporaryDirectory() as folder:
                    path = write_artifact(checkpoint, form, engine, Path(folder))
                    profile = PROFILERS[engine](path, frame, options.rounds, options.threads)
                report_profile(profile, checkpoint, form, engine, options.threads)


def write_artifact(
    checkpoint: Checkpoint,
    form: Form,
    engine: str,
    folder: Path,
    change: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda graph: graph,
) -> Path:
    """Write the FP32 file that an export would ship, of the graph as `change` makes it."""
    spec = checkpoint.input
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std, form=form)
    opset = find_target(engine).opset
    graph = to_onnx(deployed, height=spec.height, width=spec.width, opset=opset)
    path = folder / "model.onnx"
    path.write_bytes(change(graph).SerializeToString())
    return load_maker(engine).convert(path)


def profile_onnxruntime(path: Path, frame: Frame, rounds: int, threads: int | None) -> Profile:
    """Run a file in ONNX Runtime with its profiler on."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(path.parent / "profile")
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for _ in range(WARM_UP_ROUNDS + rounds):
        session.run(None, {INPUT_NAME: frame})
    events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    suffix = "_kernel_time"
    nodes = [event for event in events if event["name"].endswith(suffix)]
    # A session runs its nodes in the same order each time.
    times = np.array([event["dur"] for event in nodes]).reshape(WARM_UP_ROUNDS + rounds, -1)
    one_run = nodes[: times.shape[1]]
    return Profile(
        operations=[event["args"]["op_name"] for event in one_run],
        nodes=[[event["name"].removesuffix(suffix)] for event in one_run],
        times_ms=times[WARM_UP_ROUNDS:] / 1e3,
    )


def profile_openvino(path: Path, frame: Frame, rounds: int, threads: int | None) -> Profile:
    """Run a file in OpenVINO with its counters on."""
    import openvino

    options: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "PERF_COUNT": True,
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    times: list[np.ndarray] = []
    while len(times) < rounds:
        model = openvino.Core().compile_model(str(path), "CPU", options)
        request = model.create_infer_request()
        means = []
        for _ in range(RUNS_TO_A_MODEL):
            request.infer({0: frame})
            counters = request.get_profiling_info()
            means.append([1e3 * counter.real_time.total_seconds() for counter in counters])
        sums = np.array(means) * np.arange(1, RUNS_TO_A_MODEL + 1)[:, None]
        times.extend(np.diff(sums, axis=0).clip(min=0))  # without the first run, a warm-up
    origins = {
        node.get_friendly_name(): node.get_rt_info()["originalLayersNames"].astype(str).split(",")
        for node in model.get_runtime_model().get_ordered_ops()
    }
    return Profile(
        operations=[counter.node_type for counter in counters],
        nodes=[origins.get(counter.node_name, [counter.node_name]) for counter in counters],
        times_ms=np.array(times[:rounds]),
    )


PROFILERS: dict[str, Callable[[Path, Frame, int, int | None], Profile]] = {
    "onnxruntime": profile_onnxruntime,
    "openvino": profile_openvino,
}


def find_kind(operation: str, nodes: Sequence[str]) -> str:
    """Tell the kind of an engine's operation, which computes these nodes of the graph."""
    for kind, operations in OPERATIONS.items():
        if operation in operations:
            return kind
    for kind, pattern in NAMES.items():
        if any(re.search(pattern, node) for node in nodes):
            return kind
    return REST


def sum_by_kind(profile: Profile) -> tuple[dict[str, float], dict[str, dict[str, int]]]:
    """Sum the smallest times of each kind, in ms, and count its operations."""
    spent = dict.fromkeys(KINDS, 0.0)
    operations: dict[str, dict[str, int]] = {}
    smallest = profile.times_ms.min(axis=0)
    for operation, nodes, time_ms in zip(profile.operations, profile.nodes, smallest, strict=True):
        if time_ms == 0:  # it is part of another operation
            continue
        kind = find_kind(operation, nodes)
        spent[kind] += float(time_ms)
        counted = operations.setdefault(kind, {})
        counted[operation] = counted.get(operation, 0) + 1
    return spent, operations


def report_profile(
    profile: Profile, checkpoint: Checkpoint, form: Form, engine: str, threads: int | None
) -> None:
    """Print the share of each kind, in percent, the largest first."""
    spent, operations = sum_by_kind(profile)
    total = sum(spent.values())
    ranked = sorted(spent, key=lambda kind: -spent[kind])
    machine = describe_machine()
    report(
        "profile_graph",
        model=checkpoint.spec.title,
        engine=load_runner(engine).identity(),
        threads=threads or "all",
        size=[checkpoint.input.height, checkpoint.input.width],
        form=form.name,
        cpu=machine.cpu,
        features=machine.features,
        cores=machine.cores,
        rounds=len(profile.times_ms),
        total_ms={
            "smallest": round(total, 2),
            "median": round(float(np.median(profile.times_ms, axis=0).sum()), 2),
        },
        share_percent={kind: round(100 * spent[kind] / total, 2) for kind in ranked},
        operations={kind: operations[kind] for kind in ranked if kind in operations},
    )


if __name__ == "__main__":
    run_script(main)
