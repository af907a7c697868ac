"""Trains a SegFormer on drawn scenes or on a folder of images and masks.

    python tools/train.py --data demo --half -o out/train/demo_b0
    python tools/train.py --data camvid --size 512x512 -o out/train/camvid_b0

Runs on a CPU or a GPU, in bfloat16 where that computes in it, with all images in memory. A run that
was stopped goes on with `--resume`. It ends with the mIoU on the test split, measured as `edgeseg
verify` does, and leaves a checkpoint in Hugging Face's form with a model card.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from training_data import IGNORE, Data, batch, load

from edgeseg.accuracy.metrics import confusion, iou, mean_iou
from edgeseg.cli.scripts import parse_hw, run_script
from edgeseg.demo import DEMO
from edgeseg.export.checkpoint import read_checkpoint
from edgeseg.export.reference import compute_reference_mask
from edgeseg.export.segformer.huggingface import write_huggingface
from edgeseg.export.segformer.network import AllMlpHead, SegFormer, upsample
from edgeseg.machine.cpu import describe_machine
from edgeseg.segformer.arch import VARIANTS, HeadKind, ModelSpec, NormEps
from edgeseg.spec import InputSpec

# transformers', which will read the result.
EPS = NormEps(patch_embed=1e-5, block=1e-5, reduction=1e-5, stage=1e-5)
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
SAVE_EVERY = 500
SHOW_EVERY = 100


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Test accuracies in points (0..100)."""

    images: int
    miou: float
    class_iou: dict[str, float]


def main() -> None:
    """Train, measure, write."""
    options = parse()
    if options.output.exists():
        sys.exit(f"train: {options.output} exists; remove it or choose another -o")
    torch.manual_seed(options.seed)
    height, width = options.size
    spec = InputSpec(height=height, width=width)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = load(options)
    print(
        f"{len(data.train)} images to train on, {len(data.test)} to test on, {device}", flush=True
    )
    model = make_model(options, len(data.labels.classes))
    average = train(model.to(device), data, options, device).cpu()
    if options.half:
        average = average.half().float()
    scores = measure(average, spec, data)
    write_huggingface(options.output, average, labels=data.labels, spec=spec, half=options.half)
    (options.output / "README.md").write_text(write_card(options, scores), "utf-8")
    find_resume_file(options).unlink(missing_ok=True)
    print(json.dumps({"images": scores.images, "miou": scores.miou, "class_iou": scores.class_iou}))
    print(f"written: {options.output}")
    print(f"next: edgeseg export --weights {options.output}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--variant", choices=VARIANTS, default="b0")
    add("--data", default=DEMO, help="demo, or a folder with splits (see edgeseg verify)")
    add("--split", default="train", help="to train on")
    add("--test-split", default="test", help="to be measured on")
    add("--weights", help="start from this checkpoint's weights, not from random ones")
    add(
        "--size",
        type=parse_hw,
        default=(512, 512),
        metavar="HxW",
        help="the checkpoint's input size",
    )
    add("--crop", type=int, default=256, help="side of a training crop, in pixels")
    add("--batch", type=int, default=8)
    add("--steps", type=int, default=9000)
    add("--rate", type=float, default=1.2e-3, help="highest learning rate")
    add("--seed", type=int, default=0)
    add("--half", action="store_true", help="store the weights as FP16")
    add("--resume", action="store_true", help="go on from the last saved step")
    add("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def make_model(options: argparse.Namespace, classes: int) -> SegFormer:
    """A new model; with `--weights`, every weight of theirs that fits."""
    variant = VARIANTS[options.variant]
    spec = ModelSpec(
        encoder=variant.encoder,
        classes=classes,
        decoder_width=variant.decoder_width,
        head=HeadKind.LINEAR,
        eps=EPS,
    )
    model = SegFormer(spec)
    initialize(model)
    if options.weights is not None:
        own = model.state_dict()
        theirs = read_checkpoint(options.weights).model.state_dict()
        fits = {k: v for k, v in theirs.items() if k in own and own[k].shape == v.shape}
        model.load_state_dict({**own, **fits})
        print(f"{len(fits)} of {len(own)} weights from {options.weights}", flush=True)
    return model


def initialize(model: nn.Module) -> None:
    """As the paper's code does: truncated normal for linear layers, fan-out for convolutions."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0, math.sqrt(2 * module.groups / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def train(
    model: SegFormer, data: Data, options: argparse.Namespace, device: torch.device
) -> SegFormer:
    """Minimize cross-entropy; return the exponential moving average of the weights."""
    average = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(make_parameter_groups(model), lr=options.rate, weight_decay=0.01)
    start = restore(model, average, optimizer, options, device) if options.resume else 0
    begun, shown = time.monotonic(), 0.0
    model.train()
    for step in range(start, options.steps):
        for group in optimizer.param_groups:
            group["lr"] = compute_learning_rate(step, options)
        loss = compute_loss(model, data, step, options, device)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own is not annotated
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        move(average, model, decay=min(0.999, (step + 1) / (step + 10)))
        shown = loss.item() if step == start else 0.98 * shown + 0.02 * loss.item()
        if (step + 1) % SHOW_EVERY == 0:
            left = (time.monotonic() - begun) / (step + 1 - start) * (options.steps - step - 1)
            print(
                f"step {step + 1}/{options.steps} loss {shown:.4f} left {left / 60:.1f} min",
                flush=True,
            )
        if (step + 1) % SAVE_EVERY == 0:
            save(model, average, optimizer, step + 1, options)
    return average


def compute_loss(
    model: SegFormer, data: Data, step: int, options: argparse.Namespace, device: torch.device
) -> Tensor:
    """Cross-entropy plus soft Jaccard, at full resolution, on the batch of this step."""
    images, masks = (x.to(device) for x in batch(data, step, options))
    with torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bfloat16(device)):
        logits = forward(model, images)
    full = upsample(logits.float(), (options.crop, options.crop))
    return functional.cross_entropy(full, masks, ignore_index=IGNORE) + compute_jaccard(full, masks)


def computes_in_bfloat16(device: torch.device) -> bool:
    """On a processor that has to emulate it, it is several times slower than float32."""
    return device.type != "cpu" or not BFLOAT16.isdisjoint(describe_machine().features)


def compute_jaccard(logits: Tensor, masks: Tensor) -> Tensor:
    """One less the mean soft IoU over the classes of the batch (Rahman and Wang 2016, ISVC).

    Cross-entropy hardly sees a class of few pixels; this counts every class alike, as mIoU does.
    """
    known = masks != IGNORE
    truth = functional.one_hot(masks.where(known, 0), logits.shape[1]).permute(0, 3, 1, 2)
    truth = truth * known[:, None]
    shares = logits.softmax(1) * known[:, None]
    hits = (shares * truth).sum((0, 2, 3))
    union = shares.sum((0, 2, 3)) + truth.sum((0, 2, 3)) - hits
    present = truth.sum((0, 2, 3)) > 0
    return 1 - (hits / union.clamp_min(1))[present].mean()


def make_parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels only."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    return [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]


def compute_learning_rate(step: int, options: argparse.Namespace) -> float:
    """Linear warm-up over a twentieth of the steps, then half a cosine down to 0."""
    warm_up = options.steps // 20
    if step < warm_up:
        return float(options.rate * (step + 1) / warm_up)
    share = (step - warm_up) / (options.steps - warm_up)
    return float(options.rate * 0.5 * (1 + math.cos(math.pi * share)))


def forward(model: SegFormer, images: Tensor) -> Tensor:
    """The network through the rewritten decoder: the same function at half the cost.

    As in `edgeseg.export.segformer.rewrites`, each projection is merged with its share of the
    fusing convolution, before the upsampling; but here gradients reach the ordinary weights.
    """
    features = []
    x = images
    for stage in model.stages:
        x = stage(x)
        features.append(x)
    head = model.head
    if not isinstance(head, AllMlpHead):
        raise TypeError("only the head that transformers has can be trained")
    size = (features[0].shape[2], features[0].shape[3])
    shares = head.fuse.weight.flatten(1).chunk(4, dim=1)[::-1]  # it concatenates coarse to fine
    total = torch.zeros(())
    for feature, projection, share in zip(features, head.projections, shares, strict=True):
        weight = share @ projection.get_parameter("weight")
        bias = share @ projection.get_parameter("bias")
        part = functional.conv2d(feature, weight[:, :, None, None], bias)
        total = part if feature is features[0] else total + upsample(part, size)
    logits: Tensor = head.classifier(functional.relu(head.norm(total)))
    return logits


@torch.no_grad()
def move(average: nn.Module, model: nn.Module, *, decay: float) -> None:
    """Move the averaged weights and running statistics toward the current ones."""
    theirs = model.state_dict()
    for name, ours in average.state_dict().items():
        if ours.is_floating_point():
            ours.lerp_(theirs[name], 1 - decay)
        else:
            ours.copy_(theirs[name])


def find_resume_file(options: argparse.Namespace) -> Path:
    """Where an unfinished run is kept, beside its output."""
    output: Path = options.output
    return output.with_name(output.name + ".resume.pth")


def save(
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    options: argparse.Namespace,
) -> None:
    """Write what resuming needs; the whole file or none."""
    path = find_resume_file(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    content = {"model": model.state_dict(), "average": average.state_dict(), "step": step}
    torch.save({**content, "optimizer": optimizer.state_dict()}, partial)
    partial.replace(path)


def restore(
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    options: argparse.Namespace,
    device: torch.device,
) -> int:
    """Load the last saved state; return its step, or 0 where nothing was saved."""
    path = find_resume_file(options)
    if not path.exists():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"going on from step {state['step']}", flush=True)
    return int(state["step"])


def measure(model: SegFormer, spec: InputSpec, data: Data) -> Scores:
    """IoU on the test images, as `edgeseg verify` counts it."""
    classes = len(data.labels.classes)
    counts = np.zeros((classes, classes), np.int64)
    for sample in data.test:
        predicted = compute_reference_mask(model, spec, sample.image)
        counts += confusion(
            sample.mask, predicted, classes=classes, ignore_index=data.labels.ignore_index
        )
    names_and_values = zip(data.labels.classes, iou(counts), strict=True)
    return Scores(
        images=len(data.test),
        miou=round(mean_iou(counts), 2),
        class_iou={n: round(float(100 * v), 2) for n, v in names_and_values if not np.isnan(v)},
    )


def write_card(options: argparse.Namespace, scores: Scores) -> str:
    """The model card. A license stands in it where the data are ours to license."""
    terms = "license: apache-2.0\n" if options.data == DEMO else ""
    data = "edgeseg's drawn streets" if options.data == DEMO else Path(options.data).resolve().name
    rows = "\n".join(f"| {name} | {value:.2f} |" for name, value in scores.class_iou.items())
    size = "x".join(map(str, options.size))
    return f"""---
{terms}library_name: transformers
pipeline_tag: image-segmentation
---
# SegFormer-{options.variant.upper()} trained on {data}

Test mIoU {scores.miou:.2f} on {scores.images} images, input {size}, seed {options.seed}.
Trained by

    python tools/train.py {shlex.join(sys.argv[1:])}

| class | IoU |
| --- | ---: |
{rows}
"""


if __name__ == "__main__":
    run_script(main)
