"""Measures a candidate, and a reference if there is one, over a data set, share by share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from edgeseg.accuracy.counts import Counts, Masks
from edgeseg.corruptions import corrupt
from edgeseg.datasets import Dataset, Differences, Item, Survey, explain_uncounted, match_classes
from edgeseg.errors import DatasetError
from edgeseg.images.sizes import SizeTeller
from edgeseg.labels import Labels
from edgeseg.pixels import Bgr, ClassMap
from edgeseg.pixels.shrinking import describe_shrinking
from edgeseg.progress import SILENT, Progress, track
from edgeseg.redact import scrub
from edgeseg.reports.data_facts import collect_facts
from edgeseg.reports.report import Data, Noted, note_image
from edgeseg.text import pluralize, to_encodable
from edgeseg.verification.doubts import find_doubts
from edgeseg.verification.reader import Measured, Readable
from edgeseg.verification.subjects import Model
from edgeseg.verification.ways import segment_as

__all__ = [
    "Corruption",
    "Measurement",
    "Pair",
    "Share",
    "Shares",
    "join_shares",
    "measure",
    "measure_share",
]


_REMEDY: Final = "--protocol slide measures at their own resolution, as edgeseg run --tile segments"


class Corruption(NamedTuple):
    """What is done to an image before it is segmented; see `edgeseg.corruptions`."""

    name: str
    severity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The candidate, the `reference` that is measured in the same way, and how to measure."""

    candidate: Model
    reference: Model | None
    protocol: str

    @property
    def reduce_labels(self) -> bool:
        """Whether one of the two models has reduced labels; old bundles do not say."""
        models = (self.candidate, self.reference)
        return any(model is not None and model.reduce_labels for model in models)

    def make_masks(self, image: Bgr, truth: ClassMap) -> Masks:
        """Segment an image with each model and return all masks, the truth's first."""
        expected = None if self.reference is None else self._segment(self.reference, image)
        return Masks(truth, expected, self._segment(self.candidate, image))

    def note_shrinking(self, image: Bgr) -> str | None:
        """Describe an image that is far too large; None where the protocol shrinks none."""
        if self.protocol != "ss":
            return None
        height, width = image.shape[:2]
        return describe_shrinking(height, width, self.candidate.input, remedy=_REMEDY)

    def _segment(self, model: Model, frame: Bgr) -> ClassMap:
        return segment_as(self.protocol, model, frame, candidate=self.candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What was counted over some items, in their order. It is small and moves between processes.

    `hashes` are those of all items. `measured` are the items that could be measured, `skipped` the
    others. `shrunk` says how much each image that is far too large is shrunk. `survey` describes
    the masks.
    """

    counts: Counts
    hashes: tuple[str, ...]
    measured: tuple[Measured, ...]
    skipped: tuple[Noted, ...]
    converted: tuple[Noted, ...]
    shrunk: tuple[str, ...]
    survey: Survey


# Takes items and the corruption of all of them; returns shares that cover the items in order.
Shares = Callable[[Sequence[Item], "Corruption | None"], Iterable[Share]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The result of a whole data set, how its classes differ from the model's, and notes."""

    share: Share
    data: Data
    differences: Differences
    notes: tuple[str, ...]

    @property
    def counts(self) -> Counts:
        """The counts over all images that could be measured."""
        return self.share.counts


def name_phase(corruption: Corruption | None) -> str:
    """Name what is being done, for a progress line."""
    return "measuring" if corruption is None else f"{corruption.name} {corruption.severity}"


def measure_share(
    pair: Pair,
    items: Sequence[Item],
    *,
    strict: bool,
    progress: Progress = SILENT,
    corruption: Corruption | None = None,
) -> Share:
    """Count every image that can be measured; with `strict`, refuse any other image.

    Random values of a corruption depend only on the hash of image and truth. So every model and
    every process sees the same image.

    Raises:
        DatasetError: with `strict`, an image that does not fit its ground truth.
        SourceError: with `strict`, an image that cannot be read.
        SpecError: the protocol does not fit a model.
    """
    labels = pair.candidate.labels
    counts = Counts(labels, ignore_index=labels.ignore_index)
    tracked = track(progress, name_phase(corruption), items)
    readable = Readable(tracked, strict=strict)
    shrunk, sizes = [], SizeTeller(progress.say)
    for measured, sample in readable:
        image = sample.image
        if corruption is None:
            sizes.see(*image.shape[:2])
        shrunk.append(pair.note_shrinking(image))
        if corruption is not None:
            image = corrupt(image, *corruption, seed=int(measured.sha256, 16))
        counts.add(pair.make_masks(image, sample.mask))
        del sample, image  # a large image is not kept while the next one is read
    return Share(
        counts=counts,
        hashes=tuple(readable.hashes),
        measured=tuple(readable.measured),
        skipped=tuple(readable.skipped),
        converted=tuple(readable.converted),
        shrunk=tuple(note for note in shrunk if note is not None),
        survey=readable.survey,
    )


def join_shares(shares: Iterable[Share], labels: Labels) -> Share:
    """Join shares in order, as if they were one.

    No share is kept, for each has a count of all pairs of classes.
    """
    counts = Counts(labels, ignore_index=labels.ignore_index)
    hashes: list[str] = []
    measured: list[Measured] = []
    skipped: list[Noted] = []
    converted: list[Noted] = []
    shrunk: list[str] = []
    surveys = []
    for share in shares:
        counts.include(share.counts)
        hashes += share.hashes
        measured += share.measured
        skipped += share.skipped
        converted += share.converted
        shrunk += share.shrunk
        surveys.append(share.survey)
    return Share(
        counts=counts,
        hashes=tuple(hashes),
        measured=tuple(measured),
        skipped=tuple(skipped),
        converted=tuple(converted),
        shrunk=tuple(shrunk),
        survey=Survey.join(surveys),
    )


def measure(dataset: Dataset, pair: Pair, shares: Shares, *, strict: bool) -> Measurement:
    """Measure a whole data set; with `strict`, refuse skipped images and differing classes.

    Raises:
        DatasetError: the data set does not fit the model, or nothing in it can be measured.
        EdgesegError: whatever `shares` raises.
    """
    labels = pair.candidate.labels
    matched, differences = match_classes(dataset, labels, reduce_labels=pair.reduce_labels)
    if strict and differences:
        raise DatasetError(f"--strict: {'; '.join(differences.lines)}")
    unpaired = tuple(note_image(gap.name, gap.reason) for gap in dataset.unpaired)
    if strict and unpaired:
        raise DatasetError(
            f"--strict: images or masks without the other: {len(unpaired)}, the first: "
            f"{unpaired[0].reason}"
        )
    found = join_shares(shares(matched.items, None), labels)
    if not found.measured:
        raise DatasetError(
            f"none of {len(dataset)} images can be measured, the first for: "
            f"{found.skipped[0].reason}"
        )
    skipped = tuple(
        note_image(note.name, scrub(note.reason, dataset.origin))
        for note in (*unpaired, *found.skipped)
    )
    share = replace(found, skipped=skipped)
    facts = collect_facts(share.survey, labels, layout=dataset.layout, lookup=lambda own: own)
    data = Data(name=dataset.title, split=dataset.split, sha256=_combine(found.hashes), facts=facts)
    named = dataset.labels if "palette" in dataset.said else None
    notes = (
        *matched.notes,
        *share.survey.notes(named),
        *explain_uncounted(share.survey.tally, matched),
        *_describe_shrinking(share),
        *find_doubts(share.counts, absent=differences.model_only),
    )
    return Measurement(
        share=share, data=data, differences=differences, notes=tuple(map(to_encodable, notes))
    )


def _describe_shrinking(share: Share) -> Iterator[str]:
    if share.shrunk:
        some = f"{len(share.shrunk)} of {pluralize(len(share.measured), 'image')}"
        verb = "is" if len(share.shrunk) == 1 else "are"
        yield f"{some} {verb} far larger than the network's input, the first: {share.shrunk[0]}"


def _combine(hashes: Sequence[str]) -> str:
    """Combine hashes as `Dataset.compute_sha256` does."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
