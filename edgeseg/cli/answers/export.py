"""Words for what `edgeseg export` tried, chose and wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeseg.accuracy.metrics import AT_CHANCE, above_chance
from edgeseg.bundle.forms import describe_forms, find_form, list_forms
from edgeseg.bundle.manifest import Accuracy, Manifest, VariantInfo, to_json
from edgeseg.bundle.store import Bundle
from edgeseg.bundle.training import describe_training
from edgeseg.cli.answers import Json
from edgeseg.runtime.timing import SAME_SPEED
from edgeseg.text import pluralize

if TYPE_CHECKING:
    from edgeseg.deploy.export import Exported
    from edgeseg.quantize.search import Trial

__all__ = ["format_drop", "export_to_json", "describe_export", "describe_sensitivity"]


def describe_export(exported: Exported) -> list[str]:
    """Describe all that was tried in a table, and give the reason for the choice."""
    manifest = exported.bundle.manifest
    lines = []
    if manifest.evaluation is not None:
        about = manifest.evaluation
        lines.append(
            f"measured on {' '.join(filter(None, (about.data, about.split)))}: "
            f"{pluralize(about.searched, 'image')} guided the search, {about.gated} decided"
        )
        ranked = sorted(exported.tried, key=lambda trial: -(trial.speedup or 0))
        lines += _align_columns([_TRIAL_HEADINGS, *map(_make_trial_row, ranked)])
        if any(trial.speedup is not None for trial in ranked):
            lines.append(_explain_speeds(ranked))
    lines += [f"sensitivity  {line}" for line in describe_sensitivity(manifest)]
    lines += _warn_at_chance(exported.bundle.chosen.gate)
    lines += [*_describe_forms(exported.bundle), *_describe_training(exported.bundle)]
    lines.append(manifest.chosen.reason)
    for one in exported.sizes:
        spec = one.bundle.manifest.input
        lines += [f"size {spec.height}x{spec.width}:", *describe_export(one)]
    return [*lines, *_compare_sizes(exported)]


def _compare_sizes(exported: Exported) -> list[str]:
    """Say what runs at each size: its gate compares it with FP32 at that size only."""
    if not exported.sizes:
        return []
    return [_describe_size(one.bundle) for one in (exported, *exported.sizes)]


def _describe_size(bundle: Bundle) -> str:
    spec, chosen = bundle.manifest.input, bundle.chosen
    parts = [f"{spec.height}x{spec.width}: {chosen.name}"]
    if chosen.gate is not None and chosen.gate.miou is not None:
        parts.append(f"mIoU {chosen.gate.miou:.2f}")
    if chosen.latency_ms is not None:
        parts.append(f"{chosen.latency_ms:.1f} ms")
    return ", ".join(parts)


def _explain_speeds(trials: Sequence[Trial]) -> str:
    """Say how speeds were measured, and what decides between equal ones."""
    line = (
        f"speeds are of the engine alone, timed in turns with FP32; speeds within {SAME_SPEED:.0%} "
        f"count as equal, and the variant that agrees best is taken"
    )
    if all(trial.candidate.form.is_exact for trial in trials):
        return line
    return f"{line}; of equally fast forms, the one with the smallest drop"


def _describe_forms(bundle: Bundle) -> list[str]:
    """Describe the forms that ship, and say so if what runs is not as it was trained."""
    exact = bundle.manifest.model.macs
    lines = [f"form {line}" for line in describe_forms(list_forms(bundle.manifest), exact)]
    chosen = bundle.chosen
    if chosen.form is None:
        return lines
    told = f"{chosen.name} has form {chosen.form.name}: not the network as it was trained"
    return [*lines, told]


def _describe_training(bundle: Bundle) -> list[str]:
    told = describe_training(bundle.chosen)
    return [] if told is None else [told]


def _warn_at_chance(found: Accuracy | None) -> list[str]:
    """Warn that a drop says nothing if the reference itself is no better than guessing."""
    if found is None or found.reference_miou is None or found.chance_miou is None:
        return []
    if above_chance(found.reference_miou, found.chance_miou) > AT_CHANCE:
        return []
    line = (
        f"the mIoU of FP32 is at chance level ({found.reference_miou:.2f}; guessing would give "
        f"{found.chance_miou:.2f}), so its drop says nothing; check that the masks have the class "
        f"ids of the model: edgeseg verify --data tells whether other ids would fit"
    )
    return [line]


def describe_sensitivity(manifest: Manifest) -> list[str]:
    """Say what INT8 costs in each group of nodes, the most costly first."""
    ranked = sorted(manifest.sensitivity.items(), key=lambda item: -item[1])
    return [f"{name}: {cost:.3f} % of the pixels when it alone is INT8" for name, cost in ranked]


_TRIAL_HEADINGS = (
    *("variant", "INT8", "drop, searched", "drop, decided (95 %)", "agree %"),
    *("ms", "speed, x FP32", "verdict"),
)


def _make_trial_row(trial: Trial) -> tuple[str, ...]:
    """Make the cells of one trial, in the order of `_TRIAL_HEADINGS`.

    `searched` is the half of the images that guided the search, `decided` the other one.
    """
    latest = trial.gate or trial.search
    return (
        trial.candidate.name,
        f"{100 * trial.int8_share:.0f} %",
        format_drop(trial.search),
        format_drop(trial.gate, interval=True),
        "" if latest is None else f"{latest.pixel_agreement:.2f}",
        "" if trial.latency_ms is None else f"{trial.latency_ms:.1f}",
        "" if trial.speedup is None else f"{trial.speedup:.2f}",
        trial.verdict,
    )


def format_drop(accuracy: Accuracy | None, *, interval: bool = False) -> str:
    """Format the drop in points, with its 95 % interval if asked for; empty if there is none."""
    if accuracy is None or accuracy.drop is None:
        return ""
    spread = f" ({accuracy.drop_low:+.2f} to {accuracy.drop_high:+.2f})" if interval else ""
    return f"{accuracy.drop:+.2f}{spread}"


def _align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows in columns of equal width; leave out columns that are empty below the heading."""
    filled = [index for index, (_, *below) in enumerate(zip(*rows, strict=True)) if any(below)]
    rows = [[row[index] for index in filled] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]


def export_to_json(exported: Exported) -> Json:
    """Turn what was exported into the JSON object of `export --json`.

    Accuracy and latency are null where they were not measured. `form_changes` says what a variant's
    form changes, and is null for the exact network; `macs` are multiply-adds for a frame.
    `recovery` is null for a variant that was not trained. `sizes` are the smaller inputs, if there
    are any, each as such an object.
    """
    bundle = exported.bundle
    manifest, chosen = bundle.manifest, bundle.chosen
    return {
        "bundle": str(bundle.folder),
        "target": manifest.target,
        "chosen": {"variant": chosen.name, "precision": chosen.precision, "file": chosen.file},
        "reason": manifest.chosen.reason,
        "variants": [_variant_to_json(bundle, variant) for variant in manifest.variants],
        "parity": {"max_abs_diff": manifest.parity.max_abs_diff},
        "calibration": None if manifest.calibration is None else to_json(manifest.calibration),
        **({"sizes": [*map(export_to_json, exported.sizes)]} if exported.sizes else {}),
    }


def _variant_to_json(bundle: Bundle, variant: VariantInfo) -> Json:
    measured = variant.gate or variant.search
    form = find_form(bundle.manifest, variant)
    return {
        "name": variant.name,
        "precision": variant.precision,
        "int8_share": variant.int8_share,
        "form": form.name,
        "form_changes": form.form.changes,
        "macs": form.macs,
        "recovery": None if variant.recovery is None else to_json(variant.recovery),
        "miou": None if measured is None else measured.miou,
        "drop": None if measured is None else measured.drop,
        "pixel_agreement": None if measured is None else measured.pixel_agreement,
        "latency_ms": variant.latency_ms,
        "bytes": bundle.bytes_of(variant),
    }
