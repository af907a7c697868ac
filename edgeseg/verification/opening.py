"""Opens the model that the user named, and the reference that it brings with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeseg.accuracy.gates import VARIANT, Unjudged
from edgeseg.bundle.store import Bundle, open_bundle, resembles_bundle
from edgeseg.demo import DEMO
from edgeseg.errors import BackendError, BundleError, CheckpointError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.backends.placing import AUTO
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.targets import find_target
from edgeseg.verification.subjects import Address, BundleModel, CheckpointModel, Model

__all__ = ["check_same_classes", "open_chosen", "open_model", "open_own_reference", "reopen"]


def open_model(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    device: str = AUTO,
    threads: int | None = None,
    overrides: Overrides = NO_OVERRIDES,
    progress: Progress = SILENT,
) -> Model:
    """Open a bundle's folder or a checkpoint; `Address` explains most parameters.

    `device` restricts a bundle to devices of its engine, and then chooses among its variants.

    Raises:
        EdgesegError: the model cannot be read.
    """
    path = Path(source)
    if resembles_bundle(path):
        return open_chosen(open_bundle(path), device=device, threads=threads, progress=progress)
    if not path.exists() and source != DEMO and "/" not in source:  # a hub's id has a slash
        raise BundleError(
            f"no bundle or checkpoint at {source}; is the name right? A checkpoint becomes a "
            f"bundle with: edgeseg export --weights CHECKPOINT"
        )
    from edgeseg.export.checkpoint import read_checkpoint

    lasting = str(path.absolute()) if path.exists() else source
    address = Address(source=lasting, variant=None, size=size, threads=threads, overrides=overrides)
    checkpoint = read_checkpoint(source, size=size, overrides=overrides, say=progress.say)
    return CheckpointModel(checkpoint, address)


def open_chosen(
    bundle: Bundle, *, device: str, threads: int | None, progress: Progress
) -> BundleModel:
    """Open the variant that the export or the device chose, or one that runs instead of it.

    The verdict is then on what the bundle ships. The variant that is fastest on this CPU may be
    another one: a float variant, for example, loses nothing.
    """
    if find_target(bundle.manifest.target).on_device or device != AUTO:
        variant = choose_variant(bundle, device=device, progress=progress)
        return BundleModel(bundle, variant=variant, threads=threads, progress=progress)
    try:
        return BundleModel(bundle, variant=bundle.chosen, threads=threads, progress=progress)
    except BackendError as error:
        here = choose_variant(bundle, progress=progress)
        if here == bundle.chosen:
            raise
        instead = Unjudged(
            key=VARIANT,
            name=f"variant {bundle.chosen.name} of bundle {bundle.folder.resolve().name}",
            reason=f"the export chose it, and {here.name} is measured in its place, for it does "
            f"not run here ({error})",
            remedy="measure it on a machine that runs it, or export a bundle for this one",
        )
        progress.say(f"{instead.name}: {instead.reason}")
        return BundleModel(
            bundle, variant=here, threads=threads, progress=progress, unjudged=(instead,)
        )


def reopen(address: Address) -> Model:
    """Open a model that another process has opened.

    Raises:
        EdgesegError: the model is not on this machine, or this machine's engine refuses it.
    """
    if address.variant is None:
        return open_model(
            address.source,
            size=address.size,
            threads=address.threads,
            overrides=address.overrides,
        )
    bundle = open_bundle(Path(address.source))
    return BundleModel(bundle, variant=address.variant, threads=address.threads)


def open_own_reference(model: Model) -> BundleModel | None:
    """Open the bundle's own FP32 variant, if it has one and another was measured.

    A float variant's file computes in FP32 when its engine is told to. A typed file is the
    exception: a Jetson's float variant is FP16, and the device has no other.
    """
    if not isinstance(model, BundleModel):
        return None
    if model.variant.precision == "fp32" and model.variant.form is None:
        return None
    manifest = model.bundle.manifest
    floats = [
        variant
        for variant in manifest.variants
        if variant.precision != "int8" and variant.instead_of is None and variant.form is None
    ]
    if not floats:
        return None
    chosen = min(floats, key=lambda variant: variant.precision != "fp32")
    if chosen.precision != "fp32" and not find_target(manifest.target).typed:
        chosen = msgspec.structs.replace(chosen, name="fp32", precision="fp32", compute="f32")
    if chosen == model.variant:
        return None
    return BundleModel(model.bundle, variant=chosen, threads=model.address.threads)


def check_same_classes(reference: Model, candidate: Model) -> None:
    """Check that both models take the same images, and give the same ids to the same classes.

    Raises:
        CheckpointError: the images' channels or the classes differ.
    """
    if reference.input.channels != candidate.input.channels:
        raise CheckpointError(
            f"reference {reference.name} takes images of {reference.input.channels} channels, "
            f"{candidate.name} of {candidate.input.channels}; are they trained for the same data?"
        )
    theirs, ours = reference.labels.classes, candidate.labels.classes
    if len(theirs) != len(ours):
        raise CheckpointError(
            f"reference {reference.name} has {len(theirs)} classes, {candidate.name} has "
            f"{len(ours)}; are they trained for the same data?"
        )
    if _find_weights(reference) == _find_weights(candidate):  # perhaps exported with other names
        return
    for index, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        if own.strip().casefold() != other.strip().casefold():
            raise CheckpointError(
                f"class {index} is {other!r} in reference {reference.name} and {own!r} in "
                f"{candidate.name}; are they trained for the same data?"
            )


def _find_weights(model: Model) -> str | None:
    """Find the hash of a model's weights."""
    if isinstance(model, BundleModel):
        return model.bundle.manifest.checkpoint.sha256
    return model.about.sha256
