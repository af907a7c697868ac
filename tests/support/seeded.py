"""Seeded models whose numbers are large enough to show a mistake.

transformers initializes logits below 0.13, which hides almost anything. Here every LayerNorm and
BatchNorm is random, weights keep the signal's size, and the classifier is scaled so that the
logits' standard deviation is at least 1.
"""

from __future__ import annotations

import torch
from torch import nn

from edgeseg.export.architecture import Unseen
from edgeseg.export.segformer.layouts import HUGGING_FACE_5
from edgeseg.export.segformer.mapping import infer_spec, map_weights
from edgeseg.export.segformer.network import SegFormer
from edgeseg.segformer.arch import VARIANTS, Encoder, HeadKind, ModelSpec, NormEps
from edgeseg.spec import IMAGENET_MEAN, IMAGENET_STD

EPS = NormEps(patch_embed=1e-5, block=1e-6, reduction=1e-5, stage=1e-6)

UNSEEN = Unseen()


def model_spec(variant: str, *, head: HeadKind = HeadKind.LINEAR, classes: int = 19) -> ModelSpec:
    chosen = VARIANTS[variant]
    width = chosen.decoder_width if head is HeadKind.LINEAR else 256
    return ModelSpec(
        encoder=chosen.encoder, classes=classes, decoder_width=width, head=head, eps=EPS
    )


@torch.no_grad()
def randomize(model: nn.Module, *, seed: int) -> None:
    """Random weights of unit gain, random norms, random running statistics."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            module.weight.uniform_(0.5, 1.5, generator=generator)
            module.bias.uniform_(-0.5, 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            fan_in = module.weight[0].numel()
            module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
            if module.bias is not None:
                module.bias.uniform_(-0.5, 0.5, generator=generator)


@torch.no_grad()
def scale_logits(classifier: nn.Conv2d, logits: torch.Tensor) -> None:
    """Bring the logits' standard deviation to 2."""
    factor = 2 / logits.std()
    classifier.weight.mul_(factor)
    classifier.bias.mul_(factor)


def seeded_model(spec: ModelSpec, *, seed: int = 0) -> SegFormer:
    """Our own network, in float32, in evaluation mode."""
    model = SegFormer(spec).eval().requires_grad_(False)
    randomize(model, seed=seed)
    scale_logits(model.head.classifier, model(torch.zeros(1, 3, 64, 64)))
    return model


def slim_model(*, classes: int) -> SegFormer:
    """All that is in B0, with half its channels and one block a stage: half the work.

    The seed gives masks of several classes.
    """
    encoder = Encoder(
        widths=(16, 32, 80, 128), depths=(1, 1, 1, 1), ffn_widths=(128, 128, 320, 512)
    )
    spec = ModelSpec(
        encoder=encoder, classes=classes, decoder_width=64, head=HeadKind.LINEAR, eps=EPS
    )
    return seeded_model(spec, seed=3)


def transformers_model(variant: str, *, classes: int = 19, seed: int = 0) -> nn.Module:
    """transformers' SegFormer with the same kind of weights, in float32."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    chosen = VARIANTS[variant]
    config = SegformerConfig(
        num_labels=classes,
        hidden_sizes=list(chosen.encoder.widths),
        depths=list(chosen.encoder.depths),
        decoder_hidden_size=chosen.decoder_width,
    )
    model = SegformerForSemanticSegmentation(config).eval().requires_grad_(False)
    randomize(model, seed=seed)
    probe = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    scale_logits(model.decode_head.classifier, model(probe).logits)
    return model


def twin_of(oracle: nn.Module, unseen: Unseen = UNSEEN) -> SegFormer:
    """Our network with a transformers model's weights, through the loader."""
    state = oracle.state_dict()
    spec = infer_spec(state, HUGGING_FACE_5, unseen, origin="oracle")
    model = SegFormer(spec)
    model.load_state_dict(map_weights(state, HUGGING_FACE_5, model, origin="oracle"), strict=False)
    return model.eval().requires_grad_(False)


def random_image(height: int, width: int, *, seed: int = 0) -> torch.Tensor:
    """uint8 BGR (1, H, W, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, height, width, 3), generator=generator, dtype=torch.uint8)


def normalized(image: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """uint8 BGR (1, H, W, 3) to normalized RGB (1, 3, H, W), as the paper's code does it."""
    mean, std = (torch.tensor(v, dtype=torch.float64) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return ((image.flip(3).double() / 255 - mean) / std).permute(0, 3, 1, 2).to(dtype)
