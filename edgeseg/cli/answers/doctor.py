"""Words for what `edgeseg doctor` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeseg.machine.extras import make_install_command
from edgeseg.text import pluralize

__all__ = ["describe_findings"]


def describe_findings(findings: Mapping[str, Any]) -> list[str]:
    """Describe each engine, feature and problem in a line."""
    opencv = findings["opencv"]
    lines = [
        (
            f"edgeseg {findings['edgeseg']}, Python {findings['python']} on "
            f"{findings['machine']}, {pluralize(findings['cores'], 'core')}"
        ),
        f"{findings['cpu']}: {' '.join(findings['features']) or 'no features that matter here'}",
    ]
    lines += [f"engine {n}: {v or 'not installed'}" for n, v in findings["engines"].items()]
    lines += [
        f"devices of {engine}: {', '.join(devices)}"
        for engine, devices in findings["devices"].items()
    ]
    lines += [_describe_extra(name, extra) for name, extra in findings["extras"].items()]
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
    if "error" in cuda:
        lines.append(f"CUDA: no ({cuda['error']})")
    else:
        lines.append(
            f"CUDA: driver {cuda['driver']}, compute capability {cuda['capability']}, "
            f"NVRTC {cuda['nvrtc'] or 'not installed'}"
        )
    lines.append(f"cameras: {', '.join(findings['cameras']) or 'none'}")
    memory = findings["memory_free"]
    memory_gb = "" if memory is None else f"{memory / 1e9:.1f} GB of memory and "
    lines.append(f"free: {memory_gb}{findings['disk_free'] / 1e9:.1f} GB of disk for the cache")
    lines += [f"problem: {p['what']}; to fix it: {p['remedy']}" for p in findings["problems"]]
    return lines


def _describe_extra(name: str, extra: Mapping[str, Any]) -> str:
    """Say whether a feature works here, or which packages it lacks."""
    if extra["missing"]:
        lacks = ", ".join(extra["missing"])
        return f"no  {extra['what']}: lacks {lacks}; {make_install_command([name])}"
    versions = (f"{package} {v}" for package, v in extra["versions"].items() if v is not None)
    told = ", ".join(versions)
    return f"yes {extra['what']}" + (f" ({told})" if told else "")
