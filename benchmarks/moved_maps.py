"""What other ways to move maps through memory gain and lose, in turns with the graph as written.

    python benchmarks/moved_maps.py [--weights demo] [--size 512x1024] [--form merge-queries-keys12]
        [--engine onnxruntime openvino] [--rounds 15] [--threads 2]

All compute the same function; the largest difference of the logits is printed. FP32.

- center first: the mean is subtracted before the image goes from NHWC to NCHW, not behind it.
- broadcast sum: the averaged attention is added with broadcasting in place of Expand and Add.
- pooling: AveragePool of an image in place of ReduceMean of tokens.
- two means: ReduceMean over rows, then over columns, in place of both at once.
- features twice: each stage's feature is transposed for each of its two readers.

`speed` is of the engine alone, in turns. `by_kind_ms` is from the engine's profiler, as
profile_graph.py takes it: it shows the effect on a busy machine, too.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from alternating import alternate, compare, compute_medians, report
from onnx import helper, numpy_helper
from profile_graph import PROFILERS, sum_by_kind, write_artifact

from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.demo import DEMO
from edgeseg.export.checkpoint import Checkpoint, read_checkpoint
from edgeseg.machine.cpu import describe_machine
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.segformer.form import read_form

WRITTEN = "as written"
Weights = dict[str, np.ndarray]
# A node, and the weights that it brings.
Made = tuple[onnx.NodeProto, Weights]


def main() -> None:
    """Print a JSON line for each engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--weights", default=DEMO, help="a checkpoint; the packaged demo by default")
    add("--size", type=parse_hw, default=(512, 1024), metavar="HxW", help="of even feature maps")
    add("--form", default="merge-queries-keys12", help="a form that averages queries")
    add("--engine", nargs="+", choices=PROFILERS, default=list(PROFILERS))
    add("--rounds", type=int, default=15)
    add("--threads", type=int, help="all cores by default")
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.weights, size=options.size)
    for engine in options.engine:
        compare_ways(checkpoint, engine, options)


def compare_ways(checkpoint: Checkpoint, engine: str, options: argparse.Namespace) -> None:
    """Time and profile every way in an engine."""
    form, threads = read_form(options.form), options.threads
    frame = np.random.default_rng(0).integers(0, 256, (1, *options.size, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        runs, spent = {}, {}
        for name, change in WAYS.items():
            place = Path(folder) / name
            place.mkdir()
            path = write_artifact(checkpoint, form, engine, place, change)
            profile = PROFILERS[engine](path, frame, options.rounds, threads)
            spent[name] = {kind: round(ms, 2) for kind, ms in sum_by_kind(profile)[0].items() if ms}
            backend = stack.enter_context(closing(open_artifact(engine, path, threads=threads)))
            runs[name] = partial(backend.infer, frame)
        expected = runs[WRITTEN]().copy()
        differences = {name: float(np.abs(run() - expected).max()) for name, run in runs.items()}
        times = alternate(runs, rounds=options.rounds)
    machine = describe_machine()
    report(
        "moved_maps",
        engine=engine,
        threads=threads or "all",
        size=options.size,
        form=form.name,
        cpu=machine.cpu,
        features=machine.features,
        difference=differences,
        by_kind_ms=spent,
        median_ms=compute_medians(times),
        speed={name: compare(times, baseline=WRITTEN, ours=name) for name in runs},
    )


def change_nodes(
    model: onnx.ModelProto, rewrite: Callable[[onnx.NodeProto, Weights], Iterator[Made] | None]
) -> onnx.ModelProto:
    """Replace each node by what `rewrite` yields for it; None keeps it."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    weights = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    del changed.graph.node[:]
    for node in model.graph.node:
        made = rewrite(node, weights)
        if made is None:
            changed.graph.node.append(node)
            continue
        for new, brought in made:
            changed.graph.node.append(new)
            changed.graph.initializer.extend(
                numpy_helper.from_array(array, name) for name, array in brought.items()
            )
    return changed


def make(
    operation: str, inputs: Sequence[str], output: str, *numbers: int, **attributes: object
) -> Made:
    """Make a node; `numbers` are its second input: a shape, or axes."""
    brought = {f"{output}.numbers": np.array(numbers, np.int64)} if numbers else {}
    return helper.make_node(operation, [*inputs, *brought], [output], output, **attributes), brought


def center_first(model: onnx.ModelProto) -> onnx.ModelProto:
    """Subtract the mean in NHWC."""

    def rewrite(node: onnx.NodeProto, weights: Weights) -> Iterator[Made] | None:
        if node.name == "preprocess.to_image":
            return iter(())
        if node.name != "preprocess.center":
            return None
        mean = weights[node.input[1]].reshape(-1)
        sub = helper.make_node(
            "Sub", ["preprocess.cast", "mean"], ["preprocess.centered"], "preprocess.centered"
        )
        image = make("Transpose", ["preprocess.centered"], node.output[0], perm=[0, 3, 1, 2])
        return iter(((sub, {"mean": mean}), image))

    return change_nodes(model, rewrite)


def broadcast_sum(model: onnx.ModelProto) -> onnx.ModelProto:
    """Add what attention answers to the four tokens of each, without writing it four times."""

    def rewrite(node: onnx.NodeProto, weights: Weights) -> Iterator[Made] | None:
        block, _, rest = node.name.partition(".attn_")
        if rest in {"spread.fours", "spread"}:
            return iter(())
        if rest != "residual" or f"{block}.attn_spread.size" not in weights:
            return None
        rows, _, columns, _, width = weights[f"{block}.attn_spread.size"]
        grid, fours, tokens = f"{block}.grid", f"{block}.fours.sum", node.input[0]
        return iter(
            (
                make("Reshape", [tokens], grid, rows, 2, columns, 2, width),
                make("Add", [grid, f"{block}.attn_spread.ones"], fours),
                make("Reshape", [fours], node.output[0], 4 * rows * columns, width),
            )
        )

    return change_nodes(model, rewrite)


def replace_means(
    model: onnx.ModelProto, write: Callable[[onnx.NodeProto, str, np.ndarray], Iterator[Made]]
) -> onnx.ModelProto:
    """Replace each mean of 2x2 tokens, which a Reshape into (H/2, 2, W/2, 2, C) comes before."""
    sources = {node.output[0]: node for node in model.graph.node}

    def rewrite(node: onnx.NodeProto, weights: Weights) -> Iterator[Made] | None:
        if node.op_type != "ReduceMean":
            return None
        fours = sources[node.input[0]]
        return write(node, fours.input[0], weights[fours.input[1]])

    return change_nodes(model, rewrite)


def pool(node: onnx.NodeProto, tokens: str, shape: np.ndarray) -> Iterator[Made]:
    """Average with AveragePool."""
    rows, _, columns, _, width = shape
    grid, image, small = (f"{node.name}.{part}" for part in ("grid", "image", "small"))
    yield make("Reshape", [tokens], grid, 1, 2 * rows, 2 * columns, width)
    yield make("Transpose", [grid], image, perm=[0, 3, 1, 2])
    yield make("AveragePool", [image], small, kernel_shape=[2, 2], strides=[2, 2])
    yield make("Transpose", [small], node.output[0], perm=[0, 2, 3, 1])


def average_twice(node: onnx.NodeProto, tokens: str, shape: np.ndarray) -> Iterator[Made]:
    """Average rows, then columns."""
    rows, _, columns, _, width = shape
    pairs, mean, beside = (f"{node.name}.{part}" for part in ("pairs", "rows", "beside"))
    # Before opset 18 the axes are an attribute, from then on an input.
    axes = {} if len(node.input) > 1 else {"axes": [1]}
    second = [1] if len(node.input) > 1 else []
    yield make("Reshape", [tokens], pairs, rows, 2, 2 * columns * width)
    yield make("ReduceMean", [pairs], mean, *second, keepdims=0, **axes)
    yield make("Reshape", [mean], beside, rows * columns, 2, width)
    yield make("ReduceMean", [beside], node.output[0], *second, keepdims=0, **axes)


def write_features_twice(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give the head transposed features of its own."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for place, node in reversed(list(enumerate(changed.graph.node))):
        if node.op_type == "Transpose" and node.name.endswith(".feature"):
            again = f"{node.name}.again"
            head = [one for one in changed.graph.node if node.output[0] in one.input][-1]
            head.input[list(head.input).index(node.output[0])] = again
            twin = make("Transpose", node.input, again, perm=[0, 3, 1, 2])[0]
            changed.graph.node.insert(place + 1, twin)
    return changed


WAYS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    WRITTEN: lambda model: model,
    "center first": center_first,
    "broadcast sum": broadcast_sum,
    "pooling": partial(replace_means, write=pool),
    "two means": partial(replace_means, write=average_twice),
    "features twice": write_features_twice,
}


if __name__ == "__main__":
    run_script(main)
