"""Reads a trained checkpoint of any known form as a model with its labels and its input.

a folder                   Hugging Face's: weights, config.json, preprocessor_config.json
a .safetensors file        with those two JSON files beside it, or none
a .pth, .pt, .bin or .ckpt  a pickle; read without running it
a hub id (org/name)        fetched only when it is named and no such path exists
demo                       the one that comes with edgeseg
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.demo import DEMO
from edgeseg.errors import CheckpointError
from edgeseg.export.architecture import describe_unseen
from edgeseg.export.contents import Contents, read_contents
from edgeseg.export.facts import Settled, assume_facts, settle
from edgeseg.export.json_files import read_json
from edgeseg.export.locating import find_weights
from edgeseg.export.metadata import Metadata, read_metadata
from edgeseg.export.segformer.layouts import Layout, State
from edgeseg.export.segformer.mapping import (
    describe_auxiliary,
    find_layout,
    infer_spec,
    map_weights,
)
from edgeseg.export.segformer.one_logit import (
    Threshold,
    has_one_logit,
    name_classes,
    settle_threshold,
    split_logit,
)
from edgeseg.export.weights.shards import INDEX
from edgeseg.files.whole import compute_sha256
from edgeseg.labels import Labels
from edgeseg.machine.extras import require
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.progress import Say, ignore
from edgeseg.segformer.arch import ModelSpec
from edgeseg.spec import ChannelOrder, InputSpec
from edgeseg.text import pluralize, to_encodable

if TYPE_CHECKING:
    from edgeseg.export.segformer.network import SegFormer

__all__ = ["UNKNOWN_LICENSE", "Checkpoint", "read_checkpoint"]

UNKNOWN_LICENSE: Final = "unknown"

_FIRST_KERNELS: Final = "stages.0.patch_embed.proj.weight"  # (width, 3, 7, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model with its trained weights, in evaluation mode, and the input that it expects.

    The model takes RGB, whatever `channel_order` it was trained with. `input_sources` names the
    source of each of the input's facts. `reduce_labels` says that training used masks whose 0 means
    "no class" and whose other ids are one too high. It concerns ground truth only: frames do not
    change. `threshold` is the probability above which one logit, here the model's second of two,
    means the second class; None for a checkpoint that has a logit for each class. `weights_key` is
    the user's word for the network in a file that holds several.
    """

    model: SegFormer
    input: InputSpec
    labels: Labels
    labels_source: str
    source: str
    layout: str
    sha256: str
    license: str
    reduce_labels: bool = False
    channel_order: ChannelOrder = ChannelOrder.RGB
    input_sources: Mapping[str, str] = field(default_factory=dict)
    threshold: float | None = None
    weights_key: str | None = None

    @property
    def spec(self) -> ModelSpec:
        """The model's shapes."""
        return self.model.spec


def read_checkpoint(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    labels: Labels | None = None,
    overrides: Overrides = NO_OVERRIDES,
    say: Say = ignore,
) -> Checkpoint:
    """Read a checkpoint; `size` (height, width), `labels` and `overrides` replace what it says.

    `source` is a file, a folder, a hub id, or `demo` for the checkpoint that comes with edgeseg.
    `say` receives a line for each thing that is assumed, overridden or ignored, and a line before
    the network is used.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or not a SegFormer; or edgeseg lacks its
            network or preprocessing; or `labels` has another number of classes.
        SpecError: a SegFormer cannot have this `size`.
        MissingPackageError: this is a base install, which runs bundles only.
    """
    _require_packages()
    weights, folder = find_weights(source, say=say)
    contents = read_contents(weights, key=overrides.weights_key)
    files = _read_files(folder, contents, origin=str(weights))
    layout = files.layout
    threshold = _settle_threshold(overrides, files, origin=str(weights))
    state = contents.state if threshold is None else split_logit(contents.state, layout, threshold)
    spec = files.apply_config(infer_spec(state, layout, files.read_unseen(), origin=str(weights)))
    settled = _settle_input(overrides, size, files, spec, origin=str(weights))
    spec.encoder.check_size(settled.input.height, settled.input.width)
    _check_multiple(settled.input, layout, origin=str(weights))
    chosen, labels_source = _choose_labels(labels, files, spec, origin=str(weights))
    head: tuple[str, ...] = () if threshold is None else (threshold.describe(chosen),)
    head += describe_auxiliary(state, layout)
    told = (*_describe_parts(weights, contents), *contents.notes, *_describe_widths(contents.state))
    for line in (*told, *head, *files.notes(), *describe_unseen(spec), *settled.lines):
        say(line)
    return Checkpoint(
        model=_build_model(spec, layout, state, settled.channel_order, origin=str(weights)),
        input=replace(settled.input, upsampling=layout.upsampling),
        labels=chosen,
        labels_source=labels_source,
        source=_name_checkpoint(source, weights),
        layout=layout.name,
        sha256=_hash_weights(contents),
        license=_read_license(folder),
        reduce_labels=files.reduces_labels(),
        channel_order=settled.channel_order,
        input_sources=settled.sources,
        threshold=None if threshold is None else threshold.value,
        weights_key=overrides.weights_key,
    )


def _read_files(folder: Path, contents: Contents, *, origin: str) -> Metadata:
    """Find the layout, and read what the files beside the weights say of them."""
    config = read_json(folder / "config.json")
    layout = find_layout(contents.state, config, origin=origin)
    return read_metadata(
        folder,
        layout,
        contents.meta,
        one_logit=has_one_logit(contents.state, layout),
        base=contents.base,
        replaces_classes=contents.replaces_classes,
        origin=origin,
    )


def _settle_input(
    overrides: Overrides,
    size: tuple[int, int] | None,
    files: Metadata,
    spec: ModelSpec,
    *,
    origin: str,
) -> Settled:
    """Settle the input: by the command line, else the files, else the framework's habits."""
    return settle(
        overrides,
        size,
        files.facts(spec.channels, overrides),
        assume_facts(spec.classes, files.layout.habits, channels=spec.channels),
        channels=spec.channels,
        origin=origin,
    )


def _settle_threshold(overrides: Overrides, files: Metadata, *, origin: str) -> Threshold | None:
    """Settle the threshold of one logit; a file is asked only where the command line is silent."""
    return settle_threshold(
        overrides.threshold,
        files.threshold() if overrides.threshold is None else None,
        files.layout,
        one_logit=files.one_logit,
        origin=origin,
    )


def _choose_labels(
    labels: Labels | None, files: Metadata, spec: ModelSpec, *, origin: str
) -> tuple[Labels, str]:
    """Choose the labels of the command line, else those of the files, and say whose they are."""
    chosen, source = (labels, "--labels") if labels else files.labels(spec)
    if files.one_logit and len(chosen.classes) == 1:
        chosen, _ = name_classes(chosen.classes)
    if len(chosen.classes) != spec.classes:
        raise CheckpointError(
            f"{origin} has {spec.classes} classes, but {source} names {len(chosen.classes)}"
        )
    return chosen, source


def _require_packages() -> None:
    """Require the packages that every checkpoint needs; the error names the whole extra."""
    if any(
        importlib.util.find_spec(package) is None for package in ("torch", "onnx", "safetensors")
    ):
        require("reading checkpoints", ["export"])


def _check_multiple(spec: InputSpec, layout: Layout, *, origin: str) -> None:
    """Refuse an input that the checkpoint's own framework refuses."""
    multiple = layout.habits.multiple
    if spec.height % multiple or spec.width % multiple:
        height, width = (-(-side // multiple) * multiple for side in (spec.height, spec.width))
        raise CheckpointError(
            f"{origin}: {layout.framework} takes sides that are multiples of {multiple}, and the "
            f"input is {spec.height}x{spec.width} (height x width); give --size {height}x{width}"
        )


def _describe_parts(weights: Path, contents: Contents) -> Iterator[str]:
    """Say that the weights lie in several files."""
    if weights.name.endswith(INDEX):
        parts = [path for path in contents.files if path != weights]
        yield f"weights read from {pluralize(len(parts), 'part')}, as {weights.name} lists them"


def _describe_widths(state: State) -> Iterator[str]:
    """Say that weights have 16 bits. edgeseg computes with them in float32, which holds each."""
    import torch

    for dtype, name in {torch.float16: "FP16", torch.bfloat16: "BF16"}.items():
        count = sum(tensor.dtype == dtype for tensor in state.values())
        if count:
            yield f"{count} of the {len(state)} weights are {name}, and are widened to float32"


def _name_checkpoint(source: str, weights: Path) -> str:
    """Name the checkpoint by its hub id, or by folder and file without this machine's path."""
    if source == DEMO or not Path(source).exists():
        return source
    return to_encodable(f"{weights.resolve().parent.name}/{weights.name}")


def _hash_weights(contents: Contents) -> str:
    """Hash the weights: the file, or the list of several files' hashes and the network's name.

    The name counts in a file that holds several networks.
    """
    lines = [*(compute_sha256(path) for path in contents.files), contents.part]
    listed = [line for line in lines if line]
    return listed[0] if len(listed) == 1 else hashlib.sha256("\n".join(listed).encode()).hexdigest()


def _build_model(
    spec: ModelSpec, layout: Layout, state: State, order: ChannelOrder, *, origin: str
) -> SegFormer:
    """Build the network for RGB; after training on BGR, reverse the first kernels' channels."""
    from edgeseg.export.segformer.network import SegFormer

    model = SegFormer(spec)
    mapped = map_weights(state, layout, model, origin=origin)
    if order is ChannelOrder.BGR:
        mapped[_FIRST_KERNELS] = mapped[_FIRST_KERNELS].flip(1)
    model.load_state_dict(mapped, strict=False)
    return model.eval().requires_grad_(requires_grad=False)


def _read_license(folder: Path) -> str:
    """Read the license from the model card's front matter, as the hub does."""
    try:
        card = (folder / "README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return UNKNOWN_LICENSE
    front_matter = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = (
        re.search(r"^license:\s*(\S.*)$", front_matter[1], re.MULTILINE) if front_matter else None
    )
    return found[1].strip().strip("'\"") if found else UNKNOWN_LICENSE
