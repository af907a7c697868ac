"""What a bundle says of each variant: what it computes in, what it cost, how it was trained."""

from __future__ import annotations

import msgspec

from edgeseg.errors import SpecError
from edgeseg.segformer.form import Form, HeadForm

__all__ = ["Accuracy", "BatchInfo", "FormInfo", "RecoveryInfo", "Value", "VariantInfo"]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and read from JSON with its types checked."""


class Accuracy(Value, frozen=True, kw_only=True):
    """A candidate against the FP32 reference on the same images, in points (0..100).

    Without ground truth only the last two are known: the share of the pixels with the reference's
    class, and the mean IoU with its masks. `drop_low` and `drop_high` are the drop's 95 % interval,
    `chance_miou` is the mIoU of guesses as frequent as the reference's classes.
    """

    images: int
    miou: float | None = None
    reference_miou: float | None = None
    chance_miou: float | None = None
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None
    class_iou: dict[str, float] = {}
    worst_class: str | None = None
    worst_class_drop: float | None = None
    pixel_agreement: float
    agreement_iou: float


class FormInfo(Value, frozen=True, kw_only=True):
    """A form of the network other than the exact one; see `edgeseg.segformer.form.Form`.

    `queries` and `keys` are stages, 1 to 4. `macs` are the multiply-adds for a frame.
    """

    name: str
    queries: tuple[int, ...]
    keys: tuple[int, ...]
    head: HeadForm
    macs: int

    def __post_init__(self) -> None:
        _ = self.form  # refuses stages that no network has

    @property
    def form(self) -> Form:
        """The form itself."""
        return Form(
            name=self.name,
            queries=frozenset(self.queries),
            keys=frozenset(self.keys),
            head=self.head,
        )


class RecoveryInfo(Value, frozen=True, kw_only=True):
    """How a variant's file was trained to compute what FP32 does.

    It learned from `images`, and so many were `held_back` beside them; `sha256` is of the pixels of
    all. `labels` is the number of `images` whose ground truth took part. `before` and `after` are
    the mean IoU with FP32's masks on those held back, in points. `extra_drops` are points of mIoU
    that a corruption costs it more than FP32, less what clean images cost it more, by corruption
    and severity, on images that decide.
    """

    images: int
    held_back: int
    sha256: str
    seed: int
    steps: int
    minutes: float
    before: float
    after: float
    labels: int = 0
    extra_drops: dict[str, float] = {}


class BatchInfo(Value, frozen=True, kw_only=True):
    """A further file of a variant: the same graph for so many `frames` at once.

    It takes uint8 (frames, H, W, C). A device may use it where several sources run.
    """

    frames: int
    file: str

    def __post_init__(self) -> None:
        if self.frames <= 1:
            raise SpecError(f"a batch of {self.frames} frames is none")


class VariantInfo(Value, frozen=True, kw_only=True):
    """One artifact: `file` is what the engine opens, `compute` what its float parts compute in.

    `output` is `logits`, or `class_map` for class ids at the input's size. `instead_of` names the
    variant that this one replaces where the engine cannot build it. `search` was measured on the
    half of the data that the search saw, `gate` on the other half. `int8_share` is the share of the
    multiply-adds, 0..1, that are INT8 in the file. `form` is None for the exact network, `recovery`
    for a file that was not trained, and `batch` where there is no file for several frames at once.
    """

    name: str
    precision: str
    file: str
    recipe: str
    compute: str = "f32"
    output: str = "logits"
    instead_of: str | None = None
    form: FormInfo | None = None
    recovery: RecoveryInfo | None = None
    batch: BatchInfo | None = None
    int8_share: float = 0.0
    search: Accuracy | None = None
    gate: Accuracy | None = None
    latency_ms: float | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files that engines open for it, each without those that lie beside it."""
        return (self.file,) if self.batch is None else (self.file, self.batch.file)
