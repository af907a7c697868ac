"""A pretend NPU for OpenVINO, in every process that has this folder on its path.

It computes on the CPU, and then does what PRETEND_DEVICE says: nothing, or what drivers are
reported to do. A driver's version is told as Intel's plugin tells it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME = "NPU"
TOLD = {
    "FULL_DEVICE_NAME": "Pretend AI Boost",
    "OPTIMIZATION_CAPABILITIES": ["FP16", "INT8"],
    "NPU_DRIVER_VERSION": os.environ.get("PRETEND_DRIVER", "1.35.0"),
    "SUPPORTED_PROPERTIES": ["FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES", "NPU_DRIVER_VERSION"],
}


def spoil(logits: Any, calls: int) -> Any:
    import numpy as np

    way = os.environ["PRETEND_DEVICE"]
    if way == "wrong":  # a few columns of another class: right at a glance
        logits = logits.copy()
        logits[..., : logits.shape[-1] // 16] = logits[:, ::-1, :, : logits.shape[-1] // 16]
    elif way == "garbage":
        logits = np.random.default_rng(3).normal(size=logits.shape).astype(np.float32)
    elif way == "nan":
        logits = np.full_like(logits, np.nan)
    elif way == "differs" and calls > 2:  # right at first
        logits = np.roll(logits, calls, axis=-1)
    return logits


class Request:
    def __init__(self, inner: Any) -> None:
        self.inner, self.calls = inner, 0

    def infer(self, *given: Any, **options: Any) -> None:
        self.calls += 1
        self.inner.infer(*given, **options)

    def get_output_tensor(self, index: int) -> Any:
        tensor = self.inner.get_output_tensor(index)
        spoiled = ModuleType("tensor")
        spoiled.data = spoil(tensor.data, self.calls)
        return spoiled


class Compiled:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def create_infer_request(self) -> Request:
        return Request(self.inner.create_infer_request())


def misbehave() -> None:
    way = os.environ["PRETEND_DEVICE"]
    if way == "hangs":
        time.sleep(600)
    if way == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "refuses":
        raise RuntimeError("Exception from src/npu.cpp:7\n[ NPU ] no such operator: Gelu")


def wrap(core: type) -> type:
    class Core(core):  # type: ignore[misc]
        @property
        def available_devices(self) -> list[str]:
            return [*super().available_devices, NAME]

        def get_property(self, device: str, key: str) -> Any:
            return TOLD[key] if device == NAME else super().get_property(device, key)

        def get_versions(self, device: str) -> Any:
            return super().get_versions("CPU" if device == NAME else device)

        def compile_model(self, model: Any, device: str, options: Any) -> Any:
            if device != NAME:
                return super().compile_model(model, device, options)
            misbehave()
            own = {**options, "INFERENCE_PRECISION_HINT": "f32"}
            return Compiled(super().compile_model(model, "CPU", own))

        def import_model(self, blob: Any, device: str, options: Any) -> Any:
            if device != NAME:
                return super().import_model(blob, device, options)
            own = {**options, "INFERENCE_PRECISION_HINT": "f32"}
            return Compiled(super().import_model(blob, "CPU", own))

    return Core


class Finder(MetaPathFinder, Loader):
    """Lets openvino be imported, and then puts the pretend device into its Core."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "openvino":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            module.Core = wrap(module.Core)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get("PRETEND_DEVICE"):
    sys.meta_path.insert(0, Finder())
