"""Results as lines for people and as the JSON objects that the command line promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from edgeseg.accuracy.metrics import AT_CHANCE, above_chance
from edgeseg.bundle.manifest import Accuracy, Manifest, VariantInfo, as_json
from edgeseg.bundle.store import Bundle
from edgeseg.machine.extras import install_command
from edgeseg.runtime.timing import SAME_SPEED
from edgeseg.text import counted

if TYPE_CHECKING:
    from edgeseg.bench.latency import BenchResult
    from edgeseg.bench.throughput import EndToEnd
    from edgeseg.deploy.export import Exported
    from edgeseg.quantize.search import Trial
    from edgeseg.runtime.live.pipeline import Summary
    from edgeseg.runtime.select import Built
    from edgeseg.runtime.session import RunResult

__all__ = [
    "Json",
    "bench_json",
    "bench_lines",
    "build_json",
    "build_lines",
    "doctor_lines",
    "drop_text",
    "end_to_end_lines",
    "export_json",
    "export_lines",
    "run_json",
    "run_lines",
    "sensitivity_lines",
]

Json = Mapping[str, object]


def export_lines(exported: Exported) -> list[str]:
    """A table of all that was tried, and the reason for the choice."""
    manifest = exported.bundle.manifest
    lines = []
    if manifest.evaluation is not None:
        about = manifest.evaluation
        lines.append(
            f"measured on {' '.join(filter(None, (about.data, about.split)))}: "
            f"{counted(about.searched, 'image')} to search by, {about.gated} to decide"
        )
        ranked = sorted(exported.tried, key=lambda trial: -(trial.speedup or 0))
        lines += _table([_TRIAL_HEADINGS, *map(_trial_row, ranked)])
        if any(trial.speedup is not None for trial in ranked):
            lines.append(
                f"speeds are the engine's alone, in turns with FP32; within {SAME_SPEED:.0%} they "
                f"count as equal, and the one that agrees best is taken"
            )
    lines += [f"sensitivity  {line}" for line in sensitivity_lines(manifest)]
    return [*lines, *_at_chance(exported.bundle.chosen.gate), manifest.chosen.reason]


def _at_chance(found: Accuracy | None) -> list[str]:
    """That a drop says nothing, where the reference itself is no better than guessing."""
    if found is None or found.reference_miou is None or found.chance_miou is None:
        return []
    if above_chance(found.reference_miou, found.chance_miou) > AT_CHANCE:
        return []
    line = (
        f"the mIoU of FP32 is at chance level ({found.reference_miou:.2f}; guessing would give "
        f"{found.chance_miou:.2f}), so its drop says nothing: are the masks' ids those of the "
        f"model? edgeseg verify --data tells whether others would fit"
    )
    return [line]


def sensitivity_lines(manifest: Manifest) -> list[str]:
    """What INT8 costs in each group of nodes alone, the most costly first."""
    ranked = sorted(manifest.sensitivity.items(), key=lambda item: -item[1])
    return [f"{name}: {cost:.3f} % of the pixels when it alone is INT8" for name, cost in ranked]


_TRIAL_HEADINGS = (
    *("variant", "INT8", "drop, searched", "drop, decided (95 %)", "agree %"),
    *("ms", "speed, x FP32", "verdict"),
)


def _trial_row(trial: Trial) -> tuple[str, ...]:
    """`searched` is the half of the images that guided the search, `decided` the other one."""
    latest = trial.gate or trial.search
    return (
        trial.candidate.name,
        f"{100 * trial.int8_share:.0f} %",
        drop_text(trial.search),
        drop_text(trial.gate, interval=True),
        "" if latest is None else f"{latest.pixel_agreement:.2f}",
        "" if trial.latency_ms is None else f"{trial.latency_ms:.1f}",
        "" if trial.speedup is None else f"{trial.speedup:.2f}",
        trial.verdict,
    )


def drop_text(accuracy: Accuracy | None, *, interval: bool = False) -> str:
    """The drop in points, perhaps with its interval; nothing where there is none."""
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
        "bytes": bundle.bytes_of(variant),
    }


def build_lines(results: Sequence[Built], *, kept: bool) -> list[str]:
    """A line a variant, the fastest first, and what runs; `kept` is whether later runs know it."""
    lines = [_built_line(result) for result in results]
    first = results[0]
    slow = [r for r in results[1:] if r.precision == "int8" and r.latency_ms is not None]
    if first.precision != "int8" and first.latency_ms is not None:
        lines += [
            f"{r.variant} is no faster than {first.variant} here: "
            f"{first.latency_ms / (r.latency_ms or 1.0):.2f}x its speed"
            for r in slow
        ]
    if len(results) == 1:
        end = "" if kept else "; no later run knows that"
        return [*lines, f"{first.variant}, the only variant, runs here{end}"]
    end = "runs here from now on" if kept else "is the one to run here; no later run knows that"
    return [*lines, f"{first.variant} {end}"]


def _built_line(result: Built) -> str:
    if result.latency_ms is None:
        return f"{result.variant}: {result.fault}"
    return (
        f"{result.variant}: {result.latency_ms:.1f} ms a frame; golden frames agree in "
        f"{result.agreement:.2f} % of the pixels or more"
    )


def build_json(results: Sequence[Built], *, kept: bool) -> Json:
    """The same, for machines."""
    return {"variants": [asdict(result) for result in results], "kept": kept}


def run_lines(summary: Summary, *, miou: float | None, live: bool) -> list[str]:
    """The end of a run; `miou` where the source has ground truth.

    How old a frame is when its mask is shown matters of a live source alone: a file's frames are
    read ahead and wait.
    """
    latency, age = summary.latency_ms, summary.frame_age_ms
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary.stages_ms.items())
    accuracy = [] if miou is None else [f"mIoU {miou:.2f} against the source's ground truth"]
    return [
        f"{counted(summary.frames, 'frame')}, {summary.fps:.1f} a second, {summary.dropped} dropped"
        + (
            f", {summary.failed} failed, the last: {summary.last_failure}" if summary.failed else ""
        ),
        f"latency p50 {latency.p50:.1f} p95 {latency.p95:.1f} p99 {latency.p99:.1f} ms"
        + (f"; frame age p50 {age.p50:.1f} p95 {age.p95:.1f} p99 {age.p99:.1f} ms" if live else ""),
        f"stages, median ms: {stages}",
        *accuracy,
    ]


def run_json(result: RunResult) -> Json:
    """The end of a run, for machines."""
    return {
        **asdict(result.summary),
        "backend": result.backend,
        "precision": result.precision,
        "miou": result.miou,
    }


def bench_lines(results: Sequence[BenchResult]) -> list[str]:
    """A line a bundle; speeds are against the first."""
    first = results[0]
    return [
        f"{result.bundle}: {result.p50_ms:.1f} ms a frame (p95 {result.p95_ms:.1f}), "
        f"{result.fps:.1f} fps, {first.p50_ms / result.p50_ms:.2f} times as fast as the first; "
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
        (
            f"edgeseg {findings['edgeseg']}, Python {findings['python']} on "
            f"{findings['machine']}, {counted(findings['cores'], 'core')}"
        ),
        f"{findings['cpu']}: {' '.join(findings['features']) or 'no features that matter here'}",
    ]
    lines += [f"engine {n}: {v or 'not installed'}" for n, v in findings["engines"].items()]
    lines += [_extra_line(name, extra) for name, extra in findings["extras"].items()]
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


def _extra_line(name: str, extra: Mapping[str, Any]) -> str:
    """What can be done here, or what it lacks."""
    if extra["missing"]:
        return (
            f"no  {extra['what']}: lacks {', '.join(extra['missing'])}; {install_command([name])}"
        )
    versions = (f"{package} {v}" for package, v in extra["versions"].items() if v is not None)
    told = ", ".join(versions)
    return f"yes {extra['what']}" + (f" ({told})" if told else "")
