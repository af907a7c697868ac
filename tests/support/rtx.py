"""TensorRT-RTX as a parser and builder: no GPU is needed up to the plan.

It is another product than the TensorRT of a Jetson: what it takes shows that a graph is strongly
typed and well formed, and how it would be fused there; say RTX where RTX was run.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

__all__ = ["Plan", "build"]

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


def build(graph: bytes) -> Plan | list[str]:
    """Parse and build a graph as a strongly typed network; what RTX says where it refuses."""
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
    return Plan(bytes=plan.nbytes, layers=_layers(log.lines))


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
