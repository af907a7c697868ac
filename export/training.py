"""Reads the training configuration inside a pickle: mmsegmentation's, old or new, or NVlabs'.

Old files (0.x, and NVlabs', which builds on it) have `meta["config"]`, with the normalization in
the test pipeline. New files (1.x) have `meta["cfg"]`, with a `data_preprocessor`. No configuration
is run as code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from edgeseg.errors import CheckpointError
from edgeseg.export.architecture import Unseen, read_per_stage
from edgeseg.export.facts import InputFacts, read_finite
from edgeseg.export.literals import read_assignments
from edgeseg.export.unpickle import Inert
from edgeseg.segformer.arch import STAGES, Encoder, HeadKind, ModelSpec, PerStage
from edgeseg.spec import Aspect, ChannelOrder, Resize, Triple

__all__ = ["Training", "find_unread_training", "read_training"]

Config = Mapping[str, object]

_ORIGIN: Final = "the training configuration in the file"

_KEYS: Final = ("cfg", "config")  # mmengine's key in `meta`, and mmcv's

_DEEPEST: Final = 30  # a pickle may hold a dictionary that holds itself

_HEADS: Final = ("SegformerHead", "SegFormerHead")  # mmsegmentation's, NVlabs'

_RESIZING: Final = ("Resize", "AlignResize")  # steps of a pipeline

# mmcv's two ways to resize, by its own names.
_RULES: Final[Mapping[str, Resize]] = {
    "cv2": Resize.OPENCV_BILINEAR,
    "pillow": Resize.PILLOW_BILINEAR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training configuration; `origin` is the file that holds it."""

    config: Config
    origin: str

    def facts(self) -> InputFacts:
        """Read the facts about the network's input.

        Raises:
            CheckpointError: edgeseg does not have a rule; the message names the rule.
        """
        pipeline = tuple(_walk(self._pipeline()))
        mean, std, order = self._statistics(pipeline)
        rule, aspect, size = self._resizing(pipeline)
        return InputFacts(
            origin=_ORIGIN,
            size=size,
            resize=rule,
            aspect=aspect,
            mean=mean,
            std=std,
            channel_order=order,
        )

    def unseen(self) -> Unseen:
        """Read what the weights do not show of the encoder; None where nothing says it.

        Raises:
            CheckpointError: a value is not one number for each stage; the message names the field.
        """
        backbone = _take_part(_take_part(self.config, "model"), "backbone")

        def read(field: str) -> PerStage | None:
            if field not in backbone:
                return None
            return read_per_stage(backbone[field], field=f"backbone.{field}", origin=self._where)

        heads = read("num_heads")
        said = f"{self._where} says backbone.num_heads {heads}" if heads else ""
        return Unseen(heads=heads, strides=read("strides"), origin=said)

    def apply_config(self, spec: ModelSpec) -> ModelSpec:
        """Check the model, read from the weights, against the configuration; take its epsilons.

        Raises:
            CheckpointError: edgeseg does not compute this network; the message names the field.
        """
        model = _take_part(self.config, "model")
        backbone, head = _take_part(model, "backbone"), _take_part(model, "decode_head")
        conv = spec.head is HeadKind.CONV
        self._check_head(head, spec)
        self._check_backbone(backbone, spec)
        batch = _take_part(head, "norm_cfg").get("eps")
        layer = (
            _take_part(backbone, "norm_cfg").get("eps") if conv else None
        )  # NVlabs' code fixes it
        eps = spec.eps
        if batch is not None:
            eps = replace(eps, batch=self._eps("decode_head", batch))
        if layer is not None:
            own = self._eps("backbone", layer)
            eps = replace(eps, patch_embed=own, block=own, reduction=own, stage=own)
        return replace(spec, eps=eps)

    def notes(self) -> tuple[str, ...]:
        """List what the training program does in another way than edgeseg, one line each."""
        model = _take_part(self.config, "model")
        notes = []
        if _take_part(model, "test_cfg").get("mode") == "slide":
            notes.append(
                f"{_ORIGIN} tests through sliding windows; edgeseg sees a frame whole "
                f"(verify --protocol slide measures through windows)"
            )
        head = _take_part(model, "decode_head").get("type")
        if head is not None and head not in _HEADS:
            notes.append(f"{_ORIGIN} names the decoder {head}; read as {_HEADS[0]}")
        return tuple(notes)

    def reduces_labels(self) -> bool:
        """Tell whether training removed the background (`reduce_zero_label`)."""
        return any(part.get("reduce_zero_label") is True for part in _walk(self.config))

    @property
    def _where(self) -> str:
        return f"the training configuration in {self.origin}"

    @property
    def _preprocessor(self) -> Config:
        """The `data_preprocessor` of version 1.x, at the top or in the model; empty in 0.x."""
        own = _take_part(self.config, "data_preprocessor")
        return own or _take_part(_take_part(self.config, "model"), "data_preprocessor")

    def _check_head(self, head: Config, spec: ModelSpec) -> None:
        corners = head.get("align_corners")
        if corners is not None and corners is not False:
            self._refuse("decode_head.align_corners", value=corners, ours=False)
        mode = head.get("interpolate_mode", "bilinear")
        if mode != "bilinear":
            self._refuse("decode_head.interpolate_mode", value=mode, ours="bilinear")
        classes = head.get("out_channels") or head.get("num_classes")
        if isinstance(classes, int) and classes != spec.classes:
            field = "out_channels" if head.get("out_channels") else "num_classes"
            raise CheckpointError(
                f"{self._where} says decode_head.{field} {classes}, but the weights have "
                f"{spec.classes} classes; does it belong to them?"
            )

    def _check_backbone(self, backbone: Config, spec: ModelSpec) -> None:
        encoder = spec.encoder
        fixed = {"num_stages": STAGES, "qkv_bias": True, "out_indices": list(range(STAGES))}
        seen = {
            "in_channels": spec.channels,
            "num_layers": list(encoder.depths),
            "patch_sizes": list(encoder.patch_sizes),
            "sr_ratios": list(encoder.reductions),
            "mlp_ratio": _find_ratio(encoder),
        }
        for field, ours in (fixed | seen).items():
            value = backbone.get(field)
            plain = list(value) if isinstance(value, tuple) else value
            if plain is None or plain == ours:
                continue
            if field in fixed:
                self._refuse(f"backbone.{field}", value=plain, ours=ours)
            raise CheckpointError(
                f"{self._where} says backbone.{field} {plain}, but the weights have {ours}"
            )
        activation = _take_part(backbone, "act_cfg").get("type", "GELU")
        if activation != "GELU":
            self._refuse("backbone.act_cfg.type", value=activation, ours="GELU")

    def _pipeline(self) -> object:
        """Find the test pipeline's steps, from a file to the network's input."""
        data = _take_part(_take_part(self.config, "data"), "test")
        loader = _take_part(_take_part(self.config, "test_dataloader"), "dataset")
        return (
            self.config.get("test_pipeline") or data.get("pipeline") or loader.get("pipeline") or ()
        )

    def _statistics(
        self, pipeline: tuple[Config, ...]
    ) -> tuple[Triple | None, Triple | None, ChannelOrder | None]:
        """Read mean and std of values in 0..1, and their channel order."""
        new = self._preprocessor
        old = next((step for step in pipeline if step.get("type") == "Normalize"), None)
        if new:
            turned = any(
                self._flag(new, name, default=False) for name in ("bgr_to_rgb", "rgb_to_bgr")
            )
            given: Config = new
        else:
            given = old or _take_part(self.config, "img_norm_cfg")
            if not given:
                return None, None, None
            turned = self._flag(given, "to_rgb", default=True)
        order = ChannelOrder.RGB if turned else ChannelOrder.BGR
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # 1.x with neither: bytes as they are
        if given.get("mean") is not None:
            mean = self._triple("mean", given["mean"])
            std = self._triple("std", given.get("std"))
        return _divide_by_255(mean), _divide_by_255(std), order

    def _eps(self, part: str, value: object) -> float:
        if not isinstance(value, (int, float)) or not 0 < value < 1:
            raise CheckpointError(
                f"{self._where} says {part}.norm_cfg.eps {value!r}, which is no number between 0 "
                f"and 1; correct it"
            )
        return float(value)

    def _flag(self, part: Config, name: str, *, default: bool) -> bool:
        value = part.get(name, default)
        if not isinstance(value, bool):
            raise CheckpointError(
                f"{self._where} says {name} {value!r}, which is neither True nor False"
            )
        return value

    def _triple(self, name: str, value: object) -> Triple:
        numbers = [read_finite(one) for one in value] if isinstance(value, (list, tuple)) else []
        known = [number for number in numbers if number is not None]
        if not numbers or len(known) < len(numbers):
            raise CheckpointError(
                f"{self._where} has {name} {value!r}, which is no list of numbers; give the right "
                f"ones with --{name}"
            )
        if len(known) != 3:
            raise CheckpointError(
                f"{self._where} has {len(known)} values of {name}; edgeseg takes red, green, blue"
            )
        return known[0], known[1], known[2]

    def _resizing(
        self, pipeline: tuple[Config, ...]
    ) -> tuple[Resize | None, Aspect | None, tuple[int, int] | None]:
        """Read rule, aspect and input size: the size after resizing, else the crop's size."""
        for loader in pipeline:
            color = loader.get("color_type", "color")
            if loader.get("type") == "LoadImageFromFile" and color != "color":
                self._refuse("LoadImageFromFile.color_type", value=color, ours="color")
        crop = self.config.get("crop_size") or self._preprocessor.get("size")
        size = _to_pair(crop)
        step = next((one for one in pipeline if one.get("type") in _RESIZING), None)
        if step is None:
            return None, None, size
        mode = step.get("interpolation", "bilinear")
        if mode != "bilinear":
            self._refuse("Resize.interpolation", value=mode, ours="bilinear")
        backend = step.get("backend", "cv2")
        rule = next((rule for name, rule in _RULES.items() if name == backend), None)
        if rule is None:
            self._refuse("Resize.backend", value=backend, ours="cv2")
        if self._flag(step, "keep_ratio", default=not self._preprocessor):  # 1.x keeps none
            return rule, Aspect.KEEP, size
        scale = next((pair for one in pipeline if (pair := _read_scale(one)) is not None), None)
        return rule, Aspect.SQUASH, (scale[1], scale[0]) if scale else size  # width comes first

    def _refuse(self, field: str, *, value: object, ours: object) -> NoReturn:
        raise CheckpointError(f"{self._where} says {field} {value}; edgeseg computes {ours} only")


def read_training(meta: Mapping[str, object], *, origin: str) -> Training | None:
    """Read the configuration in a checkpoint's `meta`; None where none can be read."""
    for key in _KEYS:
        config = _find_config(meta.get(key))
        if config:
            return Training(config=config, origin=origin)
    return None


def find_unread_training(meta: Mapping[str, object]) -> str | None:
    """Find the key of `meta` whose configuration cannot be read; None where there is none."""
    there = {key: meta[key] for key in _KEYS if isinstance(meta.get(key), (str, Inert))}
    return next(
        (key for key, content in there.items() if content and not _find_config(content)), None
    )


def _find_config(content: object) -> Config:
    """Read a configuration; empty where it is absent or holds no plain values."""
    config = read_assignments(content) if isinstance(content, str) else content
    return config if isinstance(config, Mapping) else {}


def _find_ratio(encoder: Encoder) -> float | None:
    """Find the ratio of the Mix-FFN's width to the stage's; None where the stages differ."""
    pairs = zip(encoder.ffn_widths, encoder.widths, strict=True)
    ratios = {hidden / width for hidden, width in pairs}
    return ratios.pop() if len(ratios) == 1 else None


def _take_part(config: Config, name: str) -> Config:
    part = config.get(name)
    return part if isinstance(part, Mapping) else {}


def _walk(value: object, depth: int = 0) -> Iterator[Config]:
    """Walk over every dictionary in `value`, outer ones first, to a limited depth."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        yield value
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _walk(one, depth + 1)


def _divide_by_255(values: Triple) -> Triple:
    return values[0] / 255, values[1] / 255, values[2] / 255


def _read_scale(step: Config) -> tuple[int, int] | None:
    return _to_pair(step.get("scale") or step.get("img_scale"))


def _to_pair(value: object) -> tuple[int, int] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value, value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        first, second = value
        if isinstance(first, int) and isinstance(second, int):
            return first, second
    return None
