"""Writes small files from which B0's and B2's graphs are made again, without PyTorch.

    python tools/gpu_kit.py KIT        on a workstation with edgeseg[export]; a few hundred kB

A graph of B2 has 110 MB of weights. For timing and for the agreement of two engines any weights
will do that keep values in their range, so each large weight is replaced by its spread, and drawn
again where the kit is opened. tools/gpu_check.sh carries the kit to a machine with a GPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeseg.cli.scripts import parse_hw, run_script

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgeseg.export.segformer.network import SegFormer

__all__ = ["CLASSES", "FORMS", "NETWORKS", "open_graph", "write_kit"]

NETWORKS: Final = ("b0", "b2")
FORMS: Final = ("exact", "merge-queries-keys12")
CLASSES: Final = 150
_LARGE: Final = 4096  # values


def main() -> None:
    """Write the kit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kit", type=Path, help="the folder to make")
    parser.add_argument("--size", type=parse_hw, default=(512, 512), help="of the input; 512x512")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    given = parser.parse_args()
    write_kit(given.kit, given.networks, given.forms, given.size)


def write_kit(
    kit: Path, networks: Sequence[str], forms: Sequence[str], size: tuple[int, int]
) -> None:
    """Write a graph without its large weights, and their spreads, for each network and form."""
    from edgeseg.export.segformer.network import SegFormer
    from edgeseg.export.segformer.rewrites import rewrite
    from edgeseg.export.segformer.to_onnx import to_onnx
    from edgeseg.segformer.arch import VARIANTS, HeadKind, ModelSpec, NormEps
    from edgeseg.segformer.form import FORMS as KNOWN
    from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

    kit.mkdir(parents=True, exist_ok=True)
    eps = NormEps(patch_embed=1e-5, block=1e-6, reduction=1e-5, stage=1e-6)
    for variant in networks:
        known = VARIANTS[variant]
        spec = ModelSpec(
            encoder=known.encoder,
            classes=CLASSES,
            decoder_width=known.decoder_width,
            head=HeadKind.LINEAR,
            eps=eps,
        )
        network = _draw_weights(SegFormer(spec).eval().requires_grad_(requires_grad=False))
        for form in forms:
            deployed = rewrite(network, mean=IMAGENET_MEAN, std=IMAGENET_STD, form=KNOWN[form])
            _save(to_onnx(deployed, height=size[0], width=size[1]), kit / f"{variant}_{form}")


def _draw_weights(network: SegFormer) -> SegFormer:
    """Draw weights that keep values in their range, with logits that differ from place to place."""
    import torch
    from torch import nn

    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                spread = (2 / module.weight[0].numel()) ** 0.5
                module.weight.normal_(0, spread, generator=generator)
        image = torch.randn(1, 3, 64, 64, generator=generator)
        network.head.classifier.weight.mul_(2 / network(image).std())
    return network


def _save(model: ModelProto, path: Path) -> None:
    """Save a graph as PATH.onnx and PATH.json; `open_graph` reads both."""
    from onnx import numpy_helper

    spreads, small = {}, []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.size > _LARGE and values.dtype == np.float32:
            spreads[weight.name] = (values.shape, float(values.std()))
        else:
            small.append(weight)
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)
    path.with_suffix(".onnx").write_bytes(model.SerializeToString())
    path.with_suffix(".json").write_text(json.dumps(spreads), "utf-8")


def open_graph(path: Path) -> ModelProto:
    """Make a graph of a kit again: `path` is that of its .onnx file. The same numbers each time."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    spreads = json.loads(path.with_suffix(".json").read_text("utf-8"))
    for number, (name, (shape, spread)) in enumerate(spreads.items()):
        values = np.random.default_rng(number).standard_normal(shape, np.float32) * spread
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    return model


if __name__ == "__main__":
    run_script(main)
