"""What can be measured: a variant of a bundle on its engine, or a checkpoint in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from edgeseg.accuracy.gates import Unjudged
from edgeseg.bundle.forms import find_form
from edgeseg.bundle.manifest import VariantInfo
from edgeseg.bundle.store import Bundle
from edgeseg.errors import SpecError
from edgeseg.labels import Labels
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.packages import find_version
from edgeseg.overrides import NO_OVERRIDES, Overrides
from edgeseg.pixels import LOGITS_DIMENSIONS, to_input
from edgeseg.pixels.tiles import segment_tiles
from edgeseg.progress import SILENT, Progress
from edgeseg.reports.report import Subject
from edgeseg.runtime.backends.placing import find_title
from edgeseg.runtime.proving.choose import choose_variant
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.segformer.macs import count_costs
from edgeseg.spec import InputSpec
from edgeseg.text import to_encodable

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint
    from edgeseg.pixels import Bgr, ClassMap, Logits

__all__ = ["Address", "BundleModel", "CheckpointModel", "Model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What another process needs to open the same model again, in the same way.

    `source` is a path that both processes see, or a hub's id. `variant` is a bundle's variant,
    `size` the input size of a checkpoint. `threads` is the number of the engine's threads; None
    takes all cores. `overrides` replace what a checkpoint says of its input.
    """

    source: str
    variant: VariantInfo | None
    size: tuple[int, int] | None
    threads: int | None
    overrides: Overrides = NO_OVERRIDES


class Model(Protocol):
    """Something that segments images, and says what it is."""

    @property
    def address(self) -> Address:
        """What another process needs to open the model."""

    @property
    def name(self) -> str:
        """The model's name in messages."""

    @property
    def labels(self) -> Labels:
        """The model's classes."""

    @property
    def reduce_labels(self) -> bool:
        """Whether 0 was no class, and 1 the first one, in the masks of the training."""

    @property
    def threshold(self) -> float | None:
        """The threshold of the one logit that the checkpoint has; None where it has several."""

    @property
    def input(self) -> InputSpec:
        """The model's own way from a frame to its input."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the only input that its network takes; None where it takes any."""

    @property
    def threads(self) -> int:
        """The number of threads that the engine computes with."""

    @property
    def about(self) -> Subject:
        """The facts about the model that a report states."""

    @property
    def unjudged(self) -> tuple[Unjudged, ...]:
        """What no verdict on or against this model decides."""

    def segment(self, frame: Bgr, /, *, tile: bool = False) -> ClassMap:
        """Segment a uint8 (H, W, C) frame in the model's own way: class ids (H, W).

        With `tile`, the model sees the frame at its own resolution, through windows of the size of
        its input.
        """

    def logits(self, image: Bgr, /) -> Logits:
        """Compute the logits (1, classes, h, w) of an image that has the network's size already.

        The next call may overwrite the result.
        """

    def close(self) -> None:
        """Release the engine."""


class BundleModel:
    """A variant of a bundle: the one given, or the one that runs here.

    `unjudged` says for which variant it stands in, if it does.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        variant: VariantInfo | None = None,
        threads: int | None = None,
        progress: Progress = SILENT,
        unjudged: tuple[Unjudged, ...] = (),
    ) -> None:
        self.bundle = bundle
        self.unjudged = unjudged
        self.variant = variant or choose_variant(bundle, progress=progress)
        self.segmenter = Segmenter(bundle, variant=self.variant, threads=threads, progress=progress)
        self.address = Address(
            source=str(bundle.folder.absolute()), variant=self.variant, size=None, threads=threads
        )

    @property
    def name(self) -> str:
        """The bundle's folder and the variant's name."""
        return f"bundle {self.bundle.folder.resolve().name} ({find_title(self.variant)})"

    @property
    def labels(self) -> Labels:
        """The bundle's classes."""
        return self.bundle.manifest.labels

    @property
    def reduce_labels(self) -> bool:
        """Whether the manifest says that the checkpoint had reduced labels; old ones do not say."""
        return self.bundle.manifest.checkpoint.reduce_labels

    @property
    def threshold(self) -> float | None:
        """The threshold in the manifest."""
        return self.bundle.manifest.checkpoint.threshold

    @property
    def input(self) -> InputSpec:
        """The bundle's way from a frame to its input."""
        return self.bundle.manifest.input

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the graph's only input size, in pixels."""
        return self.input.height, self.input.width

    @property
    def threads(self) -> int:
        """The number of threads asked for, else one for each core."""
        return self.address.threads or describe_machine().cores

    @property
    def about(self) -> Subject:
        """The facts of the manifest that a report states."""
        manifest = self.bundle.manifest
        form = self.variant.form
        return Subject(
            kind="bundle",
            name=to_encodable(self.bundle.folder.resolve().name),
            sha256=self.bundle.sha256,
            model=manifest.model.variant,
            target=manifest.target,
            variant=self.variant.name,
            form=None if form is None else form.name,
            form_changes=None if form is None else form.form.changes,
            macs=find_form(manifest, self.variant).macs,
            exact_macs=manifest.model.macs,
            precision=self.variant.precision,
            engine=self.segmenter.backend.name,
            height=self.input.height,
            width=self.input.width,
            license=manifest.checkpoint.license,
        )

    def segment(self, frame: Bgr, /, *, tile: bool = False) -> ClassMap:
        """Segment a frame as `edgeseg run` does, with its `--tile` or without."""
        return self.segmenter.segment(frame, tile=tile).mask

    def logits(self, image: Bgr, /) -> Logits:
        """Run the engine."""
        output = self.segmenter.backend.infer(image[None])
        if output.ndim != LOGITS_DIMENSIONS:
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
    unjudged: tuple[Unjudged, ...] = ()

    def __init__(self, checkpoint: Checkpoint, address: Address) -> None:
        self.checkpoint = checkpoint
        self.address = address
        if address.threads is not None:
            from edgeseg.export.reference import limit_threads

            limit_threads(address.threads)

    @property
    def name(self) -> str:
        """The checkpoint's source."""
        return f"checkpoint {self.checkpoint.source}"

    @property
    def labels(self) -> Labels:
        """The checkpoint's classes, or those of a known data set."""
        return self.checkpoint.labels

    @property
    def reduce_labels(self) -> bool:
        """Whether the checkpoint says that its labels are reduced."""
        return self.checkpoint.reduce_labels

    @property
    def threshold(self) -> float | None:
        """The checkpoint's threshold."""
        return self.checkpoint.threshold

    @property
    def input(self) -> InputSpec:
        """The checkpoint's own preprocessing."""
        return self.checkpoint.input

    @property
    def threads(self) -> int:
        """The number of threads asked for, else PyTorch's own choice."""
        from edgeseg.export.reference import count_threads

        return count_threads()

    @property
    def about(self) -> Subject:
        """The facts of the checkpoint that a report states."""
        height, width = self.input.height, self.input.width
        return Subject(
            kind="checkpoint",
            name=self.checkpoint.source,
            sha256=self.checkpoint.sha256,
            model=self.checkpoint.spec.name,
            macs=count_costs(self.checkpoint.spec, height=height, width=width).macs_original,
            precision="fp32",
            engine=f"torch {find_version('torch')}",
            height=height,
            width=width,
            license=self.checkpoint.license,
        )

    def segment(self, frame: Bgr, /, *, tile: bool = False) -> ClassMap:
        """Segment a frame as the checkpoint's own framework does; with `tile`, each window."""
        from edgeseg.export.reference import compute_reference_mask

        if tile:
            return segment_tiles(self._look, self.input, frame)
        return compute_reference_mask(self.checkpoint.model, self.input, frame)

    def logits(self, image: Bgr, /) -> Logits:
        """Run the network on an image of any size."""
        from edgeseg.export.reference import compute_logits

        return compute_logits(self.checkpoint.model, self.input, image)

    def _look(self, part: Bgr) -> Logits:
        return self.logits(to_input(part, self.input)[0])

    def close(self) -> None:
        """Do nothing: no engine is held."""
