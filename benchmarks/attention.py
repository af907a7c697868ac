"""What other ways to write the attention gain and lose, in turns with the graph as it is written.

    python benchmarks/attention.py [--size 512x1024 1024x2048] [--form exact merge-queries-keys12]

All compute the same function; the largest difference of the logits is printed. B0 with random
weights and 19 classes, the engine alone, all cores.

- as written: MatMul, Softmax, MatMul.
- one operator: ONNX Runtime's MultiHeadAttention, which is what edgeseg ships for it.
- folded output: where a stage has one head, the output projection goes into the values.
- folded both: there the query projection goes into the keys, too; its bias becomes an addition.
- Attention-23: ONNX's own operator, which OpenVINO reads as its ScaledDotProductAttention.
- sums in the norm: ONNX Runtime's SkipLayerNormalization for each residual and the norm behind it.

`--memory` prints instead the largest memory of a process that runs one of the first two.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from alternating import alternate, compare, compute_medians, report
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from seeded import transformers_model, twin_of

from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.machine.cpu import describe_machine
from edgeseg.quantize.attention import fuse_attention
from edgeseg.quantize.targets.maker import load_maker
from edgeseg.runtime.backends.backend import open_artifact
from edgeseg.segformer.form import read_form
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD
from edgeseg.targets import find_target

CLASSES = 19
WRITTEN = "as written"
ENGINES = ("onnxruntime", "openvino")
# The first opset with Attention.
ATTENTION_OPSET = 23


def main() -> None:
    """Print a JSON line for each engine, size and form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--size", nargs="+", type=parse_hw, default=[(512, 1024), (1024, 2048)], metavar="HxW")
    add("--form", nargs="+", default=["exact", "merge-queries-keys12"])
    add("--rounds", type=int, default=9)
    add("--memory", action="store_true")
    add("--run", type=Path, help=argparse.SUPPRESS)  # one file, in a process of its own
    options = parser.parse_args()
    if options.run is not None:
        print(measure_memory(options.run, *options.size[0]))
        return
    for size in options.size:
        for name in options.form:
            graph = write_graph(size, name)
            with tempfile.TemporaryDirectory() as folder:
                if options.memory:
                    compare_memory(graph, size, name, Path(folder))
                    continue
                for engine in ENGINES:
                    compare_ways(graph, engine, size, name, Path(folder), options.rounds)


def write_graph(size: tuple[int, int], form: str) -> onnx.ModelProto:
    """The deployed graph before any engine's own rewrite."""
    network = twin_of(transformers_model("b0", classes=CLASSES))
    deployed = rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=read_form(form))
    opset = find_target("onnxruntime").opset
    return to_onnx(deployed, height=size[0], width=size[1], opset=opset)


def compare_ways(
    graph: onnx.ModelProto,
    engine: str,
    size: tuple[int, int],
    form: str,
    folder: Path,
    rounds: int,
) -> None:
    """Time every way that an engine reads, in turns."""
    ways: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
        WRITTEN: lambda model: model,
        "folded output": partial(fold, keys=False),
        "folded both": partial(fold, keys=True),
    }
    if engine == "onnxruntime":
        ways |= {"one operator": fuse_attention, "sums in the norm": join_sums}
    else:
        ways["Attention-23"] = use_standard_operator
    frame = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    with ExitStack() as stack:
        runs = {}
        for name, change in ways.items():
            path = folder / f"{name.replace(' ', '_')}.onnx"
            path.write_bytes(change(graph).SerializeToString())
            if engine != "onnxruntime":  # whose conversion would change the graph
                path = load_maker(engine).convert(path)
            backend = stack.enter_context(closing(open_artifact(engine, path)))
            runs[name] = partial(backend.infer, frame)
        expected = runs[WRITTEN]()[0].copy()
        differences = {name: float(np.abs(run()[0] - expected).max()) for name, run in runs.items()}
        times = alternate(runs, rounds=rounds)
    speed = {name: compare(times, baseline=WRITTEN, ours=name) for name in runs if name != WRITTEN}
    report(
        "attention",
        engine=engine,
        size=size,
        form=form,
        cpu=describe_machine().cpu,
        features=describe_machine().features,
        difference=differences,
        logits_std=float(expected.std()),
        median_ms=compute_medians(times),
        speed=speed,
    )


def fold(model: onnx.ModelProto, *, keys: bool) -> onnx.ModelProto:
    """Fold the projections around each attention of one head into its keys and values."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    weights = {w.name: numpy_helper.to_array(w).astype(np.float64) for w in graph.initializer}
    nodes = {node.name: node for node in graph.node}
    blocks = [name.removesuffix(".scores") for name in nodes if name.endswith(".scores")]
    dropped: set[str] = set()
    for block in blocks:
        if weights[f"{block}.q_heads.split.shape"][1] != 1:
            continue
        kv, out = weights[f"{block}.kv.weight"], weights[f"{block}.attn_out.weight"]
        shift = weights[f"{block}.kv.bias"]
        width = len(kv)
        values, values_shift = kv[:, width:] @ out, shift[width:] @ out
        kv[:, width:], shift[width:] = values, values_shift + weights[f"{block}.attn_out.bias"]
        dropped.add(f"{block}.attn_out")
        nodes[f"{block}.merged"].output[0] = f"{block}.attn_out"
        if keys:
            query, bias = weights[f"{block}.q.weight"], weights[f"{block}.q.bias"]
            column = kv[:, :width] @ bias[:, None]
            kv[:, :width], shift[:width] = kv[:, :width] @ query.T, 0
            weights[f"{block}.shift.weight"] = column
            dropped.add(f"{block}.q")
            nodes[f"{block}.q_heads.split"].input[0] = nodes[f"{block}.q"].input[0]
            _add_shift(changed, block, nodes)
    kept = [node for node in graph.node if node.name not in dropped]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    given = {weight.name: weight.data_type for weight in model.graph.initializer}
    for name, array in weights.items():
        kind = helper.tensor_dtype_to_np_dtype(given.get(name, onnx.TensorProto.FLOAT))
        graph.initializer.append(numpy_helper.from_array(array.astype(kind), name))
    return changed


def _add_shift(model: onnx.ModelProto, block: str, nodes: dict[str, onnx.NodeProto]) -> None:
    """Add what is left of the query's bias, one value a key, to the scores."""
    scores = nodes[f"{block}.scores"]
    added = [
        helper.make_node(
            "MatMul",
            [nodes[f"{block}.kv"].input[0], f"{block}.shift.weight"],
            [f"{block}.shift.column"],
            name=f"{block}.shift.column",
        ),
        helper.make_node(
            "Transpose",
            [f"{block}.shift.column"],
            [f"{block}.shift"],
            f"{block}.shift",
            perm=[1, 0],
        ),
        helper.make_node(
            "Add", [f"{block}.scores", f"{block}.shift"], [f"{block}.shifted"], f"{block}.shifted"
        ),
    ]
    place = list(model.graph.node).index(scores) + 1
    for offset, node in enumerate(added):
        model.graph.node.insert(place + offset, node)
    nodes[f"{block}.softmax"].input[0] = f"{block}.shifted"


def use_standard_operator(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write each attention as ONNX's own operator."""
    changed = fuse_attention(model)
    for node in changed.graph.node:
        if node.op_type == "MultiHeadAttention":
            heads = next(a.i for a in node.attribute if a.name == "num_heads")
            node.op_type, node.domain = "Attention", ""
            del node.attribute[:]
            given = {"q_num_heads": heads, "kv_num_heads": heads, "scale": 1.0}
            node.attribute.extend(helper.make_attribute(key, value) for key, value in given.items())
    del changed.opset_import[:]
    changed.opset_import.append(helper.make_opsetid("", ATTENTION_OPSET))
    return changed


def join_sums(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write each residual sum and the norm behind it as one operator."""
    changed = fuse_attention(model)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in changed.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    nodes, joined = [], set()
    for node in changed.graph.node:
        norms = [n for n in readers.get(node.output[0], []) if n.op_type == "LayerNormalization"]
        if node.name in joined:
            continue
        if node.op_type != "Add" or len(norms) != 1:
            nodes.append(node)
            continue
        (norm,) = norms
        joined.add(norm.name)
        epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
        nodes.append(
            helper.make_node(
                "SkipLayerNormalization",
                [*node.input, *norm.input[1:]],
                [norm.output[0], "", "", node.output[0]],
                norm.name,
                domain="com.microsoft",
                epsilon=epsilon,
            )
        )
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def compare_memory(graph: onnx.ModelProto, size: tuple[int, int], form: str, folder: Path) -> None:
    """Print the largest memory of ONNX Runtime with the attention as written and as one node."""
    found = {}
    ways: Sequence[tuple[str, onnx.ModelProto]] = [
        (WRITTEN, graph),
        ("one operator", fuse_attention(graph)),
    ]
    for name, model in ways:
        path = folder / f"{name.replace(' ', '_')}.onnx"
        path.write_bytes(model.SerializeToString())
        done = subprocess.run(
            [sys.executable, __file__, "--run", str(path), "--size", f"{size[0]}x{size[1]}"],
            capture_output=True,
            check=True,
        )
        found[name] = int(done.stdout)
    print(json.dumps({"benchmark": "attention", "size": size, "form": form, "memory_mb": found}))


def measure_memory(path: Path, height: int, width: int) -> int:
    """Run one file twice; the largest memory of this process, in MB."""
    with closing(open_artifact("onnxruntime", path)) as backend:
        for _ in range(2):
            backend.infer(np.zeros((1, height, width, 3), np.uint8))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    run_script(main)
