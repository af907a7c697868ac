"""What can be measured: a variant of a bundle on its engine, or a checkpoint in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

import msgspec

from edgeseg.bundle import Bundle, is_bundle, open_bundle
from edgeseg.demo import DEMO
from edgeseg.errors import BackendError, BundleError, CheckpointError, SpecError
from edgeseg.labels import Labels
from edgeseg.manifest import VariantInfo
from edgeseg.packages import installed
from edgeseg.reports.report import Subject
from edgeseg.runtime.backend import NOBODY, Watcher
from edgeseg.runtime.build import ON_DEVICE, variant_here
from edgeseg.runtime.machine import this_machine
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.spec import InputSpec

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint
    from edgeseg.pixels import Bgr, ClassMap, Logits

__all__ = [
    "Address",
    "BundleModel",
    "CheckpointModel",
    "Model",
    "open_model",
    "own_reference",
    "reopen",
    "same_classes",
]

_LOGITS_DIMENSIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """By which another process opens the same model again, in the same way.

    `source` is a path that both see, or a hub's id; `variant` a bundle's, `size` what a
    checkpoint's own way leads to; `threads` the engine's, all cores where it is None.
    """

    source: str
    variant: VariantInfo | None
    size: tuple[int, int] | None
    threads: int | None


class Model(Protocol):
    """Something that segments images, and says what it is."""

    @property
    def address(self) -> Address:
        """Where it is found again."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def labels(self) -> Labels:
        """Its classes."""

    @property
    def input(self) -> InputSpec:
        """Its own way from a frame to its input."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the only input that its network takes; None where it takes any."""

    @property
    def threads(self) -> int:
        """With how many its engine computes."""

    @property
    def about(self) -> Subject:
        """For the report."""

    def segment(self, frame: Bgr, /) -> ClassMap:
        """Class ids (H, W) of a uint8 BGR (H, W, 3) frame, by its own way."""

    def logits(self, image: Bgr, /) -> Logits:
        """(1, classes, h, w) of an image that is of the network's size already.

        The next call may overwrite them.
        """

    def close(self) -> None:
        """Release the engine."""


class BundleModel:
    """A variant of a bundle, the one that runs here unless another is given."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        variant: VariantInfo | None = None,
        threads: int | None = None,
        watcher: Watcher = NOBODY,
    ) -> None:
        self.bundle = bundle
        self.variant = variant or variant_here(bundle, watcher=watcher)
        self.segmenter = Segmenter(bundle, variant=self.variant, threads=threads, watcher=watcher)
        self.address = Address(
            source=str(bundle.folder.absolute()), variant=self.variant, size=None, threads=threads
        )

    @property
    def name(self) -> str:
        """The bundle's folder, and the variant."""
        return f"bundle {self.bundle.folder.resolve().name} ({self.variant.name})"

    @property
    def labels(self) -> Labels:
        """The bundle's."""
        return self.bundle.manifest.labels

    @property
    def input(self) -> InputSpec:
        """The bundle's."""
        return self.bundle.manifest.input

    @property
    def size(self) -> tuple[int, int] | None:
        """A bundle's graph has one size."""
        return self.input.height, self.input.width

    @property
    def threads(self) -> int:
        """What was asked for, else a thread a core."""
        return self.address.threads or this_machine().cores

    @property
    def about(self) -> Subject:
        """The manifest's facts."""
        manifest = self.bundle.manifest
        return Subject(
            kind="bundle",
            name=self.bundle.folder.resolve().name,
            sha256=self.bundle.sha256,
            model=manifest.model.variant,
            target=manifest.target,
            variant=self.variant.name,
            precision=self.variant.precision,
            engine=self.segmenter.backend.name,
            height=self.input.height,
            width=self.input.width,
            license=manifest.checkpoint.license,
        )

    def segment(self, frame: Bgr, /) -> ClassMap:
        """As `edgeseg run` does it."""
        return self.segmenter.segment(frame).mask

    def logits(self, image: Bgr, /) -> Logits:
        """The engine's."""
        output = self.segmenter.backend.infer(image[None])
        if output.ndim != _LOGITS_DIMENSIONS:
            raise SpecError(
                f"{self.name} ends in class ids, which cannot be averaged; only protocol ss can "
                f"measure it"
            )
        return cast("Logits", output)

    def close(self) -> None:
        """Release the engine."""
        self.segmenter.close()


class CheckpointModel:
    """A checkpoint in its own framework: the published network in float32."""

    size = None

    def __init__(self, checkpoint: Checkpoint, address: Address) -> None:
        self.checkpoint = checkpoint
        self.address = address
        if address.threads is not None:
            from edgeseg.export.reference import limit_threads

            limit_threads(address.threads)

    @property
    def name(self) -> str:
        """Where it comes from."""
        return f"checkpoint {self.checkpoint.source}"

    @property
    def labels(self) -> Labels:
        """The checkpoint's, or a known data set's."""
        return self.checkpoint.labels

    @property
    def input(self) -> InputSpec:
        """The checkpoint's own preprocessing."""
        return self.checkpoint.input

    @property
    def threads(self) -> int:
        """PyTorch's own choice unless it was asked for."""
        from edgeseg.export.reference import threads

        return threads()

    @property
    def about(self) -> Subject:
        """The checkpoint's facts."""
        return Subject(
            kind="checkpoint",
            name=self.checkpoint.source,
            sha256=self.checkpoint.sha256,
            model=self.checkpoint.spec.variant.name,
            precision="fp32",
            engine=f"torch {installed('torch')}",
            height=self.input.height,
            width=self.input.width,
            license=self.checkpoint.license,
        )

    def segment(self, frame: Bgr, /) -> ClassMap:
        """As its framework does it."""
        from edgeseg.export.reference import reference_mask

        return reference_mask(self.checkpoint.model, self.input, frame)

    def logits(self, image: Bgr, /) -> Logits:
        """The network's, for an image of any size."""
        from edgeseg.export.reference import network_logits

        return network_logits(self.checkpoint.model, self.input, image)

    def close(self) -> None:
        """Nothing is held."""


def open_model(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    watcher: Watcher = NOBODY,
) -> Model:
    """Open a bundle's folder, or a checkpoint; see `Address` for `size` and `threads`.

    Raises:
        EdgesegError: it cannot be read.
    """
    path = Path(source)
    if is_bundle(path) or (path / "manifest.sha256").exists():
        return _open_chosen(open_bundle(path), threads=threads, watcher=watcher)
    if not path.exists() and source != DEMO and "/" not in source:  # nor a hub's id
        raise BundleError(
            f"no bundle or checkpoint at {source}; make a bundle with: edgeseg export -o {source}"
        )
    from edgeseg.export.checkpoint import read_checkpoint

    lasting = str(path.absolute()) if path.exists() else source
    address = Address(source=lasting, variant=None, size=size, threads=threads)
    return CheckpointModel(read_checkpoint(source, size=size), address)


def _open_chosen(bundle: Bundle, *, threads: int | None, watcher: Watcher) -> BundleModel:
    """The variant that the export chose, or that a device does; where it does not run, what does.

    So a verdict is on what a bundle ships, and not on what happens to be fastest on the CPU that
    gives it: another CPU may run a float variant, of which no drop is to be told.
    """
    if bundle.manifest.target == ON_DEVICE:
        return BundleModel(bundle, threads=threads, watcher=watcher)
    try:
        return BundleModel(bundle, variant=bundle.chosen, threads=threads, watcher=watcher)
    except BackendError as error:
        here = variant_here(bundle, watcher=watcher)
        if here == bundle.chosen:
            raise
        watcher.tell(
            f"{bundle.chosen.name}, which the export chose, does not run here ({error}); "
            f"{here.name} is measured"
        )
        return BundleModel(bundle, variant=here, threads=threads, watcher=watcher)


def reopen(address: Address) -> Model:
    """Open what another process opened.

    Raises:
        EdgesegError: it is not there, or another machine's engine refuses it.
    """
    if address.variant is None:
        return open_model(address.source, size=address.size, threads=address.threads)
    bundle = open_bundle(Path(address.source))
    return BundleModel(bundle, variant=address.variant, threads=address.threads)


def own_reference(model: Model) -> Model | None:
    """The same bundle in FP32, where it was exported with it and something else was measured.

    On OpenVINO a float variant's file computes in FP32 when it is told to. Jetson's float variant
    is FP16, and there is no other on the device.
    """
    if not isinstance(model, BundleModel) or model.variant.precision == "fp32":
        return None
    manifest = model.bundle.manifest
    floats = [v for v in manifest.variants if v.precision != "int8" and v.instead_of is None]
    if not floats:
        return None
    chosen = min(floats, key=lambda variant: variant.precision != "fp32")
    if chosen.precision != "fp32" and manifest.target == "openvino":
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
