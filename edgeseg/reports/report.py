"""A report holds everything that a verdict rests on, and is written to JSON and read from it.

Accuracies are points (0..100). A field is None where it was not measured.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final

import msgspec

from edgeseg.accuracy.gates import Gate, Judged, Unjudged
from edgeseg.bundle.manifest import Machine
from edgeseg.datasets.matching import Differences
from edgeseg.errors import ReportError, SpecError
from edgeseg.reports.data_facts import DataFacts
from edgeseg.reports.measured import (
    ClassDrop,
    ClassResult,
    CorruptionResult,
    Costs,
    FamilyResult,
    ImageResult,
    SidePoint,
    Value,
    Windows,
)
from edgeseg.text import to_encodable

__all__ = [
    "SCHEMA",
    "Change",
    "Comparison",
    "CostChange",
    "Data",
    "Noted",
    "Report",
    "Subject",
    "encode_report",
    "make_json_schema",
    "note_image",
    "read_report",
]

SCHEMA: Final = 1


class Subject(Value, frozen=True, kw_only=True):
    """What was measured: a variant of a bundle, or a checkpoint in PyTorch.

    `kind` is `bundle` or `checkpoint`. `name` is the name of the folder or the file, without its
    path, and `sha256` the hash of the bundle's manifest or of the checkpoint's weights. `model` is
    b0 to b5. `engine` holds the engine's version and settings. `height` and `width` are the
    network's input in pixels. `target` and `variant` are None for a checkpoint. `form` names the
    form of the network and `form_changes` says what it changes; both are None for the exact one.

    `macs` are the multiply-adds for one input, and `exact_macs` those of the exact network, None
    for a checkpoint: its own network is measured as published. The report of an older edgeseg has
    neither.
    """

    kind: str
    name: str
    sha256: str
    model: str
    target: str | None = None
    variant: str | None = None
    form: str | None = None
    form_changes: str | None = None
    macs: int | None = None
    exact_macs: int | None = None
    precision: str
    engine: str
    height: int
    width: int
    license: str


class Data(Value, frozen=True, kw_only=True):
    """A data set. `sha256` is the hash of all its images with their ground truth, in order.

    `facts` are of what was measured; None in the report of an older edgeseg.
    """

    name: str
    split: str | None
    sha256: str
    facts: DataFacts | None = None


class Noted(Value, frozen=True, kw_only=True):
    """An image, and why it was skipped or how it was converted, in one line."""

    name: str
    reason: str


class Change(Value, frozen=True, kw_only=True):
    """An IoU in points, `before` in the baseline and `now`.

    `change` is `now` less `before`; its 95 % interval reaches from `low` to `high`. `verdict` is
    `regressed` or `improved` if the whole interval exceeds what is tolerated, `unclear` if only the
    change does, else `unchanged`.
    """

    name: str
    before: float
    now: float
    change: float
    low: float
    high: float
    verdict: str


class CostChange(Value, frozen=True, kw_only=True):
    """A cost, `before` in the baseline and `now`, in the unit that `name` says."""

    name: str
    before: float
    now: float


class Comparison(Value, frozen=True, kw_only=True):
    """This report against an earlier one on the same images.

    `baseline` is the earlier report's file, `created` its time (ISO 8601), and `subject` what it
    measured. `miou` is the mean over the classes that both reports have, on the `images` images
    that show no other class. The intervals of `classes` hold for all of them together, with 95 %
    confidence. `new` are classes that only this report has, `missing` those that only the baseline
    has. `costs` hold latencies only if both were measured on the same kind of machine.
    """

    baseline: str
    created: str
    subject: Subject
    images: int
    miou: Change
    classes: tuple[Change, ...]
    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    costs: tuple[CostChange, ...] = ()


class Report(Value, frozen=True, kw_only=True):
    """A verdict, and what it rests on.

    `passed` is true if every gate was judged and none missed, and null if there was nothing to
    judge. `gates` were judged; `unjudged` could not be judged, and are no pass. `created` is a time
    in UTC (ISO 8601). `protocol` is how frames were segmented, as `verify --protocol` names it, and
    `windows` are those through which the network saw them, if any.

    `images` counts the images that were measured. `skipped` ones were not, and `converted` ones
    were measured after a conversion. `miou` and `drop` (the reference's mIoU less the candidate's)
    are points; `_low` to `_high` are 95 % intervals from resampled images. `worst_class` is the
    counted class with the largest drop. `pixel_agreement` is the share of pixels with the
    reference's class, in %, and `agreement_iou` the mean IoU with the reference's masks, in points.

    `confusion[t][p]` counts pixels of class `t` that the candidate gives to class `p`;
    `reference_confusion` counts the reference's. `agreement_confusion[r][c]` counts pixels of class
    `r` in the reference's masks and `c` in the candidate's. `differences` are classes that only the
    data set or only the model has. `per_image` holds the counts of each image.

    `costs` are latency, size and memory. `sensitivity` is the share of pixels that change class if
    one group of layers alone is INT8, in %. `short_sides` is a checkpoint at several input sizes.
    `corruptions` are the results for each kind and severity, `families` their means. `baseline`
    compares this report with an earlier one.

    `notes` are sentences that a reader of the figures has to know. `machine` is where the command
    ran. `tools` gives the version of each package. `workers` counts the workers of a cluster by
    their processors; they only counted pixels.
    """

    schema: int = SCHEMA
    passed: bool | None
    created: str
    candidate: Subject
    reference: Subject | None = None
    data: Data | None = None
    protocol: str = "ss"
    windows: Windows | None = None
    gates: tuple[Gate, ...]
    unjudged: tuple[Unjudged, ...] = ()
    images: int = 0
    miou: float | None = None
    miou_low: float | None = None
    miou_high: float | None = None
    reference_miou: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    worst_class: ClassDrop | None = None
    pixel_agreement: float | None = None
    agreement_iou: float | None = None
    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    reference_confusion: tuple[tuple[int, ...], ...] = ()
    agreement_confusion: tuple[tuple[int, ...], ...] = ()
    skipped: tuple[Noted, ...] = ()
    converted: tuple[Noted, ...] = ()
    differences: Differences = Differences()
    notes: tuple[str, ...] = ()
    costs: Costs | None = None
    sensitivity: dict[str, float] = msgspec.field(default_factory=dict)
    short_sides: tuple[SidePoint, ...] = ()
    corruptions: tuple[CorruptionResult, ...] = ()
    families: tuple[FamilyResult, ...] = ()
    baseline: Comparison | None = None
    machine: Machine
    tools: dict[str, str]
    workers: dict[str, int] = msgspec.field(default_factory=dict)
    per_image: tuple[ImageResult, ...] = ()

    def __post_init__(self) -> None:
        judged = self.judged.passed
        # Older versions of edgeseg write true, not null, where there was nothing to judge.
        if self.passed is not judged and (self.passed, judged) != (True, None):
            raise SpecError(
                "`passed` does not follow from the gates: a report passes if every gate was "
                "judged and none missed"
            )
        classes = len(self.classes)
        for counts in (self.confusion, self.reference_confusion, self.agreement_confusion):
            if any(len(row) != len(counts) for row in counts) or len(counts) not in {0, classes}:
                raise SpecError(f"a confusion matrix is not {classes}x{classes}")
        if any(image.classes and image.classes[-1] >= classes for image in self.per_image):
            raise SpecError(f"an image has a class beyond the {classes} of the report")

    @property
    def judged(self) -> Judged:
        """The gates, judged or not: the verdict follows from them."""
        return Judged(gates=self.gates, unjudged=self.unjudged)

    @property
    def way(self) -> str:
        """The protocol, and the windows if there were any."""
        return self.protocol if self.windows is None else f"{self.protocol}: {self.windows.words}"

    @property
    def misses(self) -> tuple[Gate, ...]:
        """The gates that were not passed."""
        return self.judged.misses


def note_image(name: str, reason: str) -> Noted:
    """Make a note of an image; its name and the reason are made fit for JSON."""
    return Noted(name=to_encodable(name), reason=to_encodable(reason))


def encode_report(report: Report) -> bytes:
    """Encode a report as JSON in UTF-8, a line for each field and for each row of a list."""
    fields = (
        f"{_encode(name)}: {_encode_lines(getattr(report, name))}"
        for name in report.__struct_fields__
    )
    return ("{\n  " + ",\n  ".join(fields) + "\n}\n").encode()


def read_report(path: Path) -> Report:
    """Read a report from its JSON.

    Raises:
        ReportError: there is no such file, or the file is no report or one of another schema.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ReportError(f"report {path} cannot be read: {error.strerror}") from None
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema != SCHEMA:
            raise ReportError(
                f"report {path} has schema {schema}, and this edgeseg reads {SCHEMA}; write it "
                f"again with: edgeseg verify ... --report FOLDER"
            )
        return msgspec.json.decode(text, type=Report)
    except (msgspec.MsgspecError, SpecError, RecursionError) as error:
        raise ReportError(
            f"{path} is not a report of edgeseg: {error}; write one with: edgeseg verify ... "
            f"--report FOLDER"
        ) from None


def _encode_lines(value: object) -> str:
    if not isinstance(value, tuple) or not value:
        return _encode(value)
    return "[\n    " + ",\n    ".join(map(_encode, value)) + "\n  ]"


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


class _Schema(msgspec.Struct):
    """The one field that every schema has; all others may change with the schema."""

    schema: int


def make_json_schema() -> dict[str, Any]:
    """Make the JSON Schema (2020-12) of a report's JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgeseg report",
        **_clean_descriptions(msgspec.json.schema(Report)),
    }


def _clean_descriptions(schema: dict[str, Any]) -> dict[str, Any]:
    """Take the indentation of docstrings away, as msgspec does since 0.23."""

    def clean(key: str, part: object) -> object:
        if isinstance(part, dict):
            return _clean_descriptions(part)
        return inspect.cleandoc(part) if key == "description" and isinstance(part, str) else part

    return {key: clean(key, part) for key, part in schema.items()}
