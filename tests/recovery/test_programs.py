"""A program computes what the engine of its artifact computes, and is written back as a file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from seeded import model_spec, seeded_model
from typed_graphs import HEIGHT, WIDTH, frame

from edgeseg.errors import ExportError
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.export.segformer.to_onnx import to_onnx
from edgeseg.quantize.share import int8_share
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Kind
from edgeseg.recovery.recover import read_program
from edgeseg.segformer.form import EXACT, FORMS, Form, HeadForm
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from artifacts import Artifact

COARSE = Form(name="coarse", keys=frozenset({3}), head=HeadForm.STRIDE_8)
SEEDS = (40, 41)
# In units of each constant: enough to show beside the rounding of kernels.
CHANGES = {Kind.SCALE: 40, Kind.SHIFT: 8, Kind.WEIGHT: 8}


def infer(artifact: Artifact, path: Path, seed: int) -> np.ndarray:
    with closing(artifact.open(path)) as engine:
        return engine.infer(frame(seed))


def compute(network: Network, seed: int) -> np.ndarray:
    with torch.no_grad():
        return network(torch.from_numpy(frame(seed))).logits.numpy()


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    return 100 * float((a.argmax(1) == b.argmax(1)).mean())


def test_it_computes_what_the_engine_computes(artifact: Artifact) -> None:
    """INT8 kernels round at other moments, so single values differ; classes hardly do."""
    network = Network(read_program(artifact.path))
    teacher = Network(read_program(artifact.teacher))
    for seed in SEEDS:
        exact = compute(teacher, seed)
        with closing(artifact.open(artifact.teacher)) as engine:
            assert np.abs(exact - engine.infer(frame(seed))).max() < 2e-3
        own, engines = compute(network, seed), infer(artifact, artifact.path, seed)
        assert agreement(own, engines) > 99
        # It is nearer to its engine than to the network in FP32.
        assert np.abs(own - engines).mean() < 0.6 * np.abs(engines - exact).mean()


def test_unchanged_constants_leave_the_function_as_it_is(
    artifact: Artifact, tmp_path: Path
) -> None:
    program = read_program(artifact.path)
    again = tmp_path / artifact.path.name
    program.write(Network(program).export_values(), again)
    assert int8_share(again) == int8_share(artifact.path)
    for seed in SEEDS:
        np.testing.assert_array_equal(
            infer(artifact, again, seed), infer(artifact, artifact.path, seed)
        )


@pytest.mark.parametrize("kind", [Kind.SCALE, Kind.SHIFT, Kind.WEIGHT])
def test_changed_constants_are_what_the_engine_reads(
    artifact: Artifact, kind: Kind, tmp_path: Path
) -> None:
    """Of every kind: the written file follows the network in PyTorch."""
    program = read_program(artifact.path)
    network = Network(program)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for change in network.select(kind):
            change += CHANGES[kind] * torch.randn(change.shape, generator=generator)
    again = tmp_path / artifact.path.name
    program.write(network.export_values(), again)
    for seed in SEEDS:
        own, engines = compute(network, seed), infer(artifact, again, seed)
        before = infer(artifact, artifact.path, seed)
        assert np.abs(own - engines).mean() < 0.5 * np.abs(own - before).mean()


def test_every_kind_of_constant_is_found(artifact: Artifact) -> None:
    program = read_program(artifact.path)
    weights = [c for c in program.constants.values() if c.kind is Kind.WEIGHT]
    assert len(weights) == 63  # 39 convolutions and 24 products
    assert all((c.unit > 0).all() for c in program.constants.values() if c.kind is not Kind.FIXED)


def test_an_operator_that_nobody_knows_is_named(
    artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    model = onnx.load(artifacts["onnxruntime"].path)
    next(node for node in model.graph.node if node.op_type == "Gelu").op_type = "Mystery"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(ExportError, match=r"odd\.onnx: Mystery of stage1.block0.gelu cannot be"):
        read_program(tmp_path / "odd.onnx")


@pytest.mark.parametrize("form", [FORMS["merge-queries-keys12"], COARSE], ids=lambda one: one.name)
def test_what_a_form_hands_on_is_compared_with_the_exact_networks(
    form: Form, tmp_path: Path
) -> None:
    """All of it but a head's sum at another size; without what to compare, nothing is learned."""
    model = seeded_model(model_spec("b0", classes=11))
    traces = []
    for number, one in enumerate((EXACT, form)):
        path = tmp_path / f"{number}.onnx"
        deployed = rewrite(model, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=one)
        onnx.save(to_onnx(deployed, height=HEIGHT, width=WIDTH, opset=20), path)
        with torch.no_grad():
            traces.append(Network(read_program(path))(torch.from_numpy(frame(0))))
    exact, own = traces
    assert own.logits.shape == exact.logits.shape
    assert exact.blocks.keys() - own.blocks.keys() == (
        {"head.stage1.sum"} if form is COARSE else set()
    )
    for name, value in own.blocks.items():
        assert value.shape == exact.blocks[name].shape
