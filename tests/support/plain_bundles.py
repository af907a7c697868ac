"""The smallest bundles there can be."""

from __future__ import annotations

from pathlib import Path

from edgeseg.bundle.manifest import (
    CheckpointInfo,
    Chosen,
    Golden,
    Manifest,
    ModelInfo,
    Parity,
    Tensor,
    VariantInfo,
)
from edgeseg.bundle.staging import new_bundle, seal_bundle
from edgeseg.labels import Labels
from edgeseg.spec import InputSpec


def plain_manifest(name: str) -> Manifest:
    return Manifest(
        name=name,
        target="onnxruntime",
        model=ModelInfo(variant="b0", head="linear", decoder_width=256, params=1, macs=2),
        labels=Labels(classes=("a", "b"), palette=((0, 0, 0), (1, 1, 1))),
        input=InputSpec(height=64, width=64),
        input_tensor=Tensor(name="image", dtype="uint8", shape=(1, 64, 64, 3), layout="NHWC"),
        output_tensor=Tensor(name="logits", dtype="float32", shape=(1, 2, 16, 16), layout="NCHW"),
        variants=(VariantInfo(name="fp32", precision="fp32", file="model.onnx", recipe="float"),),
        chosen=Chosen(variant="fp32", reason="the only variant"),
        checkpoint=CheckpointInfo(source="w.pth", layout="nvlabs", sha256="0", license="unknown"),
        parity=Parity(max_abs_diff=0.0, images=4, image_source="demo scenes"),
        golden=(Golden(frame="golden/f.png", mask="golden/m.png", agreement={"fp32": 100.0}),),
        tools={},
    )


def write_plain(folder: Path, manifest: Manifest) -> None:
    with new_bundle(folder) as staging:
        (staging / "model.onnx").write_bytes(b"onnx")
        (staging / "golden").mkdir()
        for golden in manifest.golden:
            (staging / golden.frame).write_bytes(b"frame")
            (staging / golden.mask).write_bytes(b"mask")
        seal_bundle(staging, manifest)
