"""From what the user named to a model that is open, and to the reference that it brings with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgeseg.accuracy.gates import VARIANT, Unjudged
from edgeseg.bundle.store import Bundle, open_bundle, resembles_bundle
from edgeseg.demo import DEMO
from edgeseg.errors import BackendError, BundleError, CheckpointError
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.progress import SILENT, Progress
from edgeseg.runtime.select import choose_variant
from edgeseg.targets import find_target
from edgeseg.verification.subjects import Address, BundleModel, CheckpointModel, Model

__all__ = ["open_model", "own_reference", "reopen", "same_classes"]


def open_model(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    overrides: Overrides = NO_OVERRIDES,
    progress: Progress = SILENT,
) -> Model:
    """Open a bundle's folder, or a checkpoint; see `Address` for all but `progress`.

    Raises:
        EdgesegError: it cannot be read.
    """
    path = Path(source)
    if resembles_bundle(path):
        return _open_chosen(open_bundle(path), threads=threads, progress=progress)
    if not path.exists() and source != DEMO and "/" not in source:  # nor a hub's id
        raise BundleError(
            f"no bundle or checkpoint at {source}; is the name right? A checkpoint becomes a "
            f"bundle with: edgeseg export --weights CHECKPOINT"
        )
    from edgeseg.export.checkpoint import read_checkpoint

    lasting = str(path.absolute()) if path.exists() else source
    address = Address(source=lasting, variant=None, size=size, threads=threads, overrides=overrides)
    checkpoint = read_checkpoint(source, size=size, overrides=overrides, say=progress.say)
    return CheckpointModel(checkpoint, address)


def _open_chosen(bundle: Bundle, *, threads: int | None, progress: Progress) -> BundleModel:
    """The variant that the export chose, or that a device does; where it does not run, what does.

    So a verdict is on what a bundle ships, and not on what happens to be fastest on the CPU that
    gives it: another CPU may run a float variant, of which no drop is to be told.
    """
    if find_target(bundle.manifest.target).on_device:
        return BundleModel(bundle, threads=threads, progress=progress)
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
    """Open what another process opened.

    Raises:
        EdgesegError: it is not there, or another machine's engine refuses it.
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


def own_reference(model: Model) -> Model | None:
    """The same bundle in FP32, where it was exported with it and something else was measured.

    A float variant's file computes in FP32 when its engine is told to, but for a typed one: a
    Jetson's float variant is FP16, and there is no other on the device.
    """
    if not isinstance(model, BundleModel) or model.variant.precision == "fp32":
        return None
    manifest = model.bundle.manifest
    floats = [v for v in manifest.variants if v.precision != "int8" and v.instead_of is None]
    if not floats:
        return None
    chosen = min(floats, key=lambda variant: variant.precision != "fp32")
    if chosen.precision != "fp32" and not find_target(manifest.target).typed:
        chosen = msgspec.structs.replace(chosen, name="fp32", precision="fp32", compute="f32")
    if chosen == model.variant:
        return None
    return BundleModel(model.bundle, variant=chosen, threads=model.address.threads)


def same_classes(reference: Model, candidate: Model) -> None:
    """Check that both give the same ids to the same classes.

    Raises:
        CheckpointError: they do not.
    """
    theirs, ours = reference.labels.classes, candidate.labels.classes
    if len(theirs) != len(ours):
        raise CheckpointError(
            f"reference {reference.name} has {len(theirs)} classes, {candidate.name} has "
            f"{len(ours)}; are they trained for the same data?"
        )
    if _origin(reference) == _origin(candidate):  # exported with other names, perhaps
        return
    for index, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        if own.strip().casefold() != other.strip().casefold():
            raise CheckpointError(
                f"class {index} is {other!r} in reference {reference.name} and {own!r} in "
                f"{candidate.name}; are they trained for the same data?"
            )


def _origin(model: Model) -> str | None:
    """The hash of the weights."""
    if isinstance(model, BundleModel):
        return model.bundle.manifest.checkpoint.sha256
    return model.about.sha256
