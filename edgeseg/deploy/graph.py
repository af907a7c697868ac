"""The float network: as an ONNX graph, and as the target's artifact, compared with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.bundle.manifest import FrameworkCheck, Parity
from edgeseg.datasets import Dataset
from edgeseg.demo import draw_scene
from edgeseg.demo.splits import DEMO_SPLITS
from edgeseg.deploy.job import ExportJob
from edgeseg.deploy.own_framework import check_own_framework
from edgeseg.pixels import Bgr, Frame, Logits, to_input
from edgeseg.progress import begin, track
from edgeseg.quantize.recipes import FLOAT
from edgeseg.quantize.search import Candidate
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.segformer.form import EXACT, Form
from edgeseg.targets import find_target
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.export.segformer.rewrites import DeployedSegFormer

__all__ = ["FloatGraph", "read_examples", "write_graph", "write_graph_in_form"]

PARITY_FRAMES: Final = 4
_PRECISIONS: Final = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}

# Camera sizes (height, width), so that golden frames exercise resizing both ways.
_DEMO_SIZES: Final = ((480, 640), (720, 1280))


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatGraph:
    """The float network as an ONNX graph, and as the target's artifact in the staging folder.

    `candidates` are the artifact under each type that this machine computes in, FP32 first.
    `parity` says how close the graph comes to PyTorch. `form` is that of the network; of any but
    the exact one, `framework` is None.
    """

    model: ModelProto
    artifact: Path
    candidates: tuple[Candidate, ...]
    parity: Parity
    framework: FrameworkCheck | None
    form: Form = EXACT


def write_graph(job: ExportJob) -> FloatGraph:
    """Write the checkpoint's network in the format of the target.

    Raises:
        ExportError: the graph does not compute what the checkpoint computes.
        MissingPackageError: what converts it for the target is not installed.
    """
    from edgeseg.export.reference import run_published

    model = _to_onnx(job, _rewrite(job, EXACT), EXACT)
    path = job.staging / "model.onnx"
    path.write_bytes(model.SerializeToString())
    frames = list(read_examples(job.request.dataset, PARITY_FRAMES))
    published = run_published(job.checkpoint.model, job.checkpoint.input)
    parity = _compare(job, path, frames, published, EXACT)
    framework = check_own_framework(job, path, frames)
    artifact, candidates = _make_artifact(job, model, path)
    return FloatGraph(
        model=model,
        artifact=artifact,
        candidates=candidates,
        parity=parity,
        framework=framework,
    )


def write_graph_in_form(job: ExportJob, form: Form, folder: Path) -> FloatGraph:
    """Write the network in another form than the exact one, into a folder of the search's.

    The graph is compared with PyTorch's network of the same form: that shows that it is written
    right. What the form itself costs is for the gates to judge.

    Raises:
        ExportError: the graph does not compute what PyTorch computes.
    """
    from edgeseg.export.reference import run_deployed

    deployed = _rewrite(job, form)
    model = _to_onnx(job, deployed, form)
    path = folder / f"form_{form.digest}.onnx"
    path.write_bytes(model.SerializeToString())
    frames = list(read_examples(job.request.dataset, PARITY_FRAMES))
    parity = _compare(job, path, frames, run_deployed(deployed), form)
    artifact, candidates = _make_artifact(job, model, path)
    return FloatGraph(
        model=model,
        artifact=artifact,
        candidates=candidates,
        parity=parity,
        framework=None,
        form=form,
    )


def _make_artifact(
    job: ExportJob, model: ModelProto, path: Path
) -> tuple[Path, tuple[Candidate, ...]]:
    """Convert a graph, which `path` holds, for the target.

    Return the artifact, and a candidate for each type that this machine computes in.
    """
    from edgeseg.export.storage import halve_weights

    stored = FLOAT
    # After parity, which is of the graph: golden masks show what storing costs.
    if job.request.small:
        path.write_bytes(halve_weights(model).SerializeToString())
        stored = replace(FLOAT, name="float, weights stored as FP16")
    maker = load_maker(job.request.target)
    artifact = maker.convert(path)
    return artifact, tuple(
        Candidate(
            name=_PRECISIONS[compute],
            precision=_PRECISIONS[compute],
            compute=compute,
            recipe=stored,
            path=artifact,
        )
        for compute in maker.float_types()
    )


def read_examples(dataset: Dataset | None, count: int) -> Iterator[Bgr]:
    """Yield at most `count` images, spread over the data set; without one, drawn scenes."""
    return islice(_examples(dataset), count)


def _rewrite(job: ExportJob, form: Form) -> DeployedSegFormer:
    from edgeseg.export.segformer.rewrites import rewrite

    begin(job.progress, "writing the graph")
    spec = job.checkpoint.input
    return rewrite(job.checkpoint.model, mean=spec.mean, std=spec.std, form=form)


def _to_onnx(job: ExportJob, deployed: DeployedSegFormer, form: Form) -> ModelProto:
    from edgeseg.export.segformer.to_onnx import to_onnx

    spec = job.checkpoint.input
    opset = find_target(job.request.target).opset
    model = to_onnx(deployed, height=spec.height, width=spec.width, opset=opset)
    nodes = len(model.graph.node)
    written = f"graph{_name_form(form)} written"
    job.progress.say(f"{written}: {nodes} nodes, input {spec.height}x{spec.width}")
    return model


def _compare(
    job: ExportJob,
    path: Path,
    frames: Sequence[Bgr],
    compute: Callable[[Frame], Logits],
    form: Form,
) -> Parity:
    """Measure how close the graph comes to PyTorch on a few images."""
    from edgeseg.export.reference import check_parity

    # The folder's name only: a bundle travels, and paths of one machine say nothing on another.
    dataset = job.request.dataset
    title = "demo scenes" if dataset is None else dataset.title
    spec = job.checkpoint.input
    inputs = (
        to_input(frame, spec) for frame in track(job.progress, "comparing with PyTorch", frames)
    )
    parity = check_parity(path, compute, inputs, image_source=title)
    job.progress.say(
        f"parity{_name_form(form)} with PyTorch: "
        f"logits differ by at most {parity.max_abs_diff:.1e} "
        f"on {pluralize(parity.images, 'image')} ({title})"
    )
    return parity


def _name_form(form: Form) -> str:
    return "" if form.is_exact else f" of form {form.name}"


def _examples(dataset: Dataset | None) -> Iterator[Bgr]:
    if dataset is not None:
        for item in dataset.take_evenly(PARITY_FRAMES).items:
            yield item.image()
        return
    for index in range(PARITY_FRAMES):
        yield _draw_example(index)


@lru_cache(maxsize=PARITY_FRAMES)
def _draw_example(index: int) -> Bgr:
    """Draw a scene of camera size, once: parity, golden frames and a sweep's exports share it."""
    seed, frame = DEMO_SPLITS["val"].frames(PARITY_FRAMES)[index]
    height, width = _DEMO_SIZES[index % len(_DEMO_SIZES)]
    return draw_scene(seed, frame, height=height, width=width).image
