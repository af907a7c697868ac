"""A fake TensorRT on a fake CUDA: plans hold the ONNX file, and "the device" is this CPU.

It is TensorRT or TensorRT-RTX, by the name under which it is installed.

What it lets a test see is the flow: cache, lock, proof, choice, rebuild, errors. It computes for
real, with the emulation that also decides accuracy, so a wrong graph gives wrong masks. It says
nothing of what TensorRT accepts or how fast it is.
"""

from __future__ import annotations

import ctypes
import sys
import types
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import fake_kernels
import numpy as np
import onnx
from fake_cuda import FakeCuda, Queued, reset

from edgeseg.quantize.targets.tensorrt.emulation import to_fp32_emulation
from edgeseg.runtime.backends import trt as trt_backend
from edgeseg.runtime.backends import trt_cache as engines
from edgeseg.runtime.backends.onnxruntime import OrtBackend
from edgeseg.runtime.backends.trt_library import TENSORRT, Library

if TYPE_CHECKING:
    import pytest

    from edgeseg.runtime.gpu.module import Module

__version__ = "10.3.0"

MAGIC = b"fake plan "
KERNELS = b"fake kernels"


@dataclass
class State:
    """What happened, and a test's knobs."""

    builds: list[bytes] = field(default_factory=list)  # graphs that were built
    timing_caches: list[bytes] = field(default_factory=list)  # what builds were given
    limits: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # parts of graphs that are not built
    unknown: list[str] = field(default_factory=list)  # operators that the parser does not know
    swapped: dict[bytes, bytes] = field(default_factory=dict)  # graphs that are built as another
    fails: bool = False  # whether execution fails
    targets: list[int] = field(default_factory=list)  # compute capabilities that RTX was aimed at
    compiled: int = 0  # how often kernels were compiled, and not taken from what was kept


STATE = State()


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


class ComputeCapability(IntEnum):
    CURRENT = 1
    SM87 = 87
    SM120 = 120


class TensorIOMode(IntEnum):
    INPUT = 1
    OUTPUT = 2


class ILogger:
    class Severity(IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def phase_start(self, *_args: object) -> None:
        raise NotImplementedError


class Builder:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def create_network(self, flags: int = 0) -> dict[str, bytes]:
        STATE.flags.append(flags)
        return {}

    def create_builder_config(self) -> Config:
        return Config()

    def build_serialized_network(self, network: dict[str, bytes], config: Config) -> bytes | None:
        graph = network["graph"]
        config.progress_monitor.phase_start("Building", None, 2)
        for step in range(2):
            assert config.progress_monitor.step_complete("Building", step)
        config.progress_monitor.phase_finish("Building")
        STATE.builds.append(graph)
        if any(part.encode() in graph for part in STATE.refused):
            self.logger.log(ILogger.Severity.ERROR, "no kernel\n for this node")
            return None
        return MAGIC + STATE.swapped.get(graph, graph)


class Config:
    progress_monitor: Any

    def set_memory_pool_limit(self, pool: int, pool_size: int) -> None:
        assert pool == MemoryPoolType.WORKSPACE
        STATE.limits.append(pool_size)

    num_compute_capabilities = 0

    def set_compute_capability(self, compute_capability: int, index: int) -> bool:
        assert (self.num_compute_capabilities, index) == (1, 0)
        STATE.targets.append(compute_capability)
        return True

    def create_timing_cache(self, serialized_timing_cache: bytes) -> Cache:
        return Cache(serialized_timing_cache)

    def set_timing_cache(self, cache: Cache, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.cache = cache
        STATE.timing_caches.append(cache.content)
        return not cache.content.startswith(b"foreign")

    def get_timing_cache(self) -> Cache:
        return self.cache


class Cache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content + b"."


class OnnxParser:
    def __init__(self, network: dict[str, bytes], logger: Any) -> None:
        self.network = network
        self.errors: list[str] = []

    @property
    def num_errors(self) -> int:
        return len(self.errors)

    def parse(self, model: bytes) -> bool:
        try:
            graph = onnx.load_from_string(model).graph
        except Exception:  # protobuf has its own
            self.errors = ["not an ONNX file"]
            return False
        found = {node.op_type for node in graph.node}.intersection(STATE.unknown)
        self.errors = [f"no importer for {name}" for name in sorted(found)]
        self.network["graph"] = model
        return not found

    def get_error(self, index: int) -> Any:
        return types.SimpleNamespace(desc=lambda: self.errors[index])


class Runtime:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
        if not serialized_engine.startswith(MAGIC):
            self.logger.log(ILogger.Severity.ERROR, "serialization assertion failed")
            return None
        return Engine(onnx.load_from_string(serialized_engine.removeprefix(MAGIC)), self.logger)


class Engine:
    def __init__(self, model: onnx.ModelProto, logger: Any) -> None:
        self.logger = logger
        self.engine = OrtBackend(to_fp32_emulation(model).SerializeToString(), optimized=False)
        self.ends = [*model.graph.input, *model.graph.output]
        self.num_io_tensors = len(self.ends)

    def get_tensor_name(self, index: int) -> str:
        return self.ends[index].name

    def get_tensor_mode(self, name: str) -> int:
        first = name == self.ends[0].name
        return TensorIOMode.INPUT if first else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        (end,) = (e for e in self.ends if e.name == name)
        return tuple(d.dim_value for d in end.type.tensor_type.shape.dim)

    def get_tensor_dtype(self, name: str) -> int:
        (end,) = (e for e in self.ends if e.name == name)
        return end.type.tensor_type.elem_type

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, runtime_config: RuntimeConfig | None = None) -> Context:
        if runtime_config is not None and not runtime_config.cache.content:
            STATE.compiled += 1
            runtime_config.cache.content = KERNELS
        return Context(self)


class RuntimeConfig:
    """TensorRT-RTX alone, as its cache."""

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True


class RuntimeCache:
    content = b""

    def deserialize(self, blob: bytes) -> bool:
        fits = blob == KERNELS
        self.content = blob if fits else b""
        return fits

    def serialize(self) -> bytes:
        return self.content


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.failed = False

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if STATE.fails:
            return False
        cuda = FakeCuda()
        memory = frozenset(self.addresses.values())
        cuda.queue(stream_handle, Queued(self._compute, needs=memory))
        if stream_handle not in cuda.device.capturing:
            cuda.synchronize(stream_handle)  # a test's failing engine says so at once
        return not self.failed

    def _compute(self) -> None:
        given, made = (end.name for end in self.engine.ends)
        shape = self.engine.get_tensor_shape(given)
        size = int(np.prod(shape))
        frame = np.frombuffer(ctypes.string_at(self.addresses[given], size), np.uint8)
        self.failed = False
        try:
            output = np.ascontiguousarray(self.engine.engine.infer(frame.reshape(shape)))
        except Exception as error:  # as TensorRT does it: the reason is logged
            self.engine.logger.log(ILogger.Severity.ERROR, str(error))
            self.failed = True
            return
        ctypes.memmove(self.addresses[made], output.ctypes.data, output.nbytes)


def nptype(trt_type: int) -> type[np.generic]:
    return onnx.helper.tensor_dtype_to_np_dtype(trt_type).type


def install(
    monkeypatch: pytest.MonkeyPatch,
    module: Module | None = None,
    *,
    library: Library = TENSORRT,
) -> State:
    """Put all fakes in the place of the real ones; what they do is told by the state.

    Without a module of kernels for the host, none can be compiled.
    """
    here = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, library.modules[0], here)
    monkeypatch.setattr(here, "STATE", State())
    monkeypatch.setattr(here, "__version__", "1.7.1" if library.just_in_time else "10.3.0")
    monkeypatch.setattr(trt_backend, "Cuda", FakeCuda)
    monkeypatch.setattr(engines, "Cuda", FakeCuda)
    reset()
    fake_kernels.install(monkeypatch, module)
    return STATE
