"""Reports as `edgeseg verify` makes them, of numbers that are drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from drawn_counts import draw_accuracy, wear_mask

from edgeseg.accuracy.gates import (
    BASELINE_CLASSES,
    GOLDEN,
    Judged,
    Unjudged,
    apply_limit,
    at_least,
    at_most,
    make_unjudged_classes,
    make_worst_gates,
)
from edgeseg.bundle.manifest import Machine
from edgeseg.corruptions import FAMILIES, SEVERITIES
from edgeseg.datasets.matching import Differences
from edgeseg.demo import draw_scene
from edgeseg.labels import Labels, get_known_labels
from edgeseg.reports.draw.pictures import ImagePictures, draw_pictures
from edgeseg.reports.measured import (
    CorruptionResult,
    Cost,
    Costs,
    FamilyResult,
    SidePoint,
)
from edgeseg.reports.report import Change, Comparison, CostChange, Data, Noted, Report, Subject
from edgeseg.segformer.form import FORMS

CAMVID = get_known_labels("camvid")
HOSTILE = (
    "a|b", "`tick`", "``", "two\nlines", "<script>alert(1)</script>", "@octocat", "see #1",
    "**bold** [x](http://e.vil)", "\u202edesrever", "lone\udcff", "nul\x00bel\x07", "end\\",
    "www.e.vil me@e.vil", "]]>&amp;", "{{ 7 * 7 }}", "x" * 400,
)  # fmt: skip

CANDIDATE = Subject(
    kind="bundle",
    name="b0-camvid-openvino",
    sha256="8d1c3f0b6a52e4978d1c3f0b6a52e4978d1c3f0b6a52e4978d1c3f0b6a52e497",
    model="b0",
    target="openvino",
    variant="merge-queries+int8-conv+bf16",
    form="merge-queries",
    form_changes=FORMS["merge-queries"].changes,
    macs=2_500_000_000,
    exact_macs=3_510_000_000,
    precision="int8",
    engine="OpenVINO 2026.4.1, CPU, bf16",
    height=360,
    width=480,
    license="other (NVIDIA Source Code License)",
)
REFERENCE = Subject(
    kind="checkpoint",
    name="segformer_b0_camvid",
    sha256="51aa07c9be3344f0d2e98f6151aa07c9be3344f0d2e98f6151aa07c9be3344f0",
    model="b0",
    macs=6_420_000_000,
    precision="fp32",
    engine="PyTorch 2.13.0",
    height=360,
    width=480,
    license="other (NVIDIA Source Code License)",
)
DATA = Data(
    name="camvid",
    split="test",
    sha256="c0ffee4d1f2a6b889900aabbccddeeff00112233445566778899aabbccddeeff",
)
COSTS = Costs(
    frame=(720, 960),
    rounds=30,
    candidate=Cost(latency_ms=21.4, bytes=4_312_577, memory_mb=312.4),
    reference=Cost(latency_ms=88.02),
    latency_ratio=0.2431,
)


def golden_only(*values: float, **more: Any) -> Report:
    """`edgeseg verify BUNDLE`: nothing but golden frames."""
    gates = [
        at_least(f"golden/{place}.png pixel agreement", value, 98.21, key=GOLDEN, unit="%")
        for place, value in enumerate(values or (98.71, 98.68))
    ]
    return _report(**{"gates": gates, **more})


def without_reference(**more: Any) -> Report:
    """A data set, and nothing to compare with."""
    found = draw_accuracy(CAMVID.classes, compared=False, harm=0.2)
    return _report(data=DATA, images=233, **{**found, **more})


def measured(
    *,
    harm: float = 0.1,
    names: tuple[str, ...] = CAMVID.classes,
    max_latency_ratio: float = 0.5,
    **more: Any,
) -> Report:
    """Against a reference on a data set; with more `harm` the candidate is worse."""
    found = draw_accuracy(names, compared=True, harm=harm)
    drops = {c.name: c.drop for c in found["classes"] if c.counted and c.drop is not None}
    gates = [
        at_least("golden/0.png pixel agreement", 98.71, 98.21, key=GOLDEN, unit="%"),
        apply_limit("max_drop", found["drop"], 1.0),
        *make_worst_gates("max_class_drop", drops, 5.0),
        apply_limit("max_latency_ratio", 0.2431, max_latency_ratio),
    ]
    fields: dict[str, Any] = {
        "data": DATA,
        "reference": REFERENCE,
        "images": 233,
        "costs": COSTS,
        "sensitivity": sensitivity(),
        "gates": gates,
    }
    return _report(**{**fields, **found, **more})


def failed(**more: Any) -> Report:
    """Two gates are missed; images were skipped and converted."""
    skipped = [Noted(name=f"0016E5_{n:05d}", reason="no mask of this name") for n in range(14)]
    converted = [Noted(name="0016E5_08151", reason="16 bit gray to 8 bit color")]
    fields: dict[str, Any] = {
        "skipped": tuple(skipped),
        "converted": tuple(converted),
        "differences": Differences(data_only=("Void",), model_only=()),
    }
    return measured(harm=0.42, max_latency_ratio=0.2, **{**fields, **more})


def compared(**more: Any) -> Report:
    """With a baseline that something was lost against."""
    report = measured()
    rows = [(c.name, c.iou, place) for place, c in enumerate(report.classes) if c.iou is not None]
    steps = (-2.9, 1.8, -1.2, 0.9, 0.3, -0.2)
    verdicts = ("regressed", "improved", "unclear", "unclear", "unchanged", "unchanged")
    changes = [
        _change(name, value, steps[place % 6], verdicts[place % 6]) for name, value, place in rows
    ]
    found = Comparison(
        baseline="main.json",
        created="2026-06-30T09:12:44+00:00",
        subject=CANDIDATE,
        images=report.images,
        miou=_change("mIoU", report.miou or 0.0, -0.31, "regressed"),
        classes=tuple(sorted(changes, key=lambda change: change.change)),
        new=("Bridge",),
        missing=("Tunnel", "Archway"),
        costs=(
            CostChange(name="size in bytes", before=4_401_003, now=4_312_577),
            CostChange(name="latency in ms", before=22.9, now=21.4),
        ),
    )
    gates = (*report.gates, apply_limit("max_regression", 0.16, 0.1))
    return measured(**{"baseline": found, "gates": gates, **more})


def at_input_sizes() -> Report:
    """A checkpoint at several short sides."""
    sizes = ((512, 71.9, 21.0), (640, 73.7, 27.0), (768, 75.3, 38.0), (1024, 76.2, 65.8))
    points = tuple(
        SidePoint(short_px=side, height=side, width=2 * side, miou=miou, latency_ms=latency_ms)
        for side, miou, latency_ms in sizes
    )
    return without_reference(candidate=REFERENCE, short_sides=points)


def corrupted(**more: Any) -> Report:
    """Every corruption at five severities; the candidate is more brittle in the weather."""
    results = [
        CorruptionResult(
            name=name,
            family=family,
            severity=severity,
            miou=44.0 - 3.7 * severity - place,
            reference_miou=44.4 - 3.6 * severity - place + (family == "weather"),
            drop=0.4 + 0.1 * severity + (family == "weather"),
        )
        for family, names in FAMILIES.items()
        for place, name in enumerate(names)
        for severity in SEVERITIES
    ]
    families = [
        FamilyResult(
            name=family,
            corruptions=names,
            miou=31.4,
            reference_miou=32.2,
            drop=0.8,
            extra_drop=1.32 if family == "weather" else -0.08,
            extra_low=0.9 if family == "weather" else -0.3,
            extra_high=1.7 if family == "weather" else 0.14,
        )
        for family, names in FAMILIES.items()
    ]
    gate = apply_limit("max_extra_drop", 1.32, 1.0, of="weather")
    return measured(
        **{
            "corruptions": tuple(results),
            "families": tuple(families),
            "gates": (*measured().gates, gate),
            **more,
        }
    )


def many_classes(count: int = 150, **more: Any) -> Report:
    return measured(names=tuple(f"class number {place}" for place in range(count)), **more)


def hostile() -> Report:
    """Everything that a name or a reason could break, wherever one can stand, at 171 classes."""
    names = tuple(f"{HOSTILE[n % len(HOSTILE)]} {n}" for n in range(171))
    noted = tuple(Noted(name=names[n % 171], reason=names[-n % 171]) for n in range(200))
    base = measured(harm=0.9, names=names)
    gates = (
        *(apply_limit("max_class_drop", 9.0, 5.0, of=name) for name in names),
        at_most(
            f"classes of the baseline that are missing ({', '.join(names)})",
            171,
            0,
            key=BASELINE_CLASSES,
        ),
    )
    subject = Subject(
        kind="bundle", name="@octocat | `x`", sha256="0" * 64, model="b0", variant="<b>|`",
        form="@me|<i>`", form_changes="<u>@you", macs=2, exact_macs=0,
        precision="int8", engine="#1 <img src=x>", height=64, width=64, license="@x|",
    )  # fmt: skip
    comparison = Comparison(
        baseline="|`<i>", created="@never", subject=subject, images=200,
        miou=_change("mIoU", 50.0, -1.0, "regressed"),
        classes=tuple(_change(name, 50.0, -3.0, "regressed") for name in names),
        new=names, missing=names,
        costs=(CostChange(name="|@x", before=1, now=2.5),),
    )  # fmt: skip
    unjudged = (Unjudged(name=names[3], key="max_drop", reason=names[4], remedy=names[5]),)
    return _report(
        candidate=subject, reference=subject, data=Data(name="|@d", split="`", sha256="0" * 64),
        images=200, gates=gates, skipped=noted, converted=noted, baseline=comparison, costs=COSTS,
        notes=names[:40],
        unjudged=unjudged,
        differences=Differences(data_only=names, model_only=names),
        classes=base.classes, confusion=base.confusion, miou=base.miou, drop=base.drop,
        reference_confusion=base.reference_confusion, reference_miou=base.reference_miou,
        sensitivity={names[5]: 1.0},
    )  # fmt: skip


def sensitivity() -> dict[str, float]:
    random = np.random.default_rng(3)
    roles = (
        "patch_embed",
        "q",
        "kv",
        "scores",
        "values",
        "attn_out",
        "ffn_in",
        "dwconv",
        "ffn_out",
    )
    names = [f"stage{stage}.{role}" for stage in range(1, 5) for role in roles]
    costs = random.gamma(0.5, 0.2, len(names)).tolist()
    return dict(zip(names, costs, strict=True))


def pictures(
    count: int = 2, *, height: int = 120, width: int = 160, compared: bool = True
) -> list[ImagePictures]:
    """Drawn scenes; the models' masks are the truth, worn away and shifted."""
    made = []
    for place in range(count):
        drawn = draw_scene(3 + place, 40 * place, height=height, width=width)
        truth = drawn.mask.copy()
        reference, candidate = wear_mask(drawn.mask, 3, place), wear_mask(drawn.mask, 7, place + 99)
        truth[: height // 12] = CAMVID.ignore_index
        made.append(
            draw_pictures(
                f"0016E5_{8000 + place:05d}", image=drawn.image, truth=truth,
                reference=reference if compared else None, candidate=candidate, labels=CAMVID,
                lost=7.31 - 0.6 * place, agreement=91.2 + 0.4 * place,
            )
        )  # fmt: skip
    return made


def labels_of(report: Report) -> Labels:
    """As many colors as the report has classes."""
    names = tuple(result.name for result in report.classes) or CAMVID.classes
    known = get_known_labels("cocostuff").palette + CAMVID.palette
    palette = CAMVID.palette if names == CAMVID.classes else known[: len(names)]
    return Labels(classes=names, palette=palette, ignore_index=255)


def not_judged(**more: Any) -> Report:
    """No gate is missed, and two limits decide nothing."""
    left = (
        make_unjudged_classes("max_class_drop", rare="Car in 3 images"),
        Unjudged(
            name="data set", key="max_skipped", reason="14 of 16 images were skipped",
            remedy="restore them",
        ),
    )  # fmt: skip
    return measured(**{"unjudged": left, **more})


def _report(*, gates: Any = (), unjudged: Any = (), **fields: Any) -> Report:
    known: dict[str, Any] = {
        "created": "2026-07-04T12:34:56+00:00",
        "candidate": CANDIDATE,
        "machine": Machine(
            cpu="AMD EPYC 9R14", architecture="x86_64", features=("avx512_vnni", "bf16"), cores=2
        ),
        "tools": {"python": "3.11.2", "edgeseg": "0.9.0", "numpy": "2.4.6", "openvino": "2026.4.1"},
    }
    judged = Judged(gates=tuple(gates), unjudged=tuple(unjudged))
    return Report(
        passed=judged.passed, gates=judged.gates, unjudged=judged.unjudged, **{**known, **fields}
    )


def _change(name: str, before: float, step: float, verdict: str) -> Change:
    return Change(
        name=name, before=before, now=before + step, change=step, low=step - 0.4 * abs(step) - 0.2,
        high=step + 0.5 * abs(step), verdict=verdict,
    )  # fmt: skip
