"""The deployed network in ncnn and LiteRT, beside the two engines that edgeseg has for a CPU.

    pip install -c constraints.txt -e '.[export,openvino,opencv]' ncnn ai-edge-litert
    python benchmarks/small_boards.py CHECKPOINT DATASET [--split test] [--images 49]
        [--form exact merge-queries-keys2] [--size HxW] [--threads 1 2] [--rounds 15]
    python benchmarks/small_boards.py CHECKPOINT DATASET --write FOLDER [--size HxW]

For each form: how close every engine's masks are to those of ONNX Runtime in FP32, and what the
truth says of them; the time in turns, as a ratio to ONNX Runtime's, and the processor's time, which
other work on the machine disturbs less; and the largest memory of a process that runs it.

`--write` writes the files into a new folder, with a few images and what ONNX Runtime makes of them,
and measures nothing: `small_engines.py` runs them on a board, `count_arm.sh` under emulation.
LiteRT's file is written for the exact form only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from alternating import WARM_UP_ROUNDS, Times, alternate, compare, report
from litert_graph import write_litert
from ncnn_graph import write_ncnn
from small_engines import Infer, open_named, time_once

from edgeseg.accuracy.counts import Masks
from edgeseg.accuracy.counts import compare as compare_masks
from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.datasets import Dataset, open_dataset
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.export.graph import GELU_OPSET
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.machine.cpu import describe_machine
from edgeseg.pixels import to_frame_mask, to_input
from edgeseg.quantize.attention import fuse_attention
from edgeseg.segformer.form import EXACT, read_form

BASELINE = "onnxruntime"
# Which queries of a head ncnn computes on cores of their own: four, as small boards have.
PIECES = 4
IMAGES_FOR_A_BOARD = 2
# By name: an engine with the types it computes in, and the file it opens.
Ways = dict[str, tuple[str, Path]]


def main() -> None:
    """Print JSON lines: what was written, then masks, times and memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, default=49)
    parser.add_argument("--form", nargs="+", default=["exact", "merge-queries-keys2"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=parse_hw, metavar="HxW")
    parser.add_argument("--write", type=Path, help="a new folder for files")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.checkpoint, size=options.size)
    dataset = open_dataset(options.dataset, split=options.split).require_complete()
    dataset = dataset.take_evenly(options.images)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.write or Path(temporary)
        folder.mkdir(exist_ok=options.write is None)
        write_images(checkpoint, dataset, folder)
        for form in options.form:
            ways = write_files(checkpoint, form, folder)
            if options.write is None:
                measure_masks(checkpoint, dataset, form, ways)
                for threads in options.threads:
                    measure_times(form, ways, folder, threads, options.rounds)
                measure_memory(form, ways, folder)


def write_images(checkpoint: Checkpoint, dataset: Dataset, folder: Path) -> None:
    """Write a few images as the engines take them, uint8 (N, H, W, 3)."""
    frames = [
        to_input(item.read().image, checkpoint.input)[0]
        for item in dataset.take_evenly(IMAGES_FOR_A_BOARD).items[:IMAGES_FOR_A_BOARD]
    ]
    np.save(folder / "images.npy", np.stack(frames))


def write_files(checkpoint: Checkpoint, form: str, folder: Path) -> Ways:
    """Write the network in the form for every engine, and report of what layers it is made."""
    spec, stem = checkpoint.input, form.replace("-", "_")
    deployed = rewrite(checkpoint.model, mean=spec.mean, std=spec.std, form=read_form(form))
    model = to_onnx(deployed, height=spec.height, width=spec.width, opset=GELU_OPSET)
    paths = {name: folder / f"{stem}-{name}" for name in ("ncnn", "ncnn-split")}
    plain, fused = folder / f"{stem}-plain.onnx", folder / f"{stem}-fused.onnx"
    plain.write_bytes(model.SerializeToString())
    fused.write_bytes(fuse_attention(model).SerializeToString())
    layers: dict[str, Mapping[str, int]] = {
        "ncnn": write_ncnn(model, paths["ncnn"], pieces=1),
        "ncnn-split": write_ncnn(model, paths["ncnn-split"], pieces=PIECES),
    }
    ways = {
        BASELINE: (BASELINE, fused),
        "onnxruntime, no spinning": ("onnxruntime-calm", fused),
        "openvino": ("openvino", plain),
        "ncnn": ("ncnn", paths["ncnn"]),
        "ncnn, queries split": ("ncnn", paths["ncnn-split"]),
        "ncnn in BF16": ("ncnn-bf16", paths["ncnn"]),
    }
    if form == EXACT.name:
        path = folder / f"{stem}-litert.tflite"
        content, layers["litert"] = write_litert(model)
        path.write_bytes(content)
        ways |= {"litert": ("litert", path), "litert in FP16": ("litert-f16", path)}
    infer = open_named(*ways[BASELINE], threads=1)
    logits = [infer(image) for image in np.load(folder / "images.npy")]
    np.save(folder / f"{stem}-logits.npy", np.stack(logits))
    report("small boards", form=form, size=[spec.height, spec.width], layers=layers)
    return ways


def measure_masks(checkpoint: Checkpoint, dataset: Dataset, form: str, ways: Ways) -> None:
    """Report how the masks of each way compare with ONNX Runtime's."""
    reference = open_named(*ways[BASELINE], threads=1)
    for name, (engine, path) in ways.items():
        if path == ways[BASELINE][1]:
            continue
        infer = open_named(engine, path, threads=1)
        differences: list[float] = []
        measured = compare_masks(
            _segment(checkpoint, dataset, reference, infer, differences),
            checkpoint.labels,
            ignore_index=checkpoint.labels.ignore_index,
        )
        report(
            "small boards: masks",
            form=form,
            way=name,
            dataset=dataset.title,
            images=measured.images,
            equal_pixels=round(measured.pixel_agreement, 4),
            drop=round(measured.drop or 0.0, 4),
            miou=round(measured.miou or 0.0, 3),
            largest_difference=float(f"{max(differences):.2g}"),
        )


def _segment(
    checkpoint: Checkpoint,
    dataset: Dataset,
    reference: Infer,
    infer: Infer,
    differences: list[float],
) -> Iterator[Masks]:
    spec = checkpoint.input
    for sample in dataset:
        frame = to_input(sample.image, spec)[0]
        logits = [engine(frame)[None].astype(np.float32) for engine in (reference, infer)]
        differences.append(float(np.abs(logits[0] - logits[1]).max()))
        expected, found = (to_frame_mask(one, spec, sample.image) for one in logits)
        yield Masks(sample.mask, expected, found)


def measure_times(form: str, ways: Ways, folder: Path, threads: int, rounds: int) -> None:
    """Report time and the processor's time, in turns, as ratios to ONNX Runtime's."""
    image = np.load(folder / "images.npy")[0]
    spent: dict[str, list[float]] = {name: [] for name in ways}
    runs = {
        name: partial(_spend, open_named(engine, path, threads), image, spent[name])
        for name, (engine, path) in ways.items()
    }
    times = alternate(runs, rounds=rounds)
    processor: Times = {name: np.array(s[WARM_UP_ROUNDS:]) for name, s in spent.items()}
    for name in ways:
        if name != BASELINE:
            report(
                "small boards: times",
                form=form,
                way=name,
                threads=threads,
                cpu=describe_machine().cpu,
                times_as_fast=compare(times, baseline=BASELINE, ours=name),
                of_processor_time=compare(processor, baseline=BASELINE, ours=name),
            )


def _spend(infer: Infer, image: np.ndarray, spent: list[float]) -> None:
    spent.append(time_once(infer, image)[1])


def measure_memory(form: str, ways: Ways, folder: Path) -> None:
    """Report the largest memory of a process of each engine, its Python included."""
    found = {}
    for name, (engine, path) in ways.items():
        command = [sys.executable, Path(__file__).with_name("small_engines.py"), engine, folder]
        command += [path.name, "--threads", "1", "--runs", "1"]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])["memory_mb"]
    report("small boards: memory", form=form, memory_mb=found)


if __name__ == "__main__":
    run_script(main)
