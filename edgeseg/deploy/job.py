"""One export in progress: its request, its checkpoint and the folder that it fills."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.bundle.staging import new_bundle
from edgeseg.datasets import Dataset, match_classes, tell_notes_if_refused
from edgeseg.deploy.request import ExportRequest
from edgeseg.errors import CheckpointError, DatasetError, ExportError
from edgeseg.memory import find_total_memory
from edgeseg.progress import Progress, begin
from edgeseg.quantize.targets.maker import open_to_prove
from edgeseg.runtime.backends.backend import Backend
from edgeseg.segformer.arch import compute_logits_shape
from edgeseg.segformer.macs import estimate_least_memory
from edgeseg.spec import RGB
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.export.checkpoint import Checkpoint

__all__ = ["ExportJob", "open_job"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """What every step of an export works with.

    `staging` is renamed to `folder`, the bundle, once it is complete. The request's data set uses
    the class ids of the checkpoint.
    """

    request: ExportRequest
    checkpoint: Checkpoint
    folder: Path
    staging: Path
    progress: Progress

    @property
    def logits_shape(self) -> tuple[int, int, int, int]:
        """The shape of the network's output, (1, classes, h, w)."""
        return compute_logits_shape(self.checkpoint.spec, self.checkpoint.input)

    def open_to_prove(self, path: Path, compute: str) -> closing[Backend]:
        """Open an artifact of the target with the engine that judges its accuracy on this machine.

        The engine is closed at the end of the block.

        Raises:
            BackendError: the engine refuses the artifact.
        """
        target, shape = self.request.target, self.logits_shape
        return closing(open_to_prove(target, path, compute, logits_shape=shape))


@contextmanager
def open_job(request: ExportRequest, progress: Progress) -> Iterator[ExportJob]:
    """Read the checkpoint and lock the folder, which becomes a bundle if the block succeeds.

    Raises:
        CheckpointError: the weights cannot be used, or are of another variant than asked for; or
            the framework that was asked for cannot judge them.
        MissingPackageError: that framework is not installed.
        ExportError: the input needs more memory than there is.
        DatasetError: the data set does not fit the checkpoint's classes or channels.
        BundleError: the folder cannot be written, or holds what is not to be replaced.
        BusyError: another process is writing it.
    """
    checkpoint = _read_checkpoint(request, progress)
    request = _match_dataset(request, checkpoint, progress)
    name = f"{checkpoint.spec.name}-{request.target}-{request.precision}"
    folder = request.folder or Path(name)
    with new_bundle(folder) as staging:
        yield ExportJob(
            request=request,
            checkpoint=checkpoint,
            folder=folder,
            staging=staging,
            progress=progress,
        )


def _read_checkpoint(request: ExportRequest, progress: Progress) -> Checkpoint:
    begin(progress, "reading the checkpoint")
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(
        request.weights,
        size=request.size,
        labels=request.labels,
        overrides=request.overrides,
        say=progress.say,
    )
    if request.variant not in {None, checkpoint.spec.name}:
        raise CheckpointError(
            f"{request.weights} is a {checkpoint.spec.title}, not {request.variant}; "
            f"leave --model out, or give other weights"
        )
    if request.check_with is not None:
        from edgeseg.export.frameworks.own import demand_framework

        demand_framework(request.check_with, request.weights, checkpoint)
    _check_memory(checkpoint)
    for height, width in request.further_sizes:  # refused now, and not after the first one's search
        replace(checkpoint.input, height=height, width=width)
    for note in request.notes:
        progress.say(note)
    progress.say(_describe(checkpoint))
    return checkpoint


def _match_dataset(
    request: ExportRequest, checkpoint: Checkpoint, progress: Progress
) -> ExportRequest:
    """Return the request, with the data set read in the checkpoint's channels and classes."""
    channels = checkpoint.input.channels
    if request.dataset is None:
        if channels != RGB:
            raise DatasetError(
                f"{request.weights} takes images of {pluralize(channels, 'channel')}, and drawn "
                f"scenes have three; add --data DATASET with such images"
            )
        return request
    read = request.dataset.read_as(channels)
    with tell_notes_if_refused(read, progress):
        dataset, differences = match_classes(
            read, checkpoint.labels, reduce_labels=checkpoint.reduce_labels
        )
    about_size = () if request.size is None else _ask_about_size(request.size, dataset)
    for line in (*differences.lines, *dataset.notes, *about_size):
        progress.say(line)
    return replace(request, dataset=dataset)


def _ask_about_size(size: tuple[int, int], dataset: Dataset) -> Iterator[str]:
    """Ask whether height and width are swapped, if they look so."""
    (height, width), there = size, dataset.items[0].image().shape[:2]
    if (height - width) * (there[0] - there[1]) < 0:
        yield (
            f"--size {height}x{width} is {'higher' if height > width else 'wider'} than "
            f"{'wide' if height > width else 'high'}, unlike the images of {dataset.title}, which "
            f"are {there[0]}x{there[1]} (height x width); did you mean --size {width}x{height}?"
        )


def _check_memory(checkpoint: Checkpoint) -> None:
    """Refuse an input that needs more memory than the machine has."""
    size = checkpoint.input
    needed = estimate_least_memory(checkpoint.spec, height=size.height, width=size.width)
    there = find_total_memory()
    if needed > there:
        raise ExportError(
            f"an input of {size.height}x{size.width} needs at least {needed / 1e9:,.0f} GB of "
            f"memory for its attention, and {there / 1e9:,.1f} GB may be taken here; choose a "
            f"smaller --size"
        )


def _describe(checkpoint: Checkpoint) -> str:
    return (
        f"{checkpoint.spec.title}, {checkpoint.spec.classes} classes "
        f"(names from {checkpoint.labels_source}), {checkpoint.layout} layout, "
        f"license of the weights: {checkpoint.license}"
    )
