"""Results as lines for people and as the JSON objects that the command line promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.bundle import Bundle, is_bundle, open_bundle
from edgeseg.costs import PAPER_GMACS, Costs, costs
from edgeseg.manifest import Accuracy, Manifest, VariantInfo, as_json
from edgeseg.spec import VARIANTS, HeadKind, ModelSpec, NormEps

if TYPE_CHECKING:
    from edgeseg.bench import BenchResult
    from edgeseg.deploy import Exported
    from edgeseg.end_to_end import EndToEnd
    from edgeseg.quantize.search import Trial
    from edgeseg.runtime.build import Built
    from edgeseg.runtime.pipeline import Summary
    from edgeseg.verify import Report

__all__ = [
    "bench_json",
    "bench_lines",
    "build_json",
    "build_lines",
    "doctor_lines",
    "end_to_end_lines",
    "export_json",
    "export_lines",
    "inspect_anything",
    "run_json",
    "run_lines",
    "verify_json",
    "verify_lines",
]

Json = Mapping[str, object]
# The paper's table is for ADE20K.
_PAPER_CLASSES = 150


def export_lines(exported: Exported) -> list[str]:
    """A table of all that was tried, and the reason for the choice."""
    manifest = exported.bundle.manifest
    lines = []
    if manifest.evaluation is not None:
        about = manifest.evaluation
        lines.append(
            f"measured on {' '.join(filter(None, (about.data, about.split)))}: "
            f"{about.searched} images to search by, {about.gated} to decide"
        )
        ranked = sorted(exported.tried, key=lambda trial: -(trial.speedup or 0))
        lines += _table([_TRIAL_HEADINGS, *map(_trial_row, ranked)])
    lines += [f"sensitivity  {line}" for line in _sensitivity_lines(manifest)]
    return [*lines, manifest.chosen.reason]


def _sensitivity_lines(manifest: Manifest) -> list[str]:
    ranked = sorted(manifest.sensitivity.items(), key=lambda item: -item[1])
    return [f"{name}: {cost:.3f} % of the pixels when it alone is INT8" for name, cost in ranked]


_TRIAL_HEADINGS = (
    *("variant", "INT8", "drop, searched", "drop, decided (95 %)", "agree %"),
    *("ms", "x FP32", "verdict"),
)


def _trial_row(trial: Trial) -> tuple[str, ...]:
    """`searched` is the half of the images that guided the search, `decided` the other one."""
    latest = trial.gate or trial.search
    return (
        trial.candidate.name,
        f"{100 * trial.int8_share:.0f} %",
        _drop(trial.search),
        _drop(trial.gate, interval=True),
        "" if latest is None else f"{latest.pixel_agreement:.2f}",
        "" if trial.latency_ms is None else f"{trial.latency_ms:.1f}",
        "" if trial.speedup is None else f"{trial.speedup:.2f}",
        trial.verdict,
    )


def _drop(accuracy: Accuracy | None, *, interval: bool = False) -> str:
    if accuracy is None or accuracy.drop is None:
        return ""
    spread = f" ({accuracy.drop_low:+.2f} to {accuracy.drop_high:+.2f})" if interval else ""
    return f"{accuracy.drop:+.2f}{spread}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, without those that are empty below the heading."""
    filled = [index for index, (_, *below) in enumerate(zip(*rows, strict=True)) if any(below)]
    rows = [[row[index] for index in filled] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]


def export_json(exported: Exported) -> Json:
    """What was exported. Accuracy and latency are null where they were not measured."""
    bundle = exported.bundle
    manifest, chosen = bundle.manifest, bundle.chosen
    return {
        "bundle": str(bundle.folder),
        "target": manifest.target,
        "chosen": {"variant": chosen.name, "precision": chosen.precision, "file": chosen.file},
        "reason": manifest.chosen.reason,
        "variants": [_variant_json(bundle, variant) for variant in manifest.variants],
        "parity": {"max_abs_diff": manifest.parity.max_abs_diff},
        "calibration": None if manifest.calibration is None else as_json(manifest.calibration),
    }


def _variant_json(bundle: Bundle, variant: VariantInfo) -> Json:
    measured = variant.gate or variant.search
    return {
        "name": variant.name,
        "precision": variant.precision,
        "int8_share": variant.int8_share,
        "miou": None if measured is None else measured.miou,
        "drop": None if measured is None else measured.drop,
        "pixel_agreement": None if measured is None else measured.pixel_agreement,
        "latency_ms": variant.latency_ms,
        "bytes": sum(
            file.bytes
            for name, file in bundle.manifest.files.items()
            if Path(name).with_suffix("") == Path(variant.file).with_suffix("")
        ),
    }


def build_lines(results: Sequence[Built]) -> list[str]:
    """A line a variant, the fastest first: it runs here from now on."""
    lines = [_built_line(result) for result in results]
    return [*lines, f"{results[0].variant} runs here from now on"]


def _built_line(result: Built) -> str:
    if result.latency_ms is None:
        return f"{result.variant}: {result.fault}"
    return (
        f"{result.variant}: {result.latency_ms:.1f} ms a frame; golden frames agree in "
        f"{result.agreement:.2f} % of the pixels or more"
    )


def build_json(results: Sequence[Built]) -> Json:
    """The same, for machines."""
    return {"variants": [asdict(result) for result in results]}


def run_lines(summary: Summary, *, miou: float | None) -> list[str]:
    """The end of a run; `miou` where the source has ground truth."""
    latency, age = summary.latency_ms, summary.frame_age_ms
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary.stages_ms.items())
    accuracy = [] if miou is None else [f"mIoU {miou:.2f} against the source's ground truth"]
    return [
        f"{summary.frames} frames, {summary.fps:.1f} a second, {summary.dropped} dropped"
        + (f", {summary.failed} failed" if summary.failed else ""),
        (
            f"latency p50 {latency.p50:.1f} p95 {latency.p95:.1f} p99 {latency.p99:.1f} ms; "
            f"frame age p50 {age.p50:.1f} p95 {age.p95:.1f} p99 {age.p99:.1f} ms"
        ),
        f"stages, median ms: {stages}",
        *accuracy,
    ]


def run_json(summary: Summary, *, backend: str, precision: str, miou: float | None) -> Json:
    """The end of a run, for machines."""
    return {**asdict(summary), "backend": backend, "precision": precision, "miou": miou}


def verify_lines(report: Report) -> list[str]:
    """A verdict, and what it rests on."""
    lines = [*report.differences.lines]
    if report.skipped:
        first = report.skipped[0]
        count = len(report.skipped)
        lines.append(
            f"{count} of {count + report.images} images skipped, the first: {first.reason}"
        )
    if report.miou is not None:
        lines.append(f"mIoU {report.miou:.2f} on {report.images} images")
        classes = ", ".join(f"{name} {value:.2f}" for name, value in report.class_iou.items())
        lines.append(f"IoU by class: {classes}")
    if report.reference_miou is not None:
        lines.append(
            f"reference mIoU {report.reference_miou:.2f}, drop {report.drop:+.3f} points "
            f"(95 % interval {report.drop_low:+.3f} to {report.drop_high:+.3f}); "
            f"{report.pixel_agreement:.3f} % of the pixels agree "
            f"(mean IoU with the reference's masks {report.agreement_iou:.2f})"
        )
    if report.worst_class is not None:
        lines.append(
            f"worst class: {report.worst_class.name}, {report.worst_class.drop:+.3f} points"
        )
    for gate in report.gates:
        verdict = "passed" if gate.passed else "MISSED"
        lines.append(f"{verdict}: {gate.name} {gate.value:.3f} (limit {gate.limit:.3f})")
    return lines


def verify_json(report: Report) -> Json:
    """The verdict, for machines."""
    return {"passed": report.passed, **asdict(report)}


def bench_lines(results: Sequence[BenchResult]) -> list[str]:
    """A line a bundle; ratios are against the first."""
    first = results[0]
    return [
        f"{result.bundle}: {result.p50_ms:.1f} ms a frame (p95 {result.p95_ms:.1f}), "
        f"{result.fps:.1f} fps, {first.p50_ms / result.p50_ms:.2f}x the first; "
        f"prepare {result.prepare_ms:.1f}, infer {result.infer_ms:.1f}, mask {result.mask_ms:.1f}; "
        f"peak {result.peak_rss_mb:.0f} MB ({result.backend}, {result.precision})"
        for result in results
    ]


def end_to_end_lines(results: Sequence[EndToEnd]) -> list[str]:
    """Two lines a bundle and number of threads."""
    return [
        line
        for result in results
        for line in (
            (
                f"{result.bundle}, engine threads {result.threads}: a run keeps {result.kept:.2f} "
                f"of the engine's speed (lowest {result.kept_lowest:.2f}; one after the other "
                f"{result.sequential:.2f}), {result.run_fps:.1f} of {result.engine_fps:.1f} fps"
            ),
            (
                f"  prepare {result.prepare_ms:.1f} + mask {result.mask_ms:.1f} ms are "
                f"{result.host_share:.2f} of the engine's {result.engine_ms:.1f} ms; "
                f"{result.page_faults:.1f} page faults a frame"
            ),
        )
    ]


def bench_json(results: Sequence[BenchResult], whole: Sequence[EndToEnd]) -> Json:
    """The timings, for machines."""
    return {
        "results": [asdict(result) for result in results],
        "end_to_end": [asdict(result) for result in whole],
    }


def doctor_lines(findings: Mapping[str, Any]) -> list[str]:
    """What is there and what is missing, with what each is for."""
    opencv = findings["opencv"]
    lines = [
        f"Python {findings['python']} on {findings['machine']}, {findings['cores']} cores",
        f"{findings['cpu']}: {' '.join(findings['features']) or 'no features that matter here'}",
    ]
    lines += [f"engine {n}: {v or 'not installed'}" for n, v in findings["engines"].items()]
    lines += [f"for outputs, {n}: {v or 'not installed'}" for n, v in findings["outputs"].items()]
    lines += [f"for export, {n}: {v or 'not installed'}" for n, v in findings["export"].items()]
    if opencv is None:
        lines.append("OpenCV: not installed")
    elif "error" in opencv:
        lines.append(f"OpenCV: {opencv['error']}")
    else:
        has = [name for name in ("ffmpeg", "gstreamer", "window") if opencv[name]]
        lines.append(f"OpenCV {opencv['version']}, with: {', '.join(has) or 'none of its extras'}")
    board, cuda = findings["jetson"], findings["cuda"]
    if board is not None:
        lines.append(
            f"{board['model']}, L4T {board['l4t']} (JetPack {board['jetpack'] or 'unknown'}), "
            f"power mode {board['power_mode'] or 'unknown'}"
        )
    if "error" not in cuda:
        lines.append(f"CUDA: driver {cuda['driver']}, compute capability {cuda['capability']}")
    lines.append(f"cameras: {', '.join(findings['cameras']) or 'none'}")
    memory = findings["memory_free"]
    room = "" if memory is None else f"{memory / 1e9:.1f} GB of memory and "
    lines.append(f"free: {room}{findings['disk_free'] / 1e9:.1f} GB of disk for the cache")
    lines += [f"missing: {p['what']}; mend it with: {p['remedy']}" for p in findings["problems"]]
    return lines


def inspect_anything(what: str) -> tuple[list[str], Json]:
    """Lines and JSON for a variant's name, a bundle, or a checkpoint.

    Raises:
        EdgesegError: it is none of these, or damaged.
    """
    if what in VARIANTS:
        return _inspect_variant(what)
    if is_bundle(Path(what)):
        return _inspect_bundle(open_bundle(Path(what)))
    return _inspect_checkpoint(what)


def _inspect_variant(name: str) -> tuple[list[str], Json]:
    paper, side = PAPER_GMACS[name]
    variant = VARIANTS[name]
    spec = ModelSpec(
        variant=variant,
        classes=_PAPER_CLASSES,
        decoder_width=variant.decoder_width,
        head=HeadKind.LINEAR,
        eps=NormEps(patch_embed=1e-5, block=1e-5, reduction=1e-5, stage=1e-5),
    )
    count = costs(spec, height=side, width=side)
    lines = [
        f"SegFormer-{name.upper()}, {_PAPER_CLASSES} classes, {side}x{side}",
        f"parameters   {count.params:,}",
        *_macs_lines(count),
        f"paper        {paper:.1f} G (table 1, ADE20K)",
    ]
    return lines, {**_costs_json(count, side, side), "macs_paper": paper * 1e9}


def _macs_lines(count: Costs) -> list[str]:
    saved = 100 * (1 - count.macs / count.macs_original)
    return [
        (
            f"multiply-adds: original {count.macs_original / 1e9:.2f} G, "
            f"deployed {count.macs / 1e9:.2f} G ({saved:.0f} % fewer)"
        ),
    ]


def _costs_json(count: Costs, height: int, width: int) -> Json:
    return {
        "params": count.params,
        "macs": count.macs,
        "macs_original": count.macs_original,
        "size": [height, width],
    }


def _inspect_bundle(bundle: Bundle) -> tuple[list[str], Json]:
    manifest = bundle.manifest
    size = sum(file.bytes for file in manifest.files.values()) / 1e6
    lines = [
        (
            f"bundle {manifest.name}: SegFormer-{manifest.model.variant.upper()} "
            f"for {manifest.target}, "
            f"{len(manifest.labels.classes)} classes, {size:.1f} MB, every hash is right"
        ),
        (
            f"input        {manifest.input.height}x{manifest.input.width} (height x width), "
            f"{manifest.input.resize.value}, aspect {manifest.input.aspect.value}"
        ),
        f"chosen       {manifest.chosen.variant}: {manifest.chosen.reason}",
        *(f"variant      {_variant_line(variant)}" for variant in manifest.variants),
        (
            f"checkpoint   {manifest.checkpoint.source}, {manifest.checkpoint.layout} layout, "
            f"licence {manifest.checkpoint.license}"
        ),
        (
            f"parity       logits within {manifest.parity.max_abs_diff:.1e} of PyTorch on "
            f"{manifest.parity.images} images ({manifest.parity.image_source})"
        ),
        f"golden       {len(manifest.golden)} frames",
        *(f"sensitivity  {line}" for line in _sensitivity_lines(manifest)),
        f"classes      {', '.join(manifest.labels.classes)}",
    ]
    return lines, as_json(manifest)


def _variant_line(variant: VariantInfo) -> str:
    parts = [f"{variant.name} ({variant.file})", variant.precision]
    if variant.int8_share:
        parts.append(f"{100 * variant.int8_share:.0f} % INT8")
    if variant.gate is not None and variant.gate.drop is not None:
        parts.append(f"drop {_drop(variant.gate, interval=True)}")
    elif variant.gate is not None:
        parts.append(f"{variant.gate.pixel_agreement:.2f} % of the pixels as FP32")
    if variant.latency_ms is not None:
        parts.append(f"{variant.latency_ms:.1f} ms")
    if variant.instead_of is not None:
        parts.append(f"instead of {variant.instead_of}")
    return ", ".join(parts)


def _inspect_checkpoint(source: str) -> tuple[list[str], Json]:
    from edgeseg.export.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(source)
    height, width = checkpoint.input.height, checkpoint.input.width
    count = costs(checkpoint.spec, height=height, width=width)
    name = checkpoint.spec.variant.name
    lines = [
        (
            f"SegFormer-{name.upper()}, {checkpoint.spec.classes} classes, "
            f"{checkpoint.layout} layout, licence {checkpoint.license}"
        ),
        (
            f"input        {height}x{width}, {checkpoint.input.resize.value}, "
            f"aspect {checkpoint.input.aspect.value}"
        ),
        f"parameters   {count.params:,}",
        *_macs_lines(count),
        f"classes      {', '.join(checkpoint.labels.classes)} (from {checkpoint.labels_source})",
    ]
    return lines, {
        **_costs_json(count, height, width),
        "variant": name,
        "layout": checkpoint.layout,
        "license": checkpoint.license,
        "sha256": checkpoint.sha256,
        "classes": list(checkpoint.labels.classes),
    }
