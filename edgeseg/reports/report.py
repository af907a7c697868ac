"""The report: everything that a verdict rests on, as one value that is written to JSON and read.

Accuracies are points (0..100). A field is None where it was not measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from edgeseg.accuracy.gates import Gate, Judged, Unjudged
from edgeseg.bundle.manifest import Machine
from edgeseg.datasets.matching import Differences
from edgeseg.errors import ReportError, SpecError
from edgeseg.reports.measured import (
    ClassDrop,
    ClassResult,
    CorruptionResult,
    Costs,
    FamilyResult,
    ImageResult,
    SidePoint,
    Value,
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

    `name` is a folder's or file's own; `sha256` is the manifest's or the checkpoint's; `engine`
    says its version and how it is set; `height` and `width` are the network's input in pixels.
    """

    kind: str
    name: str
    sha256: str
    model: str
    target: str | None = None
    variant: str | None = None
    precision: str
    engine: str
    height: int
    width: int
    license: str


class Data(Value, frozen=True, kw_only=True):
    """The data set; `sha256` is of all its items with their ground truth, in order."""

    name: str
    split: str | None
    sha256: str


class Noted(Value, frozen=True, kw_only=True):
    """An image and what is to be said of it, in one line."""

    name: str
    reason: str


class Change(Value, frozen=True, kw_only=True):
    """IoU now and in the baseline. `change` is now less before, with its 95 % interval.

    `verdict` is `regressed` or `improved` where the interval lies beyond what is tolerated,
    `unclear` where the change is beyond it but its interval is not, else `unchanged`.
    """

    name: str
    before: float
    now: float
    change: float
    low: float
    high: float
    verdict: str


class CostChange(Value, frozen=True, kw_only=True):
    """A cost now and in the baseline, in the unit that its name says."""

    name: str
    before: float
    now: float


class Comparison(Value, frozen=True, kw_only=True):
    """This report against an earlier one on the same images.

    `miou` is over the classes that both have, on `images` that show no other; the intervals of
    `classes` hold together. `new` and `missing` are classes that only this report or only the
    baseline has. Latencies are among
    `costs` only where both were taken on the same kind of machine.
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
    """A verdict and what it rests on; see the fields' own types.

    `passed` is null where there was nothing to judge; what no measurement here decided stands in
    `unjudged`, and is no pass.
    `miou_low`, `miou_high`, `drop_low`, `drop_high` are 95 % intervals from resampled images.
    `confusion[t][p]` counts pixels of class `t` that the candidate gives to `p`;
    `reference_confusion` the reference's, `agreement_confusion[r][c]` the reference's class against
    the candidate's. `converted` images were read after a conversion, `skipped` ones not measured.
    `notes` say in a sentence each what else has to be known to read the figures.
    `sensitivity` is what INT8 costs in each group of layers alone, in % of the pixels;
    `short_sides` is a checkpoint at several input sizes. `corruptions` are each kind and severity,
    `families` what they come to. `workers` are those of a cluster that counted, by processor;
    `machine` is where the command ran, and everything else was done.
    """

    schema: int = SCHEMA
    passed: bool | None
    created: str
    candidate: Subject
    reference: Subject | None = None
    data: Data | None = None
    protocol: str = "ss"
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
        # Reports of before there was a null say true where there was nothing to judge.
        if self.passed is not judged and (self.passed, judged) != (True, None):
            raise SpecError(
                "a report passes where every gate was judged and none missed, and only there"
            )
        classes = len(self.classes)
        for counts in (self.confusion, self.reference_confusion, self.agreement_confusion):
            if any(len(row) != len(counts) for row in counts) or len(counts) not in {0, classes}:
                raise SpecError(f"a confusion matrix is not {classes}x{classes}")
        if any(image.classes and image.classes[-1] >= classes for image in self.per_image):
            raise SpecError(f"an image has a class beyond the {classes} of the report")

    @property
    def judged(self) -> Judged:
        """What the verdict is made of."""
        return Judged(gates=self.gates, unjudged=self.unjudged)

    @property
    def misses(self) -> tuple[Gate, ...]:
        """The gates that were not passed."""
        return self.judged.misses


def note_image(name: str, reason: str) -> Noted:
    """Make a note of an image; its name and the reason are made fit for JSON."""
    return Noted(name=to_encodable(name), reason=to_encodable(reason))


def encode_report(report: Report) -> bytes:
    """Write a report as JSON, a line for each field and for each row of a list."""
    fields = (
        f"{_encode(name)}: {_encode_lines(getattr(report, name))}"
        for name in report.__struct_fields__
    )
    return ("{\n  " + ",\n  ".join(fields) + "\n}\n").encode()


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        ReportError: no such file, not a report, or of another schema.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ReportError(f"report {path} cannot be read: {error.strerror}") from None
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema != SCHEMA:
            raise ReportError(
                f"report {path} has schema {schema}, this edgeseg reads {SCHEMA}; write it again "
                f"with: edgeseg verify ... --report FOLDER"
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
    """The one field that every schema has. Everything else may change with it."""

    schema: int


def make_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a report's JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edgeseg report",
        **msgspec.json.schema(Report),
    }
