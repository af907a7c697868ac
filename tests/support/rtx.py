"""TensorRT-RTX as a parser and builder: no GPU is needed up to the plan.

It is another product than the TensorRT of a Jetson: what it takes shows that a graph is strongly
typed and well formed, and how it would be fused there; say RTX where RTX was run.

It runs in a process of its own: its bindings share pybind11's tables with those of OpenVINO, ONNX
Runtime and PyTorch, and a crash of a library that is not open should not end all tests.
"""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ["Plan", "build_all", "build_for", "docstrings"]

_LAYER = re.compile(
    r"Name: (?P<name>\S+), LayerType: (?P<kind>\w+), "
    r"Inputs: \[(?P<in>.*?)\], Outputs: \[(?P<out>.*)"
)
_TYPE = re.compile(r"Datatype: (\w+)")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was built: its size, and how many layers of each kind and type, by the log."""

    bytes: int
    layers: Counter[str]


def build_all(graphs: Sequence[bytes]) -> list[Plan | list[str]]:
    """Parse and build each graph as a strongly typed network; what RTX says where it refuses."""
    built = _in_its_own_process("build", pickle.dumps(list(graphs)))
    return [
        Plan(bytes=one["bytes"], layers=Counter(one["layers"])) if isinstance(one, dict) else one
        for one in built
    ]


def build_for(graph: bytes, capabilities: Sequence[str | None]) -> list[int]:
    """How large a plan `build_plan` makes for each compute capability, None for those by default.

    That is edgeseg's own code on the real library, up to what needs a GPU.
    """
    sizes: list[int] = _in_its_own_process("plan", pickle.dumps((graph, list(capabilities))))
    return sizes


def docstrings(names: Sequence[str]) -> dict[str, str]:
    """Docstrings of the bindings by dotted name; what is not there is left out."""
    found: dict[str, str] = _in_its_own_process("docstrings", pickle.dumps(list(names)))
    return found


def _in_its_own_process(task: str, given: bytes) -> Any:
    ended = subprocess.run(
        [sys.executable, Path(__file__), task], input=given, capture_output=True, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


def _build(graph: bytes) -> dict[str, object] | list[str]:
    import tensorrt_rtx_bindings as trt

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            kind = str(severity).rpartition(".")[2]
            self.lines.append(f"{kind} {message}")

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        return [parser.get_error(index).desc() for index in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        return [line for line in log.lines if line.startswith("ERROR")]
    return {"bytes": plan.nbytes, "layers": _layers(log.lines)}


def _build_for(graph: bytes, capabilities: list[str | None]) -> list[int]:
    from edgeseg.runtime.backends.trt import build_plan
    from edgeseg.runtime.backends.trt_library import RTX

    def device(capability: str) -> Any:
        return SimpleNamespace(capability=lambda: capability, free_memory=lambda: 8 << 30)

    devices = [None if one is None else device(one) for one in capabilities]
    return [len(build_plan(graph, timing_cache=b"", cuda=one, library=RTX)[0]) for one in devices]


def _layers(lines: list[str]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for line in "\n".join(lines).splitlines():
        found = _LAYER.search(line)
        if found is None:
            continue
        read, made = (_TYPE.findall(found[side]) for side in ("in", "out"))
        if "_mha_" in found["name"]:
            counted["fused attention"] += 1
        elif found["kind"] in {"gemm", "conv", "correlation"} and read and made:
            counted[f"{found['kind']} {read[0]} to {made[0]}"] += 1
    return counted


def _docstrings(names: list[str]) -> dict[str, str]:
    import tensorrt_rtx_bindings as trt

    def find(name: str) -> Any:
        found: Any = trt
        for part in name.split("."):
            found = getattr(found, part, None)
        return found

    return {name: find(name).__doc__ or "" for name in names if find(name) is not None}


def _main(task: str, given: Any) -> Any:
    if task == "plan":
        return _build_for(*given)
    return [_build(graph) for graph in given] if task == "build" else _docstrings(given)


if __name__ == "__main__":
    given = pickle.load(sys.stdin.buffer)  # from the test that started this
    sys.stdout.write(json.dumps(_main(sys.argv[1], given)))
