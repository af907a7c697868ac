"""Runs one file in one engine: needs NumPy, that engine, and edgeseg on Python's path.

    python benchmarks/small_engines.py ENGINE FOLDER FILE [--threads 4] [--runs 20]

`small_boards.py --write` makes the folder: files, images and what ONNX Runtime makes of them. Of
the engine's logits the share of cells with the same highest class is printed, and the largest
difference; then the median of the time and of the processor's time, in ms, and the largest memory
of the process. So a board needs no data set for a first look, and an emulated one neither (see
count_arm.sh).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgeseg.cli.scripts import run_script

# ncnn's threads spin between two layers, and starve each other where other work runs. This is read
# when the first library with OpenMP is loaded, which may be PyTorch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# uint8 (H, W, 3) in BGR to logits (classes, h, w).
Infer = Callable[[np.ndarray], np.ndarray]

# XNNPACK's flag for FP16 wherever the processor has it.
_FORCE_FP16: Final = 4


def open_ncnn(path: Path, types: str, threads: int) -> Infer:
    """Open `path`.param and `path`.bin; f16s stores FP16 and computes in FP32, f16 does both."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = types in {"f16s", "f16"}
    net.opt.use_fp16_arithmetic = types == "f16"
    net.opt.use_bf16_storage = types == "bf16"
    for load, suffix in ((net.load_param, ".param"), (net.load_model, ".bin")):
        if load(str(path.with_suffix(suffix))) != 0:
            raise SystemExit(f"ncnn refuses {path.with_suffix(suffix)}")

    def infer(image: np.ndarray) -> np.ndarray:
        height, width, _ = image.shape
        pixels = ncnn.Mat.from_pixels(image, ncnn.Mat.PixelType.PIXEL_BGR, width, height)
        extractor = net.create_extractor()
        extractor.input("image", pixels)
        status, logits = extractor.extract("logits")
        if status != 0:
            raise SystemExit(f"ncnn fails with status {status}")
        return np.array(logits)

    return infer


def open_litert(path: Path, types: str, threads: int) -> Infer:
    """Open a .tflite file; f16 asks XNNPACK for FP16."""
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.cpu_options import CpuOptions
    from ai_edge_litert.options import HardwareAccelerator, Options

    flags = _FORCE_FP16 if types == "f16" else None
    cpu = CpuOptions(num_threads=threads, xnnpack_flags=flags)
    options = Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=cpu)
    model = CompiledModel.from_file(str(path), options=options)
    (given,), (result,) = model.create_input_buffers(0), model.create_output_buffers(0)
    details: dict[str, Any] = next(iter(model.get_output_tensor_details("").values()))
    height, width, classes = (int(side) for side in details["shape"][1:])

    def infer(image: np.ndarray) -> np.ndarray:
        given.write(np.ascontiguousarray(image[None]))
        model.run_by_index(0, [given], [result])
        logits = result.read(height * width * classes, np.float32)
        return logits.reshape(height, width, classes).transpose(2, 0, 1)

    return infer


def open_onnxruntime(path: Path, types: str, threads: int) -> Infer:
    """Open an ONNX file; with `calm` its threads sleep between two operators, and do not spin."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(types != "calm")))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image[None]})[0][0]


def open_openvino(path: Path, types: str, threads: int) -> Infer:
    """Open an ONNX file, which OpenVINO reads by itself."""
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": types,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda image: compiled(image[None])[0][0]


ENGINES: Final[dict[str, Callable[[Path, str, int], Infer]]] = {
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "ncnn": open_ncnn,
    "litert": open_litert,
}


def open_named(name: str, path: Path, threads: int) -> Infer:
    """Open a file in an engine as named, for example `ncnn-f16`."""
    engine, _, types = name.partition("-")
    return ENGINES[engine](path, types or "f32", threads)


def main() -> None:
    """Infer every image, then the first one again and again, and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", help="for example ncnn-f16, litert or onnxruntime")
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", help="its name in the folder, for ncnn without an ending")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if options.engine.partition("-")[0] not in ENGINES:
        parser.error(f"no engine {options.engine}; name one of {', '.join(ENGINES)}")
    images = np.load(options.folder / "images.npy")
    expected = np.load(options.folder / f"{options.file.partition('-')[0]}-logits.npy")
    infer = open_named(options.engine, options.folder / options.file, options.threads)
    logits = np.stack([infer(image) for image in images])
    times = [time_once(infer, images[0]) for _ in range(options.runs)]
    medians = np.median(times, axis=0) if times else (0.0, 0.0)
    line = {
        "engine": options.engine,
        "file": options.file,
        "threads": options.threads,
        "equal_cells": round(100 * float((logits.argmax(1) == expected.argmax(1)).mean()), 3),
        "largest_difference": float(f"{np.abs(logits - expected).max():.2g}"),
        "median_ms": round(float(medians[0]), 2),
        "processor_ms": round(float(medians[1]), 2),
        "memory_mb": read_largest_memory(),
    }
    print(json.dumps(line))


def time_once(infer: Infer, image: np.ndarray) -> tuple[float, float]:
    """Infer once; milliseconds, and the processor's milliseconds."""
    begun, spent = time.perf_counter(), time.process_time()
    infer(image)
    return 1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - spent)


def read_largest_memory() -> int:
    """Read the largest memory of this process, in MB; `getrusage` would include its parent's."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    run_script(main)
