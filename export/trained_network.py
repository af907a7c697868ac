"""Compares the network in a training configuration with the network that edgeseg computes.

The weights show widths, depths and kernels. Only the configuration of mmsegmentation or NVlabs
gives heads, strides, epsilons and the threshold of a single logit. Each such field is honored, or
refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NoReturn

from edgeseg.errors import CheckpointError
from edgeseg.export.architecture import Unseen, read_per_stage
from edgeseg.export.nested import Config, take_part
from edgeseg.export.values import read_finite
from edgeseg.segformer.arch import STAGES, Encoder, HeadKind, ModelSpec, PerStage

__all__ = ["TrainedNetwork"]

_HEADS: Final = ("SegformerHead", "SegFormerHead")  # mmsegmentation's, NVlabs'

# The encoder of mmsegmentation, and what its class takes where a configuration is silent.
_ENCODER: Final = "MixVisionTransformer"
_DEFAULT_HEADS: Final = (1, 2, 4, 8)
_DEFAULT_WIDTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """The `model` of a training configuration; `origin` names the configuration in messages."""

    model: Config
    origin: str

    def read_unseen(self) -> Unseen:
        """Read what the weights do not show of the encoder; None where nothing says it.

        Raises:
            CheckpointError: a value is not one number for each stage; the message names the field.
        """
        heads = self._read_per_stage("num_heads")
        said = f"{self.origin} says backbone.num_heads {heads}" if heads else ""
        if heads is None and self._is_mmsegmentations_encoder():
            heads = _DEFAULT_HEADS
            said = f"{self.origin} names {_ENCODER} without num_heads, whose default is {heads}"
        return Unseen(heads=heads, strides=self._read_per_stage("strides"), origin=said)

    def apply_config(self, spec: ModelSpec, *, logits: int) -> ModelSpec:
        """Check the model, read from the weights, against the configuration; take its epsilons.

        `logits` is the number of logits that the weights give for a pixel.

        Raises:
            CheckpointError: edgeseg does not compute this network; the message names the field.
        """
        conv = spec.head is HeadKind.CONV
        self._check_head(spec, logits)
        self._check_backbone(spec)
        batch = take_part(self._head, "norm_cfg").get("eps")
        # NVlabs' code fixes the other one.
        layer = take_part(self._backbone, "norm_cfg").get("eps") if conv else None
        eps = spec.eps
        if batch is not None:
            eps = replace(eps, batch=self._read_eps("decode_head", batch))
        if layer is not None:
            own = self._read_eps("backbone", layer)
            eps = replace(eps, patch_embed=own, block=own, reduction=own, stage=own)
        return replace(spec, eps=eps)

    def threshold(self) -> float | None:
        """Read the probability above which a single logit means the second class.

        Raises:
            CheckpointError: the value is no number between 0 and 1.
        """
        value = self._head.get("threshold")
        if value is None:
            return None
        number = read_finite(value)
        if number is None or not 0 < number < 1:
            raise CheckpointError(
                f"{self.origin} says decode_head.threshold {value!r}, which is no number between 0 "
                f"and 1; give one with --threshold"
            )
        return number

    def notes(self) -> tuple[str, ...]:
        """List what is read as something else, one line each."""
        head = self._head.get("type")
        if head is None or head in _HEADS:
            return ()
        return (f"{self.origin} names the decoder {head}; read as {_HEADS[0]}",)

    @property
    def _backbone(self) -> Config:
        return take_part(self.model, "backbone")

    @property
    def _head(self) -> Config:
        return take_part(self.model, "decode_head")

    def _is_mmsegmentations_encoder(self) -> bool:
        """Tell whether the encoder's class is named, perhaps behind its registry (`mmseg.`)."""
        return str(self._backbone.get("type")).rpartition(".")[2] == _ENCODER

    def _read_per_stage(self, field: str) -> PerStage | None:
        value = self._backbone.get(field)
        if value is None:
            return None
        return read_per_stage(value, field=f"backbone.{field}", origin=self.origin)

    def _check_head(self, spec: ModelSpec, logits: int) -> None:
        head = self._head
        fixed = {
            "align_corners": False,
            "interpolate_mode": "bilinear",
            "in_index": list(range(STAGES)),
        }
        for field, ours in fixed.items():
            value = _to_plain(head.get(field))
            if value is not None and value != ours:
                self._refuse(f"decode_head.{field}", value=value, ours=ours)
        activation = take_part(head, "act_cfg").get("type", "ReLU")
        if activation != "ReLU":
            self._refuse("decode_head.act_cfg.type", value=activation, ours="ReLU")
        if spec.head is HeadKind.CONV:  # NVlabs' `channels` are of a layer that is not used
            self._check_seen("decode_head.channels", head.get("channels"), spec.decoder_width)
        self._check_seen("decode_head.in_channels", head.get("in_channels"), spec.encoder.widths)
        field = "out_channels" if head.get("out_channels") else "num_classes"
        classes = head.get(field)
        if isinstance(classes, int) and classes != logits:
            raise CheckpointError(
                f"{self.origin} says decode_head.{field} {classes}, but the weights have "
                f"{logits} logits; does it belong to them?"
            )

    def _check_backbone(self, spec: ModelSpec) -> None:
        encoder, backbone = spec.encoder, self._backbone
        fixed = {"num_stages": STAGES, "qkv_bias": True, "out_indices": list(range(STAGES))}
        for field, ours in fixed.items():
            value = _to_plain(backbone.get(field))
            if value is not None and value != ours:
                self._refuse(f"backbone.{field}", value=value, ours=ours)
        activation = take_part(backbone, "act_cfg").get("type", "GELU")
        if activation != "GELU":
            self._refuse("backbone.act_cfg.type", value=activation, ours="GELU")
        seen = {
            "in_channels": spec.channels,
            "num_layers": encoder.depths,
            "patch_sizes": encoder.patch_sizes,
            "sr_ratios": encoder.reductions,
            "mlp_ratio": _find_ratio(encoder),
        }
        for field, ours in seen.items():
            self._check_seen(f"backbone.{field}", backbone.get(field), ours)
        self._check_widths(encoder)

    def _check_widths(self, encoder: Encoder) -> None:
        """Compare `embed_dims`, which mmsegmentation multiplies by the heads, with the widths."""
        width = self._backbone.get("embed_dims")
        if width is None and self._is_mmsegmentations_encoder():
            width = _DEFAULT_WIDTH
        if not isinstance(width, int):
            self._check_seen("backbone.embed_dims", width, encoder.widths)
            return
        widths = tuple(width * heads for heads in encoder.heads)
        if widths != encoder.widths:
            raise CheckpointError(
                f"{self.origin} says backbone.embed_dims {width} and num_heads "
                f"{_join(encoder.heads)}, which makes widths of {_join(widths)}, but the weights "
                f"have {_join(encoder.widths)}; does it belong to them?"
            )

    def _check_seen(self, field: str, value: object, ours: object) -> None:
        """Compare a field with what the weights show; an absent field says nothing."""
        theirs, shown = _to_plain(value), _to_plain(ours)
        if theirs is not None and theirs != shown:
            raise CheckpointError(
                f"{self.origin} says {field} {theirs}, but the weights have {shown}"
            )

    def _read_eps(self, part: str, value: object) -> float:
        if not isinstance(value, (int, float)) or not 0 < value < 1:
            raise CheckpointError(
                f"{self.origin} says {part}.norm_cfg.eps {value!r}, which is no number between 0 "
                f"and 1; correct it"
            )
        return float(value)

    def _refuse(self, field: str, *, value: object, ours: object) -> NoReturn:
        raise CheckpointError(f"{self.origin} says {field} {value}; edgeseg computes {ours} only")


def _find_ratio(encoder: Encoder) -> float | None:
    """Find the ratio of the Mix-FFN's width to the stage's; None where the stages differ."""
    pairs = zip(encoder.ffn_widths, encoder.widths, strict=True)
    ratios = {hidden / width for hidden, width in pairs}
    return ratios.pop() if len(ratios) == 1 else None


def _to_plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _join(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
