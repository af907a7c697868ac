"""What a bundle says about itself: typed values, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import msgspec

from edgeseg.bundle.variants import (
    Accuracy,
    BatchInfo,
    FormInfo,
    RecoveryInfo,
    Value,
    VariantInfo,
)
from edgeseg.errors import BundleError, SpecError
from edgeseg.labels import Labels
from edgeseg.segformer.arch import ATTENTION_HEADS, PerStage
from edgeseg.spec import ChannelOrder, InputSpec

__all__ = [
    "SCHEMA",
    "Accuracy",
    "BatchInfo",
    "CalibrationInfo",
    "CheckpointInfo",
    "Chosen",
    "File",
    "Evaluation",
    "FormInfo",
    "FrameworkCheck",
    "Golden",
    "Machine",
    "Manifest",
    "ModelInfo",
    "Parity",
    "RecoveryInfo",
    "SizeInfo",
    "Tensor",
    "VariantInfo",
    "to_json",
    "decode_manifest",
    "encode_manifest",
]

SCHEMA: Final = 1


class File(Value, frozen=True, kw_only=True):
    """One file of the bundle: its hash in hexadecimal, and its size in bytes."""

    sha256: str
    bytes: int


class Tensor(Value, frozen=True, kw_only=True):
    """A graph's input or output: its dimensions, such as (1, 512, 512, 3), and their meanings."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str


class ModelInfo(Value, frozen=True, kw_only=True):
    """The network: which size and kind of SegFormer it is.

    `decoder_width` is the number of the decoder's channels. `params` counts all weights, `macs` the
    deployed graph's multiply-adds for a frame. `heads` are the attention heads of each stage.
    """

    variant: str
    head: str
    decoder_width: int
    params: int
    macs: int
    heads: PerStage = ATTENTION_HEADS
    widths: PerStage | None = None
    depths: PerStage | None = None


class CheckpointInfo(Value, frozen=True, kw_only=True):
    """Where the weights come from; `license` is `unknown` where nothing states it.

    `reduce_labels` says that the masks of the training had 0 for no class, and all other ids one
    too high. `channel_order` is the order in training; the graph of a color network takes blue,
    green, red in any case. `input_sources` says who decided the input's size, resize, aspect, mean,
    std and channel_order. `threshold` is the probability above which one logit of the checkpoint
    meant the second of two classes; None where it had a logit for each class.
    """

    source: str
    layout: str
    sha256: str
    license: str
    reduce_labels: bool = False
    channel_order: ChannelOrder = ChannelOrder.RGB
    input_sources: dict[str, str] = msgspec.field(default_factory=dict)
    threshold: float | None = None


class Parity(Value, frozen=True, kw_only=True):
    """How far the FP32 graph's logits are from the checkpoint's own network, on some images."""

    max_abs_diff: float
    images: int
    image_source: str


class FrameworkCheck(Value, frozen=True, kw_only=True):
    """The FP32 graph's masks against those of the framework that trained the checkpoint.

    `agreement` is the share of the pixels with the same class, in %, over all `images`.
    """

    name: str
    version: str
    agreement: float
    images: int


class CalibrationInfo(Value, frozen=True, kw_only=True):
    """The images that ranges come from: their number, their origin, and their pixels' hash.

    The hash is of the images as they are; of every two, edgeseg calibrates on one in other light.
    """

    source: str
    images: int
    sha256: str
    estimator: str


class Evaluation(Value, frozen=True, kw_only=True):
    """What accuracy was measured on: `searched` images guided the search, `gated` images decided.

    `sha256` is the hash of all these images with their ground truth, in order.
    """

    data: str
    split: str | None
    labelled: bool
    searched: int
    gated: int
    sha256: str


class Machine(Value, frozen=True, kw_only=True):
    """Where latencies were measured.

    `features` are the instructions that inference depends on; `cores` is their number.
    """

    cpu: str
    architecture: str
    features: tuple[str, ...]
    cores: int


class Chosen(Value, frozen=True, kw_only=True):
    """The variant that runs, and the reason."""

    variant: str
    reason: str


class Golden(Value, frozen=True, kw_only=True):
    """A frame, the reference mask for it, and each variant's pixel agreement with it in points."""

    frame: str
    mask: str
    agreement: dict[str, float]


class SizeInfo(Value, frozen=True, kw_only=True):
    """A complete bundle of the same weights for a smaller input, inside the bundle.

    `folder` is relative to the bundle, as sizes/256x512. `height` and `width` are in pixels.
    """

    folder: str
    height: int
    width: int


class Manifest(Value, frozen=True, kw_only=True):
    """All that is known about a bundle. `files` is filled in when the bundle is sealed.

    `schema` is the format's number. `sensitivity` is the share of the pixels, in %, that change
    class when one group of nodes alone is INT8. `sizes` are further, smaller inputs, the largest
    first. A manifest whose parts do not fit together is refused.
    """

    schema: int = SCHEMA
    name: str
    target: str
    model: ModelInfo
    labels: Labels
    input: InputSpec
    input_tensor: Tensor
    output_tensor: Tensor
    variants: tuple[VariantInfo, ...]
    chosen: Chosen
    checkpoint: CheckpointInfo
    parity: Parity
    framework: FrameworkCheck | None = None
    calibration: CalibrationInfo | None = None
    evaluation: Evaluation | None = None
    machine: Machine | None = None
    sensitivity: dict[str, float] = msgspec.field(default_factory=dict)
    golden: tuple[Golden, ...]
    sizes: tuple[SizeInfo, ...] = ()
    tools: dict[str, str]
    files: dict[str, File] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        classes = len(self.labels.classes)
        if len(set(names)) != len(names) or self.chosen.variant not in names:
            raise SpecError(f"variant {self.chosen.variant!r} is not one of {names}, each once")
        size = (self.input.height, self.input.width, self.input.channels)
        if self.input_tensor.shape != (1, *size):
            raise SpecError(f"input tensor {self.input_tensor.shape} does not fit the input size")
        if self.output_tensor.shape[1:2] != (classes,):
            raise SpecError(
                f"output tensor {self.output_tensor.shape} is not for {classes} classes"
            )
        if not self.golden:
            raise SpecError("there is no golden frame")
        if any(golden.agreement.keys() != set(names) for golden in self.golden):
            raise SpecError("golden frames do not record the agreement of each variant")
        pixels = [self.input.height * self.input.width]
        pixels += [size.height * size.width for size in self.sizes]
        if any(after >= before for before, after in pairwise(pixels)):
            raise SpecError("the sizes do not become smaller from one to the next")


def decode_manifest(text: bytes, *, origin: str) -> Manifest:
    """Read a manifest from JSON; `origin` is named in errors.

    Raises:
        BundleError: the text is not JSON, its schema is unknown, or its parts do not fit together.
    """
    try:
        _check_schema(text, origin)
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, SpecError, RecursionError) as error:
        raise BundleError(
            f"{origin} is not a manifest of schema {SCHEMA}: {error}; export the bundle again"
        ) from None


def encode_manifest(manifest: Manifest) -> bytes:
    """Write a manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def to_json(value: object) -> Mapping[str, object]:
    """Turn a manifest, or a part of one, into plain JSON values."""
    plain: Mapping[str, object] = msgspec.to_builtins(value)
    return plain


class _Schema(msgspec.Struct):
    """The one field that every schema has; everything else may change with the schema."""

    schema: int


def _check_schema(text: bytes, origin: str) -> None:
    schema = msgspec.json.decode(text, type=_Schema).schema
    if schema != SCHEMA:
        raise BundleError(
            f"{origin} has schema {schema}, this edgeseg reads {SCHEMA}; "
            f"run: pip install --upgrade edgeseg"
        )
