"""`edgeseg inspect`: a variant's arithmetic, what a bundle holds, or what a checkpoint is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeseg.bundle.forms import describe_forms, list_forms, make_form_info
from edgeseg.bundle.manifest import FormInfo, VariantInfo, to_json
from edgeseg.bundle.store import Bundle, open_bundle, resembles_bundle
from edgeseg.bundle.training import describe_training
from edgeseg.cli.answers import Json
from edgeseg.cli.answers.export import describe_sensitivity, format_drop
from edgeseg.cli.answers.receptive_field import FieldPicture, answer_fields
from edgeseg.errors import BackendError, SpecError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.backend import load_runner
from edgeseg.runtime.proving.remember import recall_variant
from edgeseg.segformer.arch import VARIANTS, HeadKind, ModelSpec, NormEps, title_model
from edgeseg.segformer.form import EXACT, FORMS
from edgeseg.segformer.macs import PAPER_GMACS, Costs, count_costs
from edgeseg.spec import RGB, InputSpec, PerChannel, Upsampling
from edgeseg.text import join_words, pluralize

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["inspect_anything"]

# The paper's table is for ADE20K.
_PAPER_CLASSES: Final = 150


def inspect_anything(
    what: str,
    *,
    overrides: Overrides = NO_OVERRIDES,
    picture: FieldPicture | None = None,
    progress: Progress = SILENT,
) -> tuple[list[str], Json]:
    """Describe a model size, a bundle or a checkpoint, in lines and as a JSON object.

    `overrides` replace what a checkpoint says of its input, and `picture` asks for its receptive
    fields; `progress` hears of assumptions.

    Raises:
        EdgesegError: it is none of these, or damaged; or overrides are for no checkpoint.
    """
    bundle = resembles_bundle(Path(what))
    if overrides.options and (what in VARIANTS or bundle):
        raise SpecError(f"{overrides.options[0]} is for a checkpoint, and {what} is none")
    if what in VARIANTS:
        return _inspect_variant(what)
    if bundle:
        return _inspect_bundle(open_bundle(Path(what)))
    return _inspect_checkpoint(what, overrides, picture, progress)


def _inspect_variant(name: str) -> tuple[list[str], Json]:
    paper, side = PAPER_GMACS[name]
    variant = VARIANTS[name]
    spec = ModelSpec(
        encoder=variant.encoder,
        classes=_PAPER_CLASSES,
        decoder_width=variant.decoder_width,
        head=HeadKind.LINEAR,
        eps=NormEps(patch_embed=1e-5, block=1e-5, reduction=1e-5, stage=1e-5),
    )
    count = count_costs(spec, height=side, width=side)
    forms = _count_forms(spec, side, side)
    lines = [
        f"SegFormer-{name.upper()}, {_PAPER_CLASSES} classes, {side}x{side}",
        f"parameters   {count.params:,}",
        *_describe_macs(count),
        f"paper        {paper:.1f} G (table 1, ADE20K)",
        *_describe_forms(forms, count.macs),
    ]
    costs = _costs_to_json(count, side, side)
    return lines, {**costs, "forms": _forms_to_json(forms), "macs_paper": paper * 1e9}


def _describe_macs(count: Costs) -> list[str]:
    saved = 100 * (1 - count.macs / count.macs_original)
    return [
        (
            f"multiply-adds: original {count.macs_original / 1e9:.2f} G, "
            f"deployed {count.macs / 1e9:.2f} G ({saved:.0f} % fewer)"
        ),
    ]


def _count_forms(spec: ModelSpec, height: int, width: int) -> list[FormInfo]:
    """Count the multiply-adds of a network in each named form, at an input size in pixels."""
    return [
        make_form_info(form, count_costs(spec, height=height, width=width, form=form).macs)
        for form in FORMS.values()
    ]


def _describe_forms(forms: Sequence[FormInfo], exact_macs: int) -> list[str]:
    return [f"form         {line}" for line in describe_forms(forms, exact_macs)]


def _forms_to_json(forms: Sequence[FormInfo]) -> list[Json]:
    return [{"name": one.name, "changes": one.form.changes, "macs": one.macs} for one in forms]


def _costs_to_json(count: Costs, height: int, width: int) -> Json:
    return {
        "params": count.params,
        "macs": count.macs,
        "macs_original": count.macs_original,
        "size": [height, width],
    }


def _inspect_bundle(bundle: Bundle) -> tuple[list[str], Json]:
    manifest, model = bundle.manifest, bundle.manifest.model
    size = sum(file.bytes for file in manifest.files.values()) / 1e6
    forms = list_forms(manifest)
    lines = [
        (
            f"bundle {manifest.name}: {title_model(model.variant, model.widths, model.depths)} for "
            f"{manifest.target}, "
            f"{len(manifest.labels.classes)} classes, {size:.1f} MB, all hashes match"
        ),
        (
            f"input        {manifest.input.height}x{manifest.input.width} (height x width), "
            f"{manifest.input.resize.value}, aspect {manifest.input.aspect.value}"
            f"{_describe_bands(manifest.input)}{_describe_upsampling(manifest.input)}"
        ),
        *(
            f"size         {size.height}x{size.width} too: {bundle.path(size.folder)}"
            for size in manifest.sizes
        ),
        f"chosen       {manifest.chosen.variant}: {manifest.chosen.reason}",
        *_describe_here(bundle),
        *(f"variant      {_describe_variant(variant)}" for variant in manifest.variants),
        *(f"training     {told}" for told in map(describe_training, manifest.variants) if told),
        *_describe_forms(forms, model.macs),
        (
            f"checkpoint   {manifest.checkpoint.source}, {manifest.checkpoint.layout} layout, "
            f"license {manifest.checkpoint.license}"
            f"{_describe_threshold(manifest.checkpoint.threshold)}"
        ),
        (
            f"parity       logits within {manifest.parity.max_abs_diff:.1e} of PyTorch on "
            f"{pluralize(manifest.parity.images, 'image')} ({manifest.parity.image_source})"
        ),
        f"golden       {pluralize(len(manifest.golden), 'frame')}",
        *(f"sensitivity  {line}" for line in describe_sensitivity(manifest)),
        f"classes      {', '.join(manifest.labels.classes)}",
    ]
    return lines, {**to_json(manifest), "forms": _forms_to_json(forms)}


def _describe_here(bundle: Bundle) -> list[str]:
    """Say what runs on this machine, where the target's engine is installed."""
    try:
        devices = [one.name for one in load_runner(bundle.manifest.target).list_devices()]
        known = recall_variant(bundle)
    except BackendError:
        return []
    if known is None:
        return [f"here         on {join_words(devices)}; edgeseg build proves each variant there"]
    return [f"here         {known.title} on {known.device}, as edgeseg build found"]


def _describe_variant(variant: VariantInfo) -> str:
    form = EXACT.name if variant.form is None else variant.form.name
    parts = [f"{variant.name} ({variant.file})", variant.precision, f"form {form}"]
    if variant.int8_share:
        parts.append(f"{100 * variant.int8_share:.0f} % INT8")
    if variant.gate is not None and variant.gate.drop is not None:
        parts.append(f"drop {format_drop(variant.gate, interval=True)}")
    elif variant.gate is not None:
        parts.append(f"{variant.gate.pixel_agreement:.2f} % of the pixels as FP32")
    if variant.latency_ms is not None:
        parts.append(f"{variant.latency_ms:.1f} ms")
    if variant.batch is not None:
        parts.append(f"{variant.batch.frames} frames at once: {variant.batch.file}")
    if variant.instead_of is not None:
        parts.append(f"instead of {variant.instead_of}")
    return ", ".join(parts)


def _inspect_checkpoint(
    source: str, overrides: Overrides, picture: FieldPicture | None, progress: Progress
) -> tuple[list[str], Json]:
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(source, overrides=overrides, say=progress.say)
    lines, content = _describe_checkpoint(checkpoint)
    if picture is None:
        return lines, content
    more, fields = answer_fields(checkpoint, picture, progress)
    return [*lines, *more], {**content, "receptive_field": fields}


def _describe_checkpoint(checkpoint: Checkpoint) -> tuple[list[str], Json]:
    height, width = checkpoint.input.height, checkpoint.input.width
    channels = checkpoint.spec.channels
    count = count_costs(checkpoint.spec, height=height, width=width)
    forms = _count_forms(checkpoint.spec, height, width)
    lines = [
        (
            f"{checkpoint.spec.title}, {checkpoint.spec.classes} classes, "
            f"{checkpoint.layout} layout, license {checkpoint.license}"
            f"{_describe_threshold(checkpoint.threshold)}"
        ),
        (
            f"input        {height}x{width} (height x width), {checkpoint.input.resize.value}, "
            f"aspect {checkpoint.input.aspect.value}, {_describe_channels(checkpoint)}"
            f"{_describe_upsampling(checkpoint.input)}"
        ),
        (
            f"normalized   mean {_join_numbers(checkpoint.input.mean[:channels])}, std "
            f"{_join_numbers(checkpoint.input.std[:channels])} (of 0..1"
            f"{'; red, green, blue' * (channels == RGB)})"
        ),
        f"parameters   {count.params:,}",
        *_describe_macs(count),
        *_describe_forms(forms, count.macs),
        f"classes      {', '.join(checkpoint.labels.classes)} (from {checkpoint.labels_source})",
    ]
    return lines, {
        **_costs_to_json(count, height, width),
        "forms": _forms_to_json(forms),
        "variant": checkpoint.spec.name,
        "layout": checkpoint.layout,
        "license": checkpoint.license,
        "sha256": checkpoint.sha256,
        "reduce_labels": checkpoint.reduce_labels,
        "channels": checkpoint.spec.channels,
        "channel_order": checkpoint.channel_order.value,
        "threshold": checkpoint.threshold,
        "input": {
            "resize": checkpoint.input.resize.value,
            "aspect": checkpoint.input.aspect.value,
            "mean": list(checkpoint.input.mean),
            "std": list(checkpoint.input.std),
            "upsampling": checkpoint.input.upsampling.value,
        },
        "input_sources": dict(checkpoint.input_sources),
        "classes": list(checkpoint.labels.classes),
    }


def _describe_threshold(threshold: float | None) -> str:
    return "" if threshold is None else f", one logit above threshold {threshold:g}"


def _describe_upsampling(spec: InputSpec) -> str:
    """Describe how logits are enlarged where it is not the usual way."""
    if spec.upsampling is Upsampling.HALF_PIXEL:
        return ""
    return f", upsampling {spec.upsampling.value}"


def _describe_bands(spec: InputSpec) -> str:
    """Describe the channels of frames that are not a camera's."""
    return "" if spec.channels == RGB else f", {pluralize(spec.channels, 'channel')}"


def _describe_channels(checkpoint: Checkpoint) -> str:
    channels = checkpoint.spec.channels
    if channels == RGB:
        return f"channel order {checkpoint.channel_order.value}"
    return pluralize(channels, "channel")


def _join_numbers(values: PerChannel) -> str:
    return ",".join(f"{value:.4g}" for value in values)
