from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from seeded import model_spec, normalized, random_image, transformers_model, twin_of
from torch import nn
from torch.nn import functional

from edgeseg.export.segformer import network as segformer
from edgeseg.export.segformer.network import SegFormer
from edgeseg.export.segformer.rewrites import rewrite
from edgeseg.segformer.arch import HeadKind
from edgeseg.segformer.macs import PAPER_GMACS, count_costs
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

# 150 classes; reference: the published checkpoints' own counts.
PUBLISHED_PARAMS = {
    "b0": 3_752_694,
    "b1": 13_715_798,
    "b2": 27_461_974,
    "b3": 47_337_814,
    "b4": 64_108_374,
    "b5": 84_708_694,
}


@dataclass(frozen=True, kw_only=True)
class Parity:
    variant: str
    size: tuple[int, int]


SIZES = ((512, 512), (360, 480), (97, 131))
SHORT = {("b0", (360, 480))} | {(variant, (97, 131)) for variant in PUBLISHED_PARAMS}
CASES = [
    pytest.param(
        Parity(variant=variant, size=size),
        id=f"{variant}-{size[0]}x{size[1]}",
        marks=() if (variant, size) in SHORT else (pytest.mark.long,),
    )
    for variant in PUBLISHED_PARAMS
    for size in SIZES
]


@pytest.mark.parametrize("variant", PUBLISHED_PARAMS)
def test_parameters_equal_the_published_counts(variant: str) -> None:
    spec = model_spec(variant, classes=150)
    with torch.device("meta"):
        model = SegFormer(spec)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED_PARAMS[variant]
    assert count_costs(spec, height=512, width=512).params == PUBLISHED_PARAMS[variant]


@pytest.mark.parametrize("variant", PUBLISHED_PARAMS)
def test_macs_match_the_papers_table(variant: str) -> None:
    paper, side = PAPER_GMACS[variant]
    spec = model_spec(variant, classes=150)
    # The table has one decimal and leaves open what it counts: within half a percent.
    assert count_costs(spec, height=side, width=side).macs_original == pytest.approx(
        paper * 1e9, rel=5e-3
    )


@pytest.mark.parametrize("head", HeadKind)
@pytest.mark.parametrize("size", [(512, 512), (97, 131)], ids=str)
def test_macs_equal_what_the_modules_execute(head: HeadKind, size: tuple[int, int]) -> None:
    spec = model_spec("b0", head=head)
    counted = count_costs(spec, height=size[0], width=size[1])
    with torch.device("meta"):
        original = SegFormer(spec)
        image = torch.zeros(1, 3, *size)
    assert _executed_macs(original, image) == counted.macs_original
    deployed = rewrite(SegFormer(spec), mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert _executed_macs(deployed, random_image(*size)) == counted.macs


def _executed_macs(model: nn.Module, image: torch.Tensor) -> int:
    """torch's own counter, which knows convolutions and matrix products; it counts 2 a MAC."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model(image)
    total: int = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_transformers(case: Parity) -> None:
    """In float32 but for rounding, and in float64."""
    oracle = transformers_model(case.variant)
    ours, image = twin_of(oracle), random_image(*case.size)
    single = normalized(image, torch.float32)
    expected, found = oracle(single).logits, ours(single)
    assert expected.std() >= 1
    assert (found - expected).abs().max() / expected.std() < 1e-4
    assert _difference(oracle, ours.double(), image) < 1e-9


def test_tanh_gelu_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, ours = _pair("b0")
    exact = functional.gelu
    monkeypatch.setattr(segformer.functional, "gelu", lambda x: exact(x, approximate="tanh"))
    found = ours(normalized(random_image(97, 131)))
    monkeypatch.undo()  # the oracle may use the same function
    expected = oracle.double()(normalized(random_image(97, 131))).logits
    assert (found - expected).abs().max() / expected.std() > 1e-9


@pytest.mark.parametrize("factor", [0.1, 10])
def test_another_layer_norm_eps_would_be_noticed(factor: float) -> None:
    oracle, ours = _pair("b0")
    for module in ours.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps *= factor
    assert _difference(oracle, ours, random_image(97, 131)) > 1e-9


def test_another_order_of_concatenation_would_be_noticed() -> None:
    oracle, ours = _pair("b0")
    fuse = ours.head.fuse.weight
    fuse.copy_(torch.cat(fuse.chunk(4, dim=1)[::-1], dim=1))
    assert _difference(oracle, ours, random_image(97, 131)) > 1e-9


def _pair(variant: str) -> tuple[nn.Module, SegFormer]:
    """The oracle and ours with the same float32 weights, both computing in float64."""
    oracle = transformers_model(variant)
    return oracle, twin_of(oracle).double()


def _difference(oracle: nn.Module, ours: SegFormer, image: torch.Tensor) -> float:
    """Largest difference of the logits, in their standard deviations."""
    expected = oracle.double()(normalized(image)).logits
    assert expected.std() >= 1
    return float((ours(normalized(image)) - expected).abs().max() / expected.std())
