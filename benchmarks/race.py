"""SegFormer B0 from image to mask: transformers' export, edgeseg, and whatever you name, in turns.

    python benchmarks/race.py [--engine onnxruntime openvino] [--size 512x512 512x1024 1024x2048]
        [--form merge-queries-keys2] [--peer NAME=FILE.onnx ...] [--precision f32] [--rounds 15]

Timed is all between an image of the input's size and its mask of that size. All run in the same
engine with the settings and threads of edgeseg's runtime. 512x512 has 150 classes, others have 19.

- transformers: its own model by torch's exporters, the faster of dynamo and torchscript.
- edgeseg: the exact network; the form; and the form in INT8 (recipe int8-linear, in OpenVINO by
  NNCF). All are made by the export's own code, from transformers' weights.
- NAME: an ONNX file for one size that gives logits or a class map of the input's size. A name may
  have a file for each size. What fits no size is left out, and a line says why.

edgeseg casts and normalizes the uint8 image in its graph and checks its logits; floats that others
take are prepared before. A class map is its own mask. All logits become masks by edgeseg's
`to_mask`, those of transformers, too: what its users have instead is slower (see masks.py).

Weights are random: what the form and INT8 change says nothing then, and is not printed. In FP32 the
logits of transformers' exports and of the exact network are held against transformers in PyTorch
(`equal_pixels` counts the exact network's mask), and those of the form against PyTorch in that
form. Random masks have more borders than trained ones (`mixed_cells`), which makes them cost more.
INT8 is calibrated on four drawn scenes. 1024x2048 takes 10 GB of memory.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from alternating import alternate, compare, compute_medians, report
from contenders import CALIBRATED_ON, MODEL, RECIPE, Course, make_int8, make_tools, prepare_course
from masks import summarize
from peers import Peer, explain_output, gives_logits, make_mask, read_peer

from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.errors import BackendError, ExportError
from edgeseg.machine.cpu import describe_machine
from edgeseg.progress import SILENT
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.backends.backend import load_runner, open_artifact
from edgeseg.runtime.backends.checked import name_failures
from edgeseg.segformer.form import EXACT, Form, read_form
from edgeseg.segformer.macs import count_costs

if TYPE_CHECKING:
    from edgeseg.pixels import Output
    from edgeseg.runtime.backends.backend import Backend
    from edgeseg.runtime.backends.checked import Engine

THEIRS = "transformers"
# Enough to tell two exports apart that differ by more than noise.
ROUNDS_TO_PICK = 3
# Of the logits' standard deviation, in FP32.
TOLERANCE = 1e-4
PRECISIONS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """An engine with a graph, on a course; `data` is the course's image as the graph takes it."""

    engine: Backend | Engine
    data: np.ndarray
    course: Course

    def infer(self) -> Output:
        return self.engine.infer(self.data)

    def segment(self) -> np.ndarray:
        return make_mask(self.infer(), height=self.course.height, width=self.course.width)


def main() -> None:
    """Print a JSON line for each peer that is left out, and one for each size and engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    engines = ["onnxruntime", "openvino"]
    sizes = [(512, 512), (512, 1024), (1024, 2048)]
    parser.add_argument("--engine", nargs="+", choices=engines, default=engines)
    parser.add_argument("--size", nargs="+", type=parse_hw, default=sizes, metavar="HxW")
    parser.add_argument("--form", default="merge-queries-keys2", help="a name or a JSON file")
    parser.add_argument(
        "--peer", nargs="+", action="extend", type=parse_peer, default=[], metavar="NAME=FILE"
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="f32", help="of what is not INT8"
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    form = read_form(options.form)
    peers = [read_peer(name, path) for name, path in options.peer]
    for engine in options.engine:
        check_precision(engine, options.precision)
    for size in options.size:
        with tempfile.TemporaryDirectory() as folder:
            fitting = list(choose_peers(peers, *size))
            course = prepare_course(*size, Path(folder))
            for engine in options.engine:
                contest = Contest(
                    engine=engine,
                    compute=options.precision,
                    course=course,
                    form=form,
                    folder=Path(folder) / engine,
                )
                contest.run(fitting, rounds=options.rounds)


def parse_peer(text: str) -> tuple[str, Path]:
    """Parse a name and a file, for example yolo26n=yolo26n-sem.onnx."""
    name, _, path = text.partition("=")
    if not (name and path):
        raise argparse.ArgumentTypeError(f"give NAME=FILE.onnx; got {text!r}")
    return name, Path(path)


def check_precision(engine: str, compute: str) -> None:
    """Refuse a float type that the engine does not compute in on this machine."""
    able = load_maker(engine).float_types()
    if compute not in able:
        raise BackendError(
            f"{engine} computes in {', '.join(able)} here, not in {compute}; choose another "
            f"--engine or --precision"
        )


def choose_peers(peers: Sequence[Peer], height: int, width: int) -> Iterator[Peer]:
    """Yield the peers that take this size, one of a name; say which others are left out."""
    taken = {THEIRS}
    for peer in peers:
        reason = peer.explain_misfit(height, width)
        if reason is None and peer.name in taken:
            reason = f"there is another {peer.name} of this size"
        if reason is None:
            taken.add(peer.name)
            yield peer
        else:
            report_left_out(peer, reason, size=[height, width])


def report_left_out(peer: Peer, reason: str, **where: object) -> None:
    """Print a line for a peer that does not race."""
    report("race", **where, peer=peer.name, file=peer.path.name, left_out=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A race in one engine on one course; `compute` is the type of what is not INT8.

    Files are written into `folder`.
    """

    engine: str
    compute: str
    course: Course
    form: Form
    folder: Path

    def run(self, peers: Sequence[Peer], *, rounds: int) -> None:
        """Make, check and time all; print a line."""
        own, share = self._make_own()
        exact = next(iter(own))
        equal = self._check_logits(own[exact])
        exporter = self._pick_export()
        with ExitStack() as stack:
            theirs = self._open_foreign(self.course.exports[exporter], self.course.pixels, stack)
            runners = {
                THEIRS: theirs,
                **{name: self._open_own(path, stack) for name, path in own.items()},
                **dict(self._open_peers(peers, stack)),
            }
            outputs = {name: runner.infer() for name, runner in runners.items()}
            described = {
                "outputs": {name: f"{o.dtype} {o.shape}" for name, o in outputs.items()},
                "mixed_cells": {
                    name: summarize(output)["mixed_cells"]
                    for name, output in outputs.items()
                    if gives_logits(output)
                },
            }
            times = alternate({n: runner.segment for n, runner in runners.items()}, rounds=rounds)
            version = runners[exact].engine.name
        machine = describe_machine()
        report(
            "race",
            model=MODEL,
            engine=version,
            size=[self.course.height, self.course.width],
            classes=self.course.classes,
            cpu=machine.cpu,
            features=machine.features,
            cores=machine.cores,
            form=self.form.describe(),
            recipe=RECIPE.name,
            int8_share=round(share, 3),
            calibration_images=CALIBRATED_ON,
            transformers_export=exporter,
            peers={peer.name: peer.path.name for peer in peers if peer.name in runners},
            macs=self._count_macs(),
            equal_pixels=equal,
            **described,
            median_ms=compute_medians(times),
            speed={name: compare(times, baseline=exact, ours=name) for name in times},
        )

    def _make_own(self) -> tuple[dict[str, Path], float]:
        """Make edgeseg's graphs, exact first; tell how much of the last is INT8."""
        own = {}
        floats = PRECISIONS[self.compute]
        for form in dict.fromkeys((EXACT, self.form)):
            folder = self.folder / form.digest
            tools = make_tools(self.engine, self.course.checkpoint, form, folder)
            own[f"edgeseg {form.name} {floats}"] = tools.floats[0].path
        beside = "" if self.compute == "f32" else f"+{floats}"
        path, share = make_int8(self.engine, tools, folder)
        return {**own, f"edgeseg {self.form.name} int8{beside}": path}, share

    def _check_logits(self, exact: Path) -> float:
        """Hold FP32 logits against PyTorch's; return the share of pixels with the same class."""
        course = self.course
        graphs = dict.fromkeys(course.exports.values(), course.pixels) | {exact: course.frame}
        for path, data in graphs.items():
            with closing(self._open_engine(path, "f32")) as engine:
                logits = engine.infer(data)
                difference = float(np.abs(logits - course.logits).max() / course.logits.std())
                mask = make_mask(logits, height=course.height, width=course.width)
            if not difference <= TOLERANCE:  # also true for NaN
                raise ExportError(
                    f"{path.name} in {self.engine} differs from transformers in PyTorch by "
                    f"{difference:.1e} standard deviations; there is nothing to race"
                )
        expected = make_mask(course.logits, height=course.height, width=course.width)
        return round(float((mask == expected).mean()), 6)

    def _pick_export(self) -> str:
        """Tell which of torch's exporters made the faster graph for this engine."""
        with ExitStack() as stack:
            calls = {
                name: self._open_foreign(path, self.course.pixels, stack).infer
                for name, path in self.course.exports.items()
            }
            medians = compute_medians(alternate(calls, rounds=ROUNDS_TO_PICK))
        return min(medians, key=lambda name: medians[name])

    def _open_peers(self, peers: Sequence[Peer], stack: ExitStack) -> Iterator[tuple[str, Runner]]:
        """Open the peers that this engine runs; say why others are left out."""
        course = self.course
        for peer in peers:
            try:
                runner = self._open_foreign(
                    peer.path, peer.prepare(course.frame, course.pixels), stack
                )
                with name_failures(self.engine):
                    output = runner.infer()
            except BackendError as error:
                reason: str | None = str(error)
            else:
                reason = explain_output(
                    output, classes=course.classes, height=course.height, width=course.width
                )
            if reason is None:
                yield peer.name, runner
            else:
                report_left_out(
                    peer, reason, engine=self.engine, size=[course.height, course.width]
                )

    def _open_own(self, path: Path, stack: ExitStack) -> Runner:
        """Open a graph as edgeseg's runtime does, which checks every result."""
        engine = stack.enter_context(
            closing(open_artifact(self.engine, path, compute=self.compute))
        )
        return Runner(engine=engine, data=self.course.frame, course=self.course)

    def _open_foreign(self, path: Path, data: np.ndarray, stack: ExitStack) -> Runner:
        """Open a graph with the same settings, and no check."""
        engine = stack.enter_context(closing(self._open_engine(path, self.compute)))
        return Runner(engine=engine, data=data, course=self.course)

    def _open_engine(self, path: Path, compute: str) -> Engine:
        runner = load_runner(self.engine)
        first = runner.list_devices()[0].name
        return runner.open_engine(
            path, compute=compute, device=first, threads=None, keep=False, progress=SILENT
        )

    def _count_macs(self) -> dict[str, int]:
        size = self.course.checkpoint.input
        spec = self.course.checkpoint.spec
        costs = {
            form: count_costs(spec, height=size.height, width=size.width, form=form)
            for form in (EXACT, self.form)
        }
        return {
            THEIRS: costs[EXACT].macs_original,
            **{f"edgeseg {form.name}": cost.macs for form, cost in costs.items()},
        }


if __name__ == "__main__":
    run_script(main)
